"""`edgewise profile show ID`: what the hub knows of one person; `merge` and `unmerge` say who is one."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.profile_identity import Visitor, merge, rules, unmerge
from hub.commands.profile_rights import erase, export
from hub.commands.profile_suggestions import suggestions
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.profile_story import Part, Story

app = typer.Typer(no_args_is_help=True, help="What is known of a visitor, and who is one person.")
app.command()(merge)
app.command()(unmerge)
app.command()(rules)
app.command()(export)
app.command()(erase)
app.command()(suggestions)


@app.command()
def show(
    visitor: Visitor,
    *,
    data_dir: DataDir,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Also everything that happened, and who says so.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show a person's profile, of all his identifiers, as every node will have it, and where each fact came from."""
    from edgewise.clock import SystemClock
    from hub.keys import KeyFolder
    from hub.ledger.ledger import open_ledger
    from hub.profile_story import story_of, subject_named

    subject_key = KeyFolder(data_dir).secrets().subject_key
    with open_ledger(data_dir) as ledger:
        subject = subject_named(ledger, subject_key, visitor)
        story = story_of(ledger, subject, now_ms=SystemClock().now_ms(), timeline=timeline)
    Terminal(json=json, quiet=quiet).result(story, *_shown(story))


def _shown(story: Story) -> list[Any]:
    from hub.profile_now import in_rows

    everybody = ", ".join(dict.fromkeys(source for part in story.parts for source in part.sources)) or "nobody"
    facts: list[list[Any]] = [
        ["person", story.person, _how_many(len(story.parts), "identifier")],
        ["seen", f"{_time(story.first_ms)} to {_time(story.last_ms)}" if story.last_ms else "never", everybody],
        *(
            [f"did {kind}", f"{count:,}", "; ".join(story.counted_by.get(kind, []))]
            for kind, count in story.counts.items()
        ),
        *([dimension, _largest(values), everybody] for dimension, values in story.shares.items()),
        ["last items", ", ".join(story.last_items) or "none", everybody],
        *([["spent", f"{story.spent_minor / 100:,.2f}", everybody]] if story.spent_minor else []),
        *([what, known, everybody] for what, known in in_rows(story.now)),
        *(
            [name, str(fact.value), f"{fact.says}, {_time(fact.time_ms)}, {fact.identifier}"]
            for name, fact in story.facts.items()
        ),
        *([] if "dial" in story.facts else [["dial", story.dial, "nobody: it begins so"]]),
        *([] if story.consent else [["consent", "said nothing", ""]]),
        ["linked", ", ".join(f"{kind} {count}" for kind, count in story.identifiers.items()) or "nothing", ""],
        ["sources", ", ".join(f"{source} up to {seq:,}" for source, seq in story.sources.items()) or "none", ""],
    ]
    shown: list[Any] = [table(["what", "is known", "says"], _plain(facts))]
    if len(story.parts) > 1:
        named = {part.subject: f"{part.kind} {part.subject}" for part in story.parts}
        parts = [
            [named[part.subject], _span(part) if part.has_profile else "only links others", ", ".join(part.sources)]
            for part in story.parts
        ]
        shown.append(table(["identifier", "seen", "says"], _plain(parts), title="\nidentifiers"))
        joints = [[_time(joint.since_ms), named[joint.left], named[joint.right], joint.says] for joint in story.joints]
        shown.append(table(["since", "is", "the same person as", "says"], _plain(joints), title="\nwhy one person"))
    if story.timeline is not None:
        rows = [
            [_time(moment.time_ms), moment.what, moment.about, moment.identifier, f"{moment.says} #{moment.seq}"]
            for moment in story.timeline
        ]
        shown.append(table(["when", "what", "about", "as", "says"], _plain(rows), title="\ntimeline"))
    return shown


def _how_many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _span(part: Part) -> str:
    return f"{_time(part.first_ms)} to {_time(part.last_ms)}" if part.last_ms else "only stated something"


def _plain(rows: list[list[Any]]) -> list[list[Any]]:
    """The same without characters that a terminal would obey: names of items and events are anybody's words."""
    return [["".join(mark if mark.isprintable() else "\ufffd" for mark in str(cell)) for cell in row] for row in rows]


def _largest(values: dict[str, float], most: int = 5) -> str:
    return ", ".join(f"{value} {share:.0%}" for value, share in list(values.items())[:most])


def _time(time_ms: int) -> str:
    return dt.datetime.fromtimestamp(time_ms / 1_000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
