"""Once around: what waits is looked after, what died is gone on with, and where enough is new another turn begins."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from edgewise.clock import Clock
from edgewise.errors import InputError, RefusedError
from edgewise.ids import ModelName
from hub.learning.alerts import Alerts, Told
from hub.learning.following import Following
from hub.learning.gathering import Gatherer
from hub.learning.people import halted_words
from hub.learning.plan import LearnPlan
from hub.learning.turns import Say, TrainAsked, Turns, Workshop, open_turn
from hub.lease import Held, held, holder_name
from hub.ledger.learning import OPEN, StepName, Turn, TurnState
from hub.ledger.ledger import Ledger
from hub.release.releases import Releases
from hub.scoring_child import ScoringChild
from hub.site.loading import SiteContents

_LOOKED_BACK: Final = 20
"""Turns that are over, of which somebody may still have to be told."""


class LearnReport(msgspec.Struct, frozen=True, kw_only=True):
    """What once around came to; the JSON of `edgewise hub learn`."""

    halted: bool = False
    turns: tuple[Turn, ...] = ()
    """That began, went on, were looked at, or ended."""
    idle: dict[ModelName, str] = {}
    """Models of which no turn is open -> why none began."""
    told: tuple[Told, ...] = ()
    """Whom it was tried to tell that a person is needed."""


def models_to_learn(contents: SiteContents, names: Sequence[ModelName] = ()) -> list[ModelName]:
    """Models of a site that are trained from the ledger. Raises InputError for a name that is none, or without any."""
    known = sorted(contents.recipes)
    unknown = [name for name in names if name not in contents.recipes]
    if unknown or not known:
        there = ", ".join(known) or "none"
        what = f"{unknown[0]!r} is no model that the site says how to train" if unknown else "nothing to learn"
        raise InputError(f"{what}; models/NAME.yaml with `train` and a placement that ranks by it: {there}")
    return list(names) or known


def once_around(
    ledger: Ledger,
    releases: Releases,
    contents: SiteContents,
    plan: LearnPlan,
    models: Sequence[ModelName],
    *,
    clock: Clock,
    alerts: Alerts,
    workshop: Workshop | None = None,
    say: Say = lambda _: None,
) -> LearnReport:
    """Take every step that needs no person; returns what came of it.

    `workshop`: who trains and gathers; the site's own trainer and `Gatherer` where it is not given.

    Raises:
        RefusedError: `lease`: another process is at it.
        UnavailableError: the ledger, or the scorer, is away; what was written down stays.
    """
    switch = ledger.switch()
    if switch.halted:
        say(halted_words(switch))
        return LearnReport(halted=True, turns=tuple(ledger.turns(OPEN)))
    with contextlib.ExitStack() as open_until_the_end:
        lease = open_until_the_end.enter_context(held(ledger, holder_name(), clock))
        work = workshop
        if work is None:
            child = open_until_the_end.enter_context(ScoringChild())
            work = own_workshop(ledger, releases, contents, plan, child)
        turns = Turns(ledger, releases, contents, plan, work, clock=clock, lease=lease, say=say)
        following = Following(ledger, releases, contents, plan, clock=clock, lease=lease)
        touched: list[Turn] = []
        idle: dict[ModelName, str] = {}
        for model in models:
            turn = open_turn(ledger, model)
            if turn is not None and turn.state is not TurnState.RUNNING:
                turn = following.look_after(turn)
                touched.append(turn)
            if turn is None or turn.state not in OPEN:
                begun = _begin(turns, model, plan, idle)
                if begun is None:
                    continue
                turn = begun
            if turn.state is TurnState.RUNNING:
                touched.append(turns.go_on(turn))
        told = _tell(ledger, alerts, touched, lease, clock)
    return LearnReport(turns=tuple(touched), idle=idle, told=tuple(told))


def own_workshop(
    ledger: Ledger, releases: Releases, contents: SiteContents, plan: LearnPlan, child: ScoringChild
) -> Workshop:
    """The trainer of `edgewise train ranker`, in this process, and evidence by the scorer that serves."""
    gatherer = Gatherer(ledger, releases, contents, plan, child)

    def train(asked: TrainAsked) -> None:
        from hub.train.ranker import How, train_ranker

        how = How(incremental=asked.parent is not None, parent=asked.parent, until_ms=asked.until_ms)
        train_ranker(contents, ledger, releases.registry, asked.model, by=asked.by, seed=asked.seed, how=how)

    return Workshop(train, gatherer.check_parity, gatherer)


def _begin(turns: Turns, model: ModelName, plan: LearnPlan, idle: dict[ModelName, str]) -> Turn | None:
    try:
        begun = turns.begin(model)
    except (InputError, RefusedError) as refused:
        idle[model] = str(refused)
        return None
    if isinstance(begun, Turn):
        return begun
    idle[model] = f"{begun.new:,} new outcomes or decisions; expected at least {plan.gate.fewest_new:,}"
    return None


def _tell(ledger: Ledger, alerts: Alerts, touched: Sequence[Turn], lease: Held, clock: Clock) -> list[Told]:
    told = []
    ended = ledger.turns({TurnState.STOPPED}, limit=_LOOKED_BACK)
    missed = [turn for turn in ended if any(step.name is StepName.ALERT for step in ledger.steps(turn.number))]
    for turn in {turn.number: turn for turn in (*missed, *touched)}.values():
        lease.check()
        told += alerts.about(turn, ledger, now_ms=clock.now_ms())
    return told


def site_folder(given: Path | None, configured: str) -> Path:
    """The site that is learned for. Raises InputError where nobody says which."""
    if given is not None:
        return given
    if configured:
        return Path(configured)
    raise InputError("which site is learned for? expected --site DIR, or learn_site in the hub's settings")
