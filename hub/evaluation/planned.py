"""What a planned release would have shown in decisions that were made: the share that visitors would see change.

Each of the latest decisions is asked again, with its own profile, live facts, page, moment and draws, of the release
that serves and of the planned one. What differs is what the plan changes, and nothing else: exploration draws the same
numbers, and what a release before showed has no say.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.manifest import TEMPLATES
from edgewise.decision import PlacementDecision
from edgewise.errors import InputError, RefusedError
from edgewise.ids import PlacementName
from edgewise.records import DecisionRecord
from edgewise.rendering import Links, ShownItem, content_of, render_placement
from hub.evaluation.changed_share import Share, said, share_of
from hub.ledger.ledger import Ledger
from hub.release.bundle import BuiltBundle
from hub.replay import Replayer

MOST: Final = 500
"""Decisions that are asked again where nobody says how many."""
Progress = Callable[[int, int], None]
"""Is told how many decisions of how many have been asked about."""


class PlacementShare(msgspec.Struct, frozen=True):
    """What would change in one placement. The kinds of change exclude each other, the first that holds counts."""

    share: Share
    is_gone: bool
    """The planned release does not have it: every decision changes."""
    items: int
    """Other items, or the same in another order."""
    words: int
    """The same items, in other words: their content, a variant or a representation."""
    looks: int
    """The same items and words, by another template."""


class Replayed(msgspec.Struct, frozen=True):
    """What came of asking again."""

    share: Share
    """Of decisions in which any placement changes."""
    placements: dict[PlacementName, PlacementShare]
    left_out: dict[str, int]
    """Why decisions were not asked again -> how many. `dry-run`, `forced`; `no-bundle`: the node had none;
    `no-profile`: the ledger does not hold all that the node had read; `no-facts`: not kept any more; `refused`."""
    first_ms: int | None = None
    """When the first and the last of those that were asked were made."""
    last_ms: int | None = None


def replayed_share(
    ledger: Ledger,
    replayer: Replayer,
    live: BuiltBundle,
    planned: BuiltBundle,
    *,
    most: int = MOST,
    progress: Progress = lambda _done, _of: None,
) -> Replayed:
    """Ask the latest `most` decisions of the ledger again, of the live release and of the planned one.

    Raises BundleRefused: a node would refuse one of them.
    """
    both = _Both(replayer, live, planned)
    records = ledger.latest_decisions(most)
    for done, record in enumerate(records, 1):
        both.ask(record)
        progress(done, len(records))
    return both.result()


class _Both:
    """The two releases, and what was found so far."""

    def __init__(self, replayer: Replayer, live: BuiltBundle, planned: BuiltBundle) -> None:
        self._replayer = replayer
        self._live = load_bundle(live.manifest, live.digest, live.resources)
        self._planned = load_bundle(planned.manifest, planned.digest, planned.resources)
        self._looks_differ = live.resources.get(TEMPLATES) != planned.resources.get(TEMPLATES) or any(
            placement.template != self._planned.policy.placements[name].template
            for name, placement in self._live.policy.placements.items()
            if name in self._planned.placements
        )
        self._kinds: dict[PlacementName, list[str]] = {}
        """What changed in each decision, blank for nothing."""
        self._visitors_of: dict[PlacementName, list[str]] = {}
        self._any: list[bool] = []
        self._visitors: list[str] = []
        self._times_ms: list[int] = []
        self._left_out: Counter[str] = Counter()

    def ask(self, record: DecisionRecord) -> None:
        found = self._compared(record)
        if isinstance(found, str):
            self._left_out[found] += 1
            return
        visitor = record.subject or record.unit or record.decision_id
        for name, kind in found.items():
            self._kinds.setdefault(name, []).append(kind)
            self._visitors_of.setdefault(name, []).append(visitor)
        self._any.append(any(found.values()))
        self._visitors.append(visitor)
        self._times_ms.append(record.time_ms)

    def result(self) -> Replayed:
        return Replayed(
            share=share_of(self._any, self._visitors),
            placements={name: self._placement(name, kinds) for name, kinds in sorted(self._kinds.items())},
            left_out=dict(sorted(self._left_out.items())),
            first_ms=min(self._times_ms, default=None),
            last_ms=max(self._times_ms, default=None),
        )

    def _placement(self, name: PlacementName, kinds: Sequence[str]) -> PlacementShare:
        counted = Counter(kinds)
        return PlacementShare(
            share=share_of([bool(kind) for kind in kinds], self._visitors_of[name]),
            is_gone=name not in self._planned.placements,
            items=counted["items"],
            words=counted["words"],
            looks=counted["looks"],
        )

    def _compared(self, record: DecisionRecord) -> dict[PlacementName, str] | str:
        """Placement -> what changes there; or why nothing can be said of the decision."""
        if record.dry_run or record.force or not record.bundle_digest:
            return "dry-run" if record.dry_run else "forced" if record.force else "no-bundle"
        asked = [request.name for request in record.placements if request.name in self._live.placements]
        kept = [name for name in asked if name in self._planned.placements]
        found = {name: "gone" for name in asked if name not in kept}
        if kept:
            past = self._replayer.past(record)
            if past.missing:
                return "no-profile"
            try:
                before = self._replayer.again(record, bundle=self._live, placements=kept, past=past).decision
                after = self._replayer.again(record, bundle=self._planned, placements=kept, past=past).decision
            except RefusedError:
                return "no-facts"
            except InputError:
                return "refused"
            for name in kept:
                found[name] = self._kind(name, before.placements[name], after.placements[name], record.context.locale)
        return found or "no-placement"

    def _kind(self, name: PlacementName, before: PlacementDecision, after: PlacementDecision, locale: str) -> str:
        if [item.id for item in before.items] != [item.id for item in after.items]:
            return "items"
        if [item.content_digest for item in before.items] != [item.content_digest for item in after.items]:
            return "words"
        if self._looks_differ and _html(self._live, name, before, locale) != _html(self._planned, name, after, locale):
            return "looks"
        return ""


def _html(bundle: Bundle, name: PlacementName, placed: PlacementDecision, locale: str) -> str:
    shown = [
        ShownItem(
            item.id,
            item.rank,
            item.reason,
            content_of(bundle, item.id, item.variant or "", item.representation or ""),
        )
        for item in placed.items
    ]
    return render_placement(bundle, name, shown, locale=locale, decision_id="", deferred=False, links=Links())


def said_of_placements(placements: Mapping[PlacementName, PlacementShare]) -> list[str]:
    """A line a placement, those that change most first."""
    lines = []
    for name, found in sorted(placements.items(), key=lambda pair: (-pair[1].share.share, pair[0])):
        kinds = ["it is gone"] if found.is_gone else []
        for count, what in ((found.items, "other items"), (found.words, "other words"), (found.looks, "another look")):
            kinds += [f"{what} in {count:,}"] if count else []
        lines.append(f"{name}: {said(found.share)}" + (f" ({', '.join(kinds)})" if kinds else ""))
    return lines


def said_of(found: Replayed) -> list[str]:
    """What came of asking again, for people."""
    left_out = ", ".join(f"{why} {count:,}" for why, count in found.left_out.items())
    beside = [f"left out: {left_out}"] if left_out else []
    if not found.share.decisions or found.first_ms is None or found.last_ms is None:
        return ["none of the latest decisions could be asked again", *beside]
    first, last = (dt.datetime.fromtimestamp(ms / 1_000, dt.UTC) for ms in (found.first_ms, found.last_ms))
    asked = (
        f"asked again: the latest {found.share.decisions:,} decisions, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
    )
    lines = [f"  {line}" for line in said_of_placements(found.placements)]
    return [f"{asked} UTC", said(found.share), *lines, *beside]
