"""`edgewise hub learn`: the learning loop once around, its history, and what only a person may do with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edgewise.clock import utc_minute
from edgewise.errors import InputError
from edgewise.ids import ModelName
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import By, demand_folders, put
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.learning.loop import LearnReport
    from hub.learning.plan import LearnPlan
    from hub.ledger.learning import Turn
    from hub.release.releases import Releases
    from hub.settings import HubSettings

_DEEDS: Final = ("--approve", "--refuse", "--promote", "--halt", "--resume", "--history")


def learn(
    data_dir: DataDir,
    *,
    site: Annotated[
        Path | None, typer.Option(help="The site's folder; else learn_site of the settings.", file_okay=False)
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this model of the site; once for each.")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The hub's settings in TOML.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Go once around and end, as it does anyway.")] = False,  # noqa: ARG001
    history: Annotated[bool, typer.Option("--history", help="Only tell what was learned so far.")] = False,
    turn: Annotated[
        int | None, typer.Option(min=1, metavar="TURN", help="With --history: all steps of this one.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Where to write the history as a page with plots.")] = None,
    approve: Annotated[
        int | None, typer.Option(min=1, metavar="TURN", help="Vouch for its model and release; few nodes try it.")
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER=WHY", help="With --approve: why what flag NUMBER finds wrong is right."),
    ] = None,
    promote: Annotated[
        int | None, typer.Option(min=1, metavar="TURN", help="Let all nodes run it after its canary.")
    ] = None,
    refuse: Annotated[int | None, typer.Option(min=1, metavar="TURN", help="Turn it down; give a --reason.")] = None,
    halt: Annotated[
        bool, typer.Option("--halt", help="Stop the loop, and take back what few nodes try; give a --reason.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Let a halted loop go on.")] = False,
    reason: Annotated[str, typer.Option(help="Why; it is written down.")] = "",
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Go once around the learning loop: train on what is new, judge it, build a candidate, and wait for a person.

    Every step is written down with what it saw and why it ended. A challenger is judged by decisions that it has not
    learned from; only one that earns surely more, or is the same model with newer data and not worse, is built into a
    release. It serves nobody before a person approves it (--approve); then few nodes run it, are watched, and give it
    back at the first sure harm; a person promotes it (--promote). `hub serve` does so by itself with learn_every_ms.
    """
    from hub.audit import person
    from hub.learning.configured import plan_of
    from hub.settings import load_settings

    given = [approve is not None, refuse is not None, promote is not None, halt, resume, history]
    if sum(given) > 1:
        asked = " and ".join(name for name, is_given in zip(_DEEDS, given, strict=True) if is_given)
        raise InputError(f"{asked}: one at a time")
    if (refuse is not None or halt) and not reason.strip():
        raise InputError("expected --reason, which is written down beside it")
    if answer and approve is None:
        raise InputError("--answer goes with --approve")
    if turn is not None and not history:
        raise InputError("--turn goes with --history")
    demand_folders(html)
    terminal = Terminal(json=json, quiet=quiet)
    settings = load_settings(config, os.environ)
    from hub.release.releases import open_releases

    with open_releases(data_dir) as releases:
        if any(given) and not history:
            deed = _Deed(releases, plan_of(settings), person(by, os.environ), terminal)
            deed.take(approve, answer or [], promote=promote, refuse=refuse, halt=halt, reason=reason)
        elif not history:
            _around(terminal, releases, data_dir, settings, site=site, models=[ModelName(name) for name in model or []])
        else:
            _history(terminal, releases, [ModelName(name) for name in model or []], turn)
        if html is not None:
            from edgewise.clock import SystemClock
            from hub.learning.page import learning_page
            from hub.learning.story import story

            names = [ModelName(name) for name in model or []]
            put(html, learning_page(story(releases, SystemClock().now_ms(), names)))


