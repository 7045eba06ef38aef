"""How long what is kept: declared by the site and by each source, enforced by a job of the hub.

    retention.yaml         events_days: 730            sources/crm.yaml   retention:
                           decisions_days: 365                              days: 365
                           fields: {postcode: 90}                           fields: {phone: 90}

A source's own word holds for it, also where it is longer. `edgewise site apply` puts both in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from edgewise.errors import MALFORMED, UnavailableError
from edgewise.ids import Producer
from edgewise.profile.state import DAY_MS
from hub.site.files import RetentionFile
from hub.site.kept_retention import FILE
from hub.sources.document import Retention as SourceRetention
from hub.sources.kept import KeptSources

SOURCE_PRODUCERS: Final = ("import/", "hook/")
"""Before the name of a source in a producer's name; every other producer is a node."""


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, as it is in force."""

    site: RetentionFile = RetentionFile()
    sources: dict[str, SourceRetention] = {}
    """Name -> what it says itself."""


def in_force(data_dir: Path) -> Retention:
    """What holds for a data folder: of the site and the sources as they were applied last.

    Raises UnavailableError for a damaged file: nothing may be deleted by a guess.
    """
    path = data_dir / FILE
    try:
        site = msgspec.json.decode(path.read_bytes(), type=RetentionFile)
    except FileNotFoundError:
        site = RetentionFile()
    except MALFORMED as wrong:
        raise UnavailableError(f"{path} is damaged ({wrong}); `edgewise site apply` writes it again") from None
    documents = KeptSources(data_dir).documents()
    return Retention(site=site, sources={str(name): each.retention for name, each in documents.items()})


class Cutoffs:
    """The moments that follow from it now; `hub.ledger.expiring.Limits` says what they are for."""

    def __init__(self, retention: Retention, now_ms: int) -> None:
        self._retention = retention
        self._now_ms = now_ms

    def before_ms(self, days: int | None) -> int | None:
        """What is older than so many days."""
        return None if days is None else self._now_ms - days * DAY_MS

    def event_ms(self, producer: Producer) -> int | None:
        """Before which an event of this producer is too old."""
        said = self._source(producer).days
        return self.before_ms(self._retention.site.events_days if said is None else said)

    def field_ms(self, producer: Producer) -> Mapping[str, int]:
        """The same of single traits and properties."""
        days = {**self._retention.site.fields, **self._source(producer).fields}
        return {name: self._now_ms - each * DAY_MS for name, each in days.items()}

    @cached_property
    def latest_ms(self) -> int | None:
        """The latest of all of them."""
        site, sources = self._retention.site, self._retention.sources.values()
        days = [site.events_days, *site.fields.values()]
        days += [each for source in sources for each in (source.days, *source.fields.values())]
        moments = [moment for each in days if (moment := self.before_ms(each)) is not None]
        return max(moments, default=None)

    def contacts_ms(self, names: Iterable[str]) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
        """For the vault: source -> moment, and source -> field -> moment, of these sources.

        One that is no more says nothing itself: the site's word holds for it.
        """
        rows: dict[str, int] = {}
        fields: dict[str, dict[str, int]] = {}
        for name in names:
            source = self._retention.sources.get(name, _SILENT)
            days = self._retention.site.contacts_days if source.days is None else source.days
            if days is not None:
                rows[name] = self._now_ms - days * DAY_MS
            if source.fields:
                fields[name] = {field: self._now_ms - each * DAY_MS for field, each in source.fields.items()}
        return rows, fields

    def _source(self, producer: Producer) -> SourceRetention:
        for prefix in SOURCE_PRODUCERS:
            if producer.startswith(prefix):
                return self._retention.sources.get(producer.removeprefix(prefix), _SILENT)
        return _SILENT


_SILENT: Final = SourceRetention()


def as_plain(retention: Retention) -> dict[str, Any]:
    """For an export."""
    plain: dict[str, Any] = msgspec.to_builtins(retention)
    return plain
