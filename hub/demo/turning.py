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
from hub.demo.hits import CONFIDENCE, RESAMPLES, SEED, Rate
from hub.demo.picks import Pick

MODEL: Final = "pick_ranker"
SLICES: Final = 8
_OVERLAY: Final = "film_shop_learning"
SETTINGS: Final = """\
# A month in a minute: few decisions are enough to begin, and the trial on one node has no shortest time.
learn_fewest = 200
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
    """Share that was liked of the challenger's choices, less that of the champion's."""
    learned: bool
    """Whether the release that was learned from their own choices made them."""


class Phase(msgspec.Struct, frozen=True):
    """Choices under one release."""

    release: int
    picks: int
    champion: Rate
    """Share of its choices that was liked."""
    challenger: Rate
    lift: Rate


class Turned(msgspec.Struct, frozen=True):
    """What the loop did, and what came of it."""

    guests: int
    errors: int
    state: str
    """Of the turn: `promoted`, or how far it came."""
    reason: str
    predicted_lift: Rate | None
    """What the log said beforehand: the challenger's reward less that of the model that made the choices."""
    phases: list[Phase]
    slices: list[Slice]

    @property
    def learned(self) -> bool:
        """Whether a second release serves, and its challenger is surely better than the rule."""
        return len(self.phases) > 1 and self.phases[-1].lift.ci_low > 0


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
    champion, challenger, lift = lift_of(picks)
    return Phase(release, len(picks), champion, challenger, lift)


def _slices(picks: Sequence[Pick], learned: int) -> list[Slice]:
    found = []
    for number in range(SLICES):
        within = [pick for pick in picks if number / SLICES <= pick.part < (number + 1) / SLICES]
        if {pick.arm for pick in within} >= {"champion", "challenger"}:
            share = sum(pick.bundle == learned for pick in within) / len(within)
            found.append(Slice(number / SLICES, lift_of(within)[2], share > 0.5))  # noqa: PLR2004  # most of them
    return found


def lift_of(picks: Sequence[Pick]) -> tuple[Rate, Rate, Rate]:
    """Shares of champion and challenger that were liked, and their difference; 95 % percentile bootstrap over guests.

    Guests are resampled whole: choices of one guest are not independent of each other.
    """
    guests = {name: row for row, name in enumerate(sorted({pick.guest for pick in picks}))}
    sums = np.zeros((len(guests), 4))
    for pick in picks:
        column = 0 if pick.arm == "champion" else 2
        sums[guests[pick.guest], column] += 1
        sums[guests[pick.guest], column + 1] += pick.liked
    drawn = np.random.default_rng(SEED).integers(len(guests), size=(RESAMPLES, len(guests)))
    resampled = np.stack([sums[rows].sum(axis=0) for rows in drawn])

    def shares(of: np.ndarray[Any, np.dtype[np.float64]]) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
        champion, challenger = of[:, 1] / np.maximum(of[:, 0], 1), of[:, 3] / np.maximum(of[:, 2], 1)
        return [champion, challenger, challenger - champion]

    tail = (1 - CONFIDENCE) / 2
    points, samples = shares(sums.sum(axis=0, keepdims=True)), shares(resampled)
    found = [
        Rate(float(point[0]), *(float(end) for end in np.quantile(sample, [tail, 1 - tail])))
        for point, sample in zip(points, samples, strict=True)
    ]
    return found[0], found[1], found[2]