class _Deed:
    """What a person does."""

    def __init__(self, releases: Releases, plan: LearnPlan, who: str, terminal: Terminal) -> None:
        from edgewise.clock import SystemClock
        from hub.learning.people import Person

        self._terminal = terminal
        self._person = Person(who, releases.ledger, releases, plan, SystemClock())

    def take(
        self,
        approve: int | None,
        answers: list[str],
        *,
        promote: int | None,
        refuse: int | None,
        halt: bool,
        reason: str,
    ) -> None:
        """The one that was asked for; without any of them, resume."""
        if approve is not None:
            from hub.commands.options import flag_answers
            from hub.scoring_child import ScoringChild

            with ScoringChild() as child, self._terminal.working("judging and signing"):
                self._tell(self._person.approve(approve, flag_answers(answers), child))
        elif promote is not None:
            self._tell(self._person.promote(promote))
        elif refuse is not None:
            self._tell(self._person.turn_down(refuse, reason))
        elif halt:
            switch = self._person.halt(reason)
            self._terminal.result(switch, f"the learning loop is halted by {switch.who}: {switch.reason}")
        else:
            switch = self._person.resume(reason)
            self._terminal.result(switch, f"the learning loop may go on, says {switch.who}")

    def _tell(self, turn: Turn) -> None:
        self._terminal.result(turn, f"turn {turn.number} is {turn.state}: {turn.reason}")


def _around(
    terminal: Terminal,
    releases: Releases,
    data_dir: Path,
    settings: HubSettings,
    *,
    site: Path | None,
    models: list[ModelName],
) -> None:
    from edgewise.clock import SystemClock
    from hub.learning.configured import alerts_of, plan_of
    from hub.learning.loop import models_to_learn, once_around, site_folder
    from hub.site.loading import load_site

    contents = load_site(site_folder(site, settings.learn_site))
    alerts = alerts_of(settings, data_dir, os.environ)
    with terminal.working("learning") as say:
        report = once_around(
            releases.ledger,
            releases,
            contents,
            plan_of(settings),
            models_to_learn(contents, models),
            clock=SystemClock(),
            alerts=alerts,
            say=say,
        )
    terminal.result(report, *_shown(report, releases))
    for told in report.told:
        if told.error:
            terminal.error(f"turn {told.turn}: nobody was told by {told.way}: {told.error}")


def _shown(report: LearnReport, releases: Releases) -> list[Any]:
    from hub.learning.people import halted_words

    shown: list[Any] = [halted_words(releases.ledger.switch())] if report.halted else []
    shown += [f"turn {turn.number}, {turn.model}: {turn.state}: {turn.reason}" for turn in report.turns]
    shown += [f"{model}: nothing to begin: {why}" for model, why in report.idle.items()]
    return shown


def _history(terminal: Terminal, releases: Releases, models: list[ModelName], turn: int | None) -> None:
    ledger = releases.ledger
    if turn is not None:
        told, steps = ledger.turn(turn), ledger.steps(turn)
        rows = [
            [step.number, utc_minute(step.time_ms), step.name, step.state, step.who, "; ".join(step.reasons) or "-"]
            for step in steps
        ]
        title = f"turn {told.number}, {told.model} in {told.placement}: {told.state}"
        columns = ["step", "when", "what", "state", "by", "why"]
        terminal.result({"turn": told, "steps": steps}, table(columns, rows, title=title))
        return
    found = [each for each in ledger.turns() if not models or each.model in models]
    switch = ledger.switch()
    rows = [
        [each.number, each.model, each.state, "-" if each.version is None else each.version,
         "-" if each.release is None else each.release, utc_minute(each.began_ms), each.reason or "-"]
        for each in found
    ]  # fmt: skip
    columns = ["turn", "model", "state", "version", "release", "began", "why"]
    terminal.result(
        {"halted": switch.halted, "switch": switch, "turns": found},
        table(columns, rows) if rows else "no turn of the learning loop has begun yet",
    )
