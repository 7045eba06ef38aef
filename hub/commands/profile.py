"""`edgewise profile show ID`: what the hub knows of one visitor."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.profile_story import Story

app = typer.Typer(no_args_is_help=True, help="What is known of a visitor.")


@app.callback()
def _group() -> None:
    """Keep `show` a word of its own, although it is the only one so far."""


@app.command()
def show(
    visitor: Annotated[
        str, typer.Argument(metavar="ID", help="An anonymousId, a userId, or a subject (32 hex digits).")
    ],
    *,
    data_dir: DataDir,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Also everything that happened, and who says so.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show a visitor's profile as all nodes will have it."""
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
    facts: list[list[Any]] = [
        ["subject", story.subject],
        ["seen", f"{_time(story.first_ms)} to {_time(story.last_ms)}" if story.last_ms else "never"],
        ["did", ", ".join(f"{kind} {count:,}" for kind, count in story.counts.items()) or "nothing"],
        *([dimension, _largest(values)] for dimension, values in story.shares.items()),
        ["last items", ", ".join(story.last_items) or "none"],
        *([["spent", f"{story.spent_minor / 100:,.2f}"]] if story.spent_minor else []),
        *([f"trait {name}", str(value)] for name, value in story.traits.items()),
        ["linked", ", ".join(f"{kind} {count}" for kind, count in story.identifiers.items()) or "nothing"],
        ["dial", story.dial],
        *([f"mutes {kind}", ", ".join(values)] for kind, values in story.mute.items()),
        ["consent", ", ".join(f"{purpose} {state}" for purpose, state in story.consent.items()) or "said nothing"],
        ["sources", ", ".join(f"{source} up to {seq:,}" for source, seq in story.sources.items()) or "none"],
    ]
    shown: list[Any] = [table(["what", "is known"], _plain(facts))]
    if story.timeline is not None:
        rows = [
            [_time(moment.time_ms), moment.what, moment.about, f"{moment.source} #{moment.seq}"]
            for moment in story.timeline
        ]
        shown.append(table(["when", "what", "about", "says"], _plain(rows), title="\ntimeline"))
    return shown


def _plain(rows: list[list[Any]]) -> list[list[Any]]:
    """The same without characters that a terminal would obey: names of items and events are anybody's words."""
    return [["".join(mark if mark.isprintable() else "\ufffd" for mark in str(cell)) for cell in row] for row in rows]


def _largest(values: dict[str, float], most: int = 5) -> str:
    return ", ".join(f"{value} {share:.0%}" for value, share in list(values.items())[:most])


def _time(time_ms: int) -> str:
    return dt.datetime.fromtimestamp(time_ms / 1_000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
