"""What a site knows of its items and its visitors' default consent, for reading history: from its release or folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgewise.bundle.catalogue import AttributeValue, Catalogue, decode_catalogue
from edgewise.bundle.manifest import CATALOGUE, POLICY
from edgewise.bundle.policy import decode_policy
from edgewise.consent import Consent
from edgewise.ids import ItemId
from edgewise.money import SITE_CURRENCY
from hub.imports.events import Intake
from hub.imports.stated_consent import StatedConsent
from hub.keys import KeyFolder


def site_intake(data_dir: Path, stated: StatedConsent, site_folder: Path | None = None) -> Intake:
    """How this data folder's site reads calls.

    Items and default consent come from `site_folder`, else from the live release, else from the newest one; before
    there is any, items have only the attributes that the events carry, and nothing is granted by default.

    Raises:
        SiteError: the folder is wrong.
        UnavailableError: the data folder holds no site.
    """
    subject_key = KeyFolder(data_dir).secrets().subject_key
    catalogue, consent, currency = _from_folder(site_folder) if site_folder is not None else _from_release(data_dir)
    attributes: dict[ItemId, Mapping[str, AttributeValue]] = {item.id: item.attributes for item in catalogue.items}
    return Intake(subject_key, stated.default(consent), attributes.get, currency)


def _from_folder(folder: Path) -> tuple[Catalogue, Consent, str]:
    from hub.site.loading import load_site

    contents = load_site(folder)
    site = contents.policy.site
    return contents.catalogue, site.default_consent, site.currency


def _from_release(data_dir: Path) -> tuple[Catalogue, Consent, str]:
    from hub.release.releases import open_releases

    with open_releases(data_dir) as releases:
        rows = releases.rows()
        version = releases.live()
        if version is None:
            version = rows[0].version if rows else None
        if version is None:
            return Catalogue([]), Consent(), SITE_CURRENCY
        resources = releases.bundle(version).resources
    site = decode_policy(resources[POLICY]).site
    return decode_catalogue(resources[CATALOGUE]), site.default_consent, site.currency
