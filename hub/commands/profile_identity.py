"""`edgewise profile merge|unmerge|rules`: who is one person, as people state it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from edgewise.ids import SubjectId
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import By
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.identity.rules import IdentityRules
    from hub.identity.undo import Known
    from hub.ledger.ledger import Ledger

Visitor = Annotated[
    str,
    typer.Argument(metavar="ID", help="An anonymousId, userId, e-mail address, phone number, subject, or KIND:VALUE."),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the statement.")]


class Stated(msgspec.Struct, frozen=True):
    """What `merge` and `unmerge` report."""

    left: SubjectId
    right: SubjectId
    are_one: bool
    """Whether both are one person now."""
    changed: int
    """Subjects whose person has other members now."""
    left_members: tuple[SubjectId, ...]
    right_members: tuple[SubjectId, ...]
    did: str
    """In one sentence."""


def merge(
    visitor: Visitor,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The same person under another identifier.")],
    *,
    data_dir: DataDir,
    reason: Reason = "",
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """State that two visitors are one person; `unmerge` takes it back without a trace in any profile."""
    from edgewise.clock import SystemClock
    from edgewise.errors import InputError, RefusedError
    from hub.audit import person
    from hub.keys import KeyFolder
    from hub.ledger.ledger import open_ledger
    from hub.profile_story import subject_named

    who = person(by, os.environ)
    key = KeyFolder(data_dir).secrets().subject_key
    with open_ledger(data_dir) as ledger:
        left, right = subject_named(ledger, key, visitor), subject_named(ledger, key, other)
        if left == right:
            raise InputError(f"{visitor!r} and {other!r} are one subject: {left}")
        known = known_between(ledger, left, right)
        if known.joined(left, right):
            changed, did = 0, f"nothing to do: {visitor} and {other} are one person already"
        elif not known.would_join(left, right):
            raise RefusedError(
                "kept-apart",
                f"{visitor} and {other} cannot be one person: subjects of theirs were stated to be two people; "
                "merge those, or take their merges back, first (edgewise profile show ID lists them)",
            )
        else:
            changed = len(ledger.state_merge(left, right, who=who, reason=reason, now_ms=SystemClock().now_ms()))
            did = f"{visitor} and {other} are one person now"
        stated = _stated(ledger, left, right, changed, did)
    Terminal(json=json, quiet=quiet).result(stated, *_shown(stated))


def unmerge(
    visitor: Visitor,
    other: Annotated[
        str | None,
        typer.Argument(metavar="[OTHER]", help="Who is not the same person; without it, the latest merge goes."),
    ] = None,
    *,
    data_dir: DataDir,
    reason: Reason = "",
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take a merge back, or state that two visitors are two people where no merge but links join them."""
    from edgewise.clock import SystemClock
    from edgewise.errors import InputError
    from hub.audit import person
    from hub.keys import KeyFolder
    from hub.ledger.ledger import open_ledger
    from hub.profile_story import subject_named

    who = person(by, os.environ)
    key = KeyFolder(data_dir).secrets().subject_key
    with open_ledger(data_dir) as ledger:
        left = subject_named(ledger, key, visitor)
        members = ledger.members_of(left)
        known = known_between(ledger, left, left)
        if other is None:
            merges = known.merges(members)
            if not merges:
                raise InputError(
                    f"there is no merge to take back: {visitor} is {_people(members)} that nobody merged; "
                    f"`edgewise profile unmerge {visitor} OTHER` states who is somebody else"
                )
            pair, right = merges[0], merges[0][1]
            left = merges[0][0]
            did = f"the merge of {pair[0]} and {pair[1]} is taken back"
        else:
            right = subject_named(ledger, key, other)
            if left == right:
                raise InputError(f"{visitor!r} and {other!r} are one subject: {left}")
            merged = known.merge_between(left, right, members) if right in members else None
            pair = merged or (left, right)
            did = f"{visitor} and {other} are two people from now on"
            if merged is not None:
                did = f"the merge of {pair[0]} and {pair[1]} is taken back"
        changed = len(ledger.state_unmerge(*pair, who=who, reason=reason, now_ms=SystemClock().now_ms()))
        stated = _stated(ledger, left, right, changed, did)
        if stated.are_one:
            cure = "links join them as well; say `edgewise profile unmerge` with both once more to keep them apart"
            stated = msgspec.structs.replace(stated, did=f"{did}; {cure}")
    Terminal(json=json, quiet=quiet).result(stated, *_shown(stated))


def rules(
    *,
    data_dir: DataDir,
    site: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            exists=True,
            help="Put the rules of this site's identity.yaml in force, and compute everybody again.",
        ),
    ] = None,
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what may join people, or put a site's `identity.yaml` in force."""
    from edgewise.clock import SystemClock
    from hub.audit import person
    from hub.identity.rules import DEFAULT_RULES, rules_of
    from hub.keys import KeyFolder
    from hub.ledger.ledger import open_ledger
    from hub.ledger.rows import AuditEntry
    from hub.site.loading import load_site
    from hub.site.reading import IDENTITY_FILE

    terminal = Terminal(json=json, quiet=quiet)
    changed: int | None = None
    with open_ledger(data_dir) as ledger:
        if site is not None:
            file = load_site(site).identity
            wanted = DEFAULT_RULES if file is None else rules_of(file, KeyFolder(data_dir).secrets().subject_key)
            if file is None:
                terminal.note(f"{site} has no {IDENTITY_FILE}: the built-in rules hold")
            entry = AuditEntry(person(by, os.environ), "profile rules", IDENTITY_FILE)
            changed = len(ledger.use_rules(wanted, now_ms=SystemClock().now_ms(), audit=entry))
        held = ledger.identity_rules()
    shown = "" if changed is None else f"{changed:,} subjects belong to another person now"
    terminal.result({"rules": held, "changed": changed}, _rules_table(held), *([shown] if shown else []))


def known_between(ledger: Ledger, left: SubjectId, right: SubjectId) -> Known:
    """What is known of two people, enough to say whether they could be one."""
    from hub.identity.undo import Known

    mine, theirs = ledger.component_of(left), ledger.component_of(right)
    return Known(
        [*{*mine.links, *theirs.links}],
        [*{*mine.statements, *theirs.statements}],
        ledger.identity_rules(),
        mine.crowded | theirs.crowded,
    )


def _stated(ledger: Ledger, left: SubjectId, right: SubjectId, changed: int, did: str) -> Stated:
    people = ledger.people_of([left, right])
    return Stated(left, right, right in people[left], changed, people[left], people[right], did)


def _shown(stated: Stated) -> list[Any]:
    told = [stated.did]
    if stated.are_one:
        told.append(f"{stated.left} is {_people(stated.left_members)}")
    else:
        told += [
            f"{each} is {_people(members)}"
            for each, members in ((stated.left, stated.left_members), (stated.right, stated.right_members))
        ]
    return told


def _people(members: tuple[SubjectId, ...]) -> str:
    return "one subject" if len(members) == 1 else f"a person of {len(members)} subjects"


def _rules_table(held: IdentityRules) -> Any:
    columns = ["kind, strongest first", "most a person has", "most who name one", "most users of one", "joins people"]
    rows = [
        [
            each.kind,
            "any" if each.limit is None else each.limit,
            each.most_people,
            "any" if each.most_users is None else each.most_users,
            "yes" if each.links_people else "no",
        ]
        for each in (*held.kinds, held.of("any other"))
    ]
    return table(columns, [[str(cell) for cell in row] for row in rows])
