"""Whose consent history has."""

from __future__ import annotations

from enum import StrEnum

from edgewise.consent import Consent, ConsentState


class StatedConsent(StrEnum):
    """What counts where an event says nothing of consent: a file cannot be asked what was agreed to at the time."""

    GRANTED = "granted"
    """The importer states that these visitors agreed to all purposes."""
    SITE_DEFAULT = "site-default"
    """What the site assumes of visitors who were not asked."""

    def default(self, site: Consent) -> Consent:
        """The default consent under which history is read."""
        granted = ConsentState.GRANTED
        return Consent(granted, granted, granted) if self is StatedConsent.GRANTED else site
