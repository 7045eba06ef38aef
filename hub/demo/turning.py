"""The loop turning once: a placement learns from its own choices, a person says yes, and the next choices show it.

Everything is done by the commands that a site's people would give. What the log said beforehand of the challenger is
kept beside what came of it afterwards.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edgewise.errors import UnavailableError
from hub.demo.hits import Rate, rate_of, sums_of
from hub.demo.picks import Pick

MODEL: Final = "pick_ranker"
SLICES: Final = 8
_OVERLAY: Final = "film_shop_learning"
SETTINGS: Final = """\
# A month in a minute: few decisions are enough to begin, and the trial on one node has no shortest time.
learn_fewest = 200
# Only as many guests as the data has; a shop would ask for more of them before it believes anything.
learn_least_ess = 50
# Nor would a shop be content with nineteen times in twenty, and with a half of them to learn from.
learn_alpha = 0.05
learn_judge_share = 0.5
learn_canary_share = 0.5
learn_canary_hours = 0.0
learn_canary_decisions = 100
"""
Command = Callable[..., bytes]
"""Runs `edgewise WORDS --json` and gives what it says."""


class Slice(msgspec.Struct, frozen=True):
    """A part of the guests' visits."""

    start: float
    """In [0, 1)."""
    lift: Rate
    """Share that was liked of the model's choices, less that of the rule's at the same moments."""
    learned: bool
    """Whether the release that was learned from their own choices made them."""


class Phase(msgspec.Struct, frozen=True):
    """Choices under one release."""

    release: int
    picks: int
    rule: Rate
    """Share of what it would have shown that was liked."""
    model: Rate
    lift: Rate


class Turned(msgspec.Struct, frozen=True):
    """What the loop did, and what came of it."""

    guests: int
    errors: int
    state: str
    """Of the turn: `promoted`, or how far it came."""
    reason: str
    predicted_lift: Rate | None
    """What the log said beforehand: the new model's reward less that of the one that made the choices."""
    phases: list[Phase]
    slices: list[Slice]


class _Turn(msgspec.Struct):
    number: int
    state: str
    reason: str = ""
    release: int | None = None


class _Report(msgspec.Struct):
    turns: list[_Turn] = []
    idle: dict[str, str] = {}


class Loop:
    """`edgewise hub learn`, as the demo gives it."""

    def __init__(self, site: Path, edgewise: Command, by: str) -> None:
        """`site` is what is live; what learns lies beside it afterwards."""
        self._site = site.with_name(f"{site.name}-learning")
        self._settings = site.with_name("hub.toml")
        self._edgewise = edgewise
        self._by = by
        shutil.copytree(site, self._site)
        for source in (files("hub.demo") / _OVERLAY).iterdir():
            (self._site / source.name).mkdir(exist_ok=True)
            for document in source.iterdir():
                (self._site / source.name / document.name).write_text(document.read_text(encoding="utf-8"))
        self._settings.write_text(SETTINGS)

    def around(self) -> _Turn:
        """Once around. Raises UnavailableError where no turn has begun."""
        words = ("hub", "learn", "--site", str(self._site), "--model", MODEL, "--config", str(self._settings))
        report = msgspec.json.decode(self._edgewise(*words), type=_Report)
        if not report.turns:
            raise UnavailableError(f"the learning loop began nothing: {report.idle.get(MODEL, 'no reason given')}")
        return report.turns[-1]

    def say(self, deed: str, turn: _Turn) -> _Turn:
        """A person approves or promotes."""
        words = ("hub", "learn", f"--{deed}", str(turn.number), "--by", self._by, "--config", str(self._settings))
        return msgspec.json.decode(self._edgewise(*words), type=_Turn)

    def predicted(self, turn: _Turn) -> Rate | None:
        """The lift by the log, as the turn has written it down."""
        told = msgspec.json.decode(self._edgewise("hub", "learn", "--history", "--turn", str(turn.number)))
        evidence: dict[str, Any] = next((one["result"] for one in told["steps"] if one["name"] == "evaluate"), {})
        lift = (evidence.get("off_policy") or {}).get("lift")
        return None if lift is None else Rate(lift["estimate"], lift["low"], lift["high"])


def turned(picks: Sequence[Pick], errors: int, turn: _Turn, predicted: Rate | None) -> Turned:
    """Figures of all choices, in their order."""
    releases = sorted({pick.bundle for pick in picks})
    learned = turn.release or -1
    return Turned(
        guests=len({pick.guest for pick in picks}),
        errors=errors,
        state=turn.state,
        reason=turn.reason,
        predicted_lift=predicted,
        phases=[_phase(release, [pick for pick in picks if pick.bundle == release]) for release in releases],
        slices=_slices(picks, learned),
    )


def _phase(release: int, picks: Sequence[Pick]) -> Phase:
    rule, model, lift = lift_of(picks)
    return Phase(release, len(picks), rule, model, lift)


def _slices(picks: Sequence[Pick], learned: int) -> list[Slice]:
    found = []
    for number in range(SLICES):
        within = [pick for pick in picks if number / SLICES <= pick.part < (number + 1) / SLICES]
        if within:
            share = sum(pick.bundle == learned for pick in within) / len(within)
            found.append(Slice(number / SLICES, lift_of(within)[2], share > 0.5))  # noqa: PLR2004  # most of them
    return found


def lift_of(picks: Sequence[Pick]) -> tuple[Rate, Rate, Rate]:
    """Shares of the rule's and the model's choices that were liked, and their difference at the same moments.

    95 % percentile bootstrap over guests, who are resampled whole: choices of one guest are not independent.
    """
    guests = {name: row for row, name in enumerate(sorted({pick.guest for pick in picks}))}
    sums = np.zeros((len(guests), 3))
    for pick in picks:
        sums[guests[pick.guest]] += (1, pick.rule_liked, pick.liked)
    samples = sums_of(sums)
    rule, model = samples[:, 1] / samples[:, 0], samples[:, 2] / samples[:, 0]
    return rate_of(rule), rate_of(model), rate_of(model - rule)
