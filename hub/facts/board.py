"""The live facts of a site: changed by people and feeds, signed by online keys, remembered for replay.

The ledger comes first: what is written there and not published yet, because a process died in between, is published
with the next change, or by the running hub. Any number of processes may change facts at the same time; versions never
fall, and nodes end up with the newest.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from edgewise.bundle.catalogue import decode_catalogue
from edgewise.bundle.facts import STOCK, FactSheet, encode_facts
from edgewise.bundle.manifest import CATALOGUE, POLICY
from edgewise.bundle.policy import decode_policy
from edgewise.clock import Clock
from edgewise.ids import BundleVersion, ItemId
from hub.ledger.facts import FactChanges
from hub.ledger.ledger import Ledger
from hub.ledger.rows import AuditEntry, FactSheetRow
from hub.release.repository import Repository

LIFE_MS: Final = 3_600_000
"""How long numbers hold that nobody renews; a running hub renews them after half of it."""
HALT: Final = "facts halt"
RESUME: Final = "facts resume"
_NAMED: Final = 5
BY_CLOCK: Final = "hub"


class Live(NamedTuple):
    """What the live release knows of numbers."""

    release: BundleVersion
    items: frozenset[ItemId]
    declared: frozenset[str]
    """Names under `live_facts`; stock needs none."""


class FactsBoard:
    """The facts of one data folder."""

    def __init__(self, ledger: Ledger, repository: Repository, clock: Clock, *, life_ms: int = LIFE_MS) -> None:
        self._ledger = ledger
        self._repository = repository
        self._clock = clock
        self._life_ms = life_ms
        self._live: Live | None = None

    def newest(self) -> FactSheetRow | None:
        """The last version, None before the first."""
        return self._ledger.newest_facts()

    def sheet(self, version: int | None = None) -> FactSheet | None:
        """A remembered sheet, by default the newest; None before the first. Raises as `Ledger.fact_sheet`."""
        if version is None:
            newest = self.newest()
            return None if newest is None else self._ledger.fact_sheet(newest.version)
        return self._ledger.fact_sheet(version)

    def change(self, changes: FactChanges, *, by: str) -> FactSheetRow | None:
        """Set and take away numbers, and publish; None where there is nothing, and was nothing before.

        While facts are halted, what is set is remembered, and counts after `resume`.

        Raises:
            BundleRefused: nodes would refuse the sheet; nothing is changed.
            UnavailableError: no repository, or an online key is missing; nothing is changed.
        """
        return self._next(changes, by)

    def notes(self, changes: FactChanges) -> list[str]:
        """What of these changes the live release knows nothing of, so that nodes pass it over; in sentences."""
        live = self.live()
        if live is None:
            return ["no release is live yet; what is set counts as soon as one is"]
        strange = sorted({item for said in changes.values() for item in said} - live.items)
        unread = sorted(set(changes) - live.declared - {STOCK})
        notes = []
        if strange:
            some = ", ".join(strange[:_NAMED]) + (" …" if len(strange) > _NAMED else "")
            notes.append(f"{len(strange)} items are not in the live release {live.release}: {some}")
        if unread:
            notes.append(f"the site does not declare {', '.join(unread)} under live_facts in site.yaml")
        return notes

    def live(self) -> Live | None:
        """The default release's items and names; None before the first promotion. Raises as `Repository.release`.

        Remembered until another release is the default: a price must not cost the reading of a whole release, and what
        a version holds never changes. Threads that ask at once may each read it; they find the same.
        """
        assignment = self._repository.assignment()
        if assignment is None:
            return None
        live = self._live
        if live is None or live.release != assignment.default:
            resources = self._repository.release(assignment.default).resources
            items = frozenset(item.id for item in decode_catalogue(resources[CATALOGUE]).items)
            live = Live(assignment.default, items, frozenset(decode_policy(resources[POLICY]).site.live_facts))
            self._live = live
        return live

    def halt(self, *, by: str) -> FactSheetRow:
        """The kill switch: nodes serve by the released catalogue alone. Raises UnavailableError as `change`."""
        row = self._next({}, by, halted=True, audit=AuditEntry(by, HALT, "live facts"))
        assert row is not None
        return row

    def resume(self, *, by: str) -> FactSheetRow | None:
        """Let the facts count again, as they are now."""
        return self._next({}, by, halted=False, audit=AuditEntry(by, RESUME, "live facts"))

    def keep_up(self) -> FactSheetRow | None:
        """What a running hub does every now and then: publish what is not yet, renew what has half of its life behind.

        Returns the version that was made or published, None where nothing was due.
        """
        newest = self.newest()
        if newest is None:
            return None
        left_ms = newest.expires_ms - self._clock.now_ms()
        if not 0.5 <= left_ms / self._life_ms <= 1.0:  # noqa: PLR2004  # half, whole: as `ChainFolder.needs_refresh`
            return self._next({}, BY_CLOCK, renew=True)
        return newest if self._publish(newest.version) else None

    def _next(
        self,
        changes: FactChanges,
        by: str,
        *,
        halted: bool | None = None,
        renew: bool = False,
        audit: AuditEntry | None = None,
    ) -> FactSheetRow | None:
        self._repository.chain.check_keys(["facts"])
        row, data = self._ledger.change_facts(
            changes,
            who=by,
            now_ms=self._clock.now_ms(),
            life_ms=self._life_ms,
            above=self._repository.standing().facts,
            halted=halted,
            renew=renew,
            audit=audit,
        )
        if row is not None and data is not None:
            self._repository.publish_facts(data, row.version)
        elif row is not None:
            self._publish(row.version)
        return row

    def _publish(self, version: int) -> bool:
        """What the ledger has and nodes may not have yet."""
        if self._repository.standing().facts >= version:
            return False
        return self._repository.publish_facts(encode_facts(self._ledger.fact_sheet(version)), version)
