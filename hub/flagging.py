"""Staff flag an item that was wrong where it was shown; every release after that is asked about it.

A flag is a case: a logged decision, a placement, a place in it, an item. A release is asked by replaying what the
visitor asked then, with his profile and the live facts of then, on the new bundle. Where the item stands at that place
again, or where nobody can tell, the release is not approved until somebody says why that is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from edgewise.admission.load import Bundle, load_bundle
from edgewise.decision import Decision
from edgewise.errors import MALFORMED, EdgewiseError, InputError, RefusedError
from edgewise.ids import BundleVersion, DecisionId, ItemId, PlacementName
from hub.ledger.flags import ASKED, Flag, FlagClosing, Flagged, FlagState
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.rows import ReleaseRow
from hub.release.releases import Releases
from hub.replay import Replayer
from hub.scoring_child import ScoringChild

MOST_WORDS: Final = 2_000


class Verdict(msgspec.Struct, frozen=True):
    """What one release makes of one flag."""

    flag: Flag
    stands: bool | None
    """Whether the item stands at that place again; None: nobody can tell."""
    found: str
    """What was found, in words."""

    @property
    def is_gone(self) -> bool:
        """The decision is not kept any more: there is nothing to ask."""
        return self.stands is None and self.found == GONE


GONE: Final = "its decision is not kept any more"


def flag_item(
    ledger: Ledger,
    decision_id: DecisionId,
    words: str,
    *,
    by: str,
    now_ms: int,
    placement: PlacementName | None = None,
    item: ItemId | None = None,
) -> Flag:
    """Flag an item of a logged decision; which one is to be said where it showed several.

    Raises InputError when there is no such decision, when it did not show the item, when it is not clear which one is
    meant, and for words that are none, longer than 2,000 characters or flagged already.
    """
    words = words.strip()
    if not words or len(words) > MOST_WORDS or "\0" in words:
        raise InputError(f"what is wrong with it: got {len(words)} characters, expected 1 to {MOST_WORDS:,} of text")
    try:
        record = ledger.decision(decision_id)
        if record is None:
            raise InputError(f"the ledger holds no decision {decision_id!r}; expected one that a node has reported")
        shown = msgspec.json.decode(record.decision, type=Decision)
    except MALFORMED as damaged:
        raise InputError(f"decision {decision_id} was logged damaged: {damaged}") from damaged
    places = [
        (name, chosen)
        for name, placed in shown.placements.items()
        for chosen in placed.items
        if placement in {None, name} and item in {None, chosen.id}
    ]
    if len(places) != 1:
        there = ", ".join(
            f"{name}: {chosen.id}" for name, placed in shown.placements.items() for chosen in placed.items
        )
        which = "no such item" if not places else f"{len(places)} items, say which by --placement and --item"
        raise InputError(f"decision {decision_id} showed {which}; it showed {there or 'nothing'}")
    name, chosen = places[0]
    for flag in ledger.flags(ASKED, decision_id=decision_id):
        if (flag.placement, flag.item) == (name, chosen.id):
            raise InputError(f"{chosen.id} in {name} of decision {decision_id} is flagged already, as {flag.number}")
    flagged = Flagged(decision_id, record.subject, record.time_ms, name, chosen.id, chosen.rank, words)
    return ledger.add_flag(flagged, by, now_ms)


def verdicts(ledger: Ledger, releases: Releases, child: ScoringChild, version: BundleVersion) -> list[Verdict]:
    """What a release makes of every flag that asks.

    Raises:
        InputError: there is no such release.
        BundleRefused: it is damaged.
    """
    if not ledger.flags(ASKED):
        return []
    built = releases.bundle(version)
    return stands_again(ledger, releases, child, load_bundle(built.manifest, built.digest, built.resources))


def stands_again(ledger: Ledger, releases: Releases, child: ScoringChild, bundle: Bundle) -> list[Verdict]:
    """What a bundle makes of every flag that asks, be it a release already or not."""
    asking = ledger.flags(ASKED)
    replayer = Replayer(ledger, releases, child)
    found = []
    for flag in asking:
        try:
            record = ledger.decision(flag.decision_id)
            if record is None:
                found.append(Verdict(flag, None, GONE))
                continue
            again = replayer.again(record, bundle=bundle)
        except (EdgewiseError, *MALFORMED) as failed:
            found.append(Verdict(flag, None, f"it cannot be asked again: {str(failed).splitlines()[0]}"))
            continue
        unsure = (*again.missing, *again.notes)
        found.append(_verdict(flag, again.decision, unsure))
    return found


def approve_release(
    data_dir: Path, version: BundleVersion, *, by: str, answers: Mapping[int, str]
) -> tuple[ReleaseRow, list[Verdict]]:
    """Ask a release about every flag, and approve it where each is fixed or answered (number -> why it is right).

    Raises:
        InputError: an answer to no flag that asks; else as `Releases.approve`.
        RefusedError: `flagged`: what still stands, and how to answer.
    """
    with open_ledger(data_dir) as ledger, ScoringChild() as child:
        releases = Releases(data_dir, ledger)
        found = verdicts(ledger, releases, child, version)
        row = releases.approve(version, by=by, flags=closings(version, found, answers))
    return row, found


def closings(version: BundleVersion, found: Sequence[Verdict], answers: Mapping[int, str]) -> list[FlagClosing]:
    """What to write down of each flag. Raises as `approve_release`."""
    needless = sorted(set(answers) - {verdict.flag.number for verdict in found})
    if needless:
        asking = ", ".join(str(verdict.flag.number) for verdict in found) or "none"
        raise InputError(f"--answer {needless[0]}: no such flag asks; those that do: {asking}")
    blank = [number for number, answer in answers.items() if not answer.strip()]
    if blank:
        raise InputError(f"--answer {blank[0]}: expected why it is right, got nothing")
    closed, waiting = [], []
    for verdict in found:
        number = verdict.flag.number
        if verdict.is_gone:
            closed.append(FlagClosing(number, FlagState.VOID))
        elif verdict.stands is False:
            closed.append(FlagClosing(number, FlagState.FIXED))
        elif number in answers:
            closed.append(FlagClosing(number, FlagState.ANSWERED, answers[number].strip()))
        else:
            waiting.append(verdict)
    if waiting:
        told = "; ".join(
            f"flag {each.flag.number} by {each.flag.who} ({each.flag.words!r}): {each.found}" for each in waiting
        )
        how = f"answer with --answer {waiting[0].flag.number}='why it is right', or mend it and build another release"
        raise RefusedError("flagged", f"release {version} is not approved: {told}; {how}")
    return closed


def _verdict(flag: Flag, decision: Decision, unsure: Sequence[str]) -> Verdict:
    placed = decision.placements.get(flag.placement)
    there = None if placed is None else next((item.id for item in placed.items if item.rank == flag.rank), None)
    if there == flag.item:
        return Verdict(flag, stands=True, found=f"{flag.item} stands at place {flag.rank} of {flag.placement} again")
    if unsure:
        return Verdict(flag, None, f"it cannot be asked again as it was: {'; '.join(unsure)}")
    instead = f"{there} stands" if there is not None else "nothing stands"
    return Verdict(flag, stands=False, found=f"{instead} at place {flag.rank} of {flag.placement}")
