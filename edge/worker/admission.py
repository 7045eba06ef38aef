"""Admission control: how much of the work is left out so that what is answered is answered in time.

Rules only: times are passed in. What is watched is how long requests wait before anybody looks at them. Waiting is
judged by its *minimum* over an interval, as CoDel does (RFC 8289, section 3): a burst makes some requests wait, only
too much work makes all of them wait. The answer to it is a level that rises fast and falls slowly. It says how much is
shed, in this order, each step for a share of the requests before it is for all of them:

    debug    -> what operators asked to see, explanations, samples of feature matrices
    (shadow scoring has its place here, once there is any)
    rerank   -> no model ranks; candidates stand in the order in which they were found
    default  -> the placement's fallback
    refuse   -> 503, before anything is looked at

A level tells what is needed on the whole. Beside it each request is judged by its own wait, because a burst is over
before a level has risen: who waits too long gets the fallback; who waits far too long, or too long while the fallback
is shown anyhow, is refused. A share of refusals would hit those who could be answered in time, and let others wait.

Consent is no step: whoever answers with anything personal has asked for it first, at every level; and the will of a
visitor (`PUT /v1/preferences`) is taken at every level.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final, get_args

from edgewise.intake import BATCHES, CallType

INTERVAL_MS: Final = 20.0
"""How long the minimum is taken over. Short, because a queue of 10 ms is already too long."""
TURNS: Final = 3
"""Least number of looks that a minimum is taken of: after one long pause of the machine's all waited once."""
RISE: Final = 0.35
"""Of a level, for a wait that is twice the target."""
MOST_RISE: Final = 1.0
FALL: Final = 0.04
"""Of a level, in an interval without a queue: two levels a second, so that a return of the load meets some of it."""
FAR: Final = 4.0
"""How many times longer than too long is far too long. A node that paused answers what piled up with fallbacks."""
CALM: Final = 0.5
"""Of the target: below it the level falls, up to the target it stays (hysteresis)."""


class Stage(IntEnum):
    """What is shed, least harmful first. Its number is the level above which it is shed at all."""

    DEBUG = 0
    RERANK = 1
    DEFAULT = 2
    REFUSE = 3

    @property
    def label(self) -> str:
        """As metrics and `/status` call it."""
        return self.name.lower()


MOST_LEVEL: Final = float(Stage.REFUSE)
_NOTHING: Final = 1e-9


class Admission:
    """Of one worker. Belongs to one event loop."""

    def __init__(self, *, target_ms: float, most_ms: float) -> None:
        """`target_ms` is how long all requests may wait, `most_ms` how long one may."""
        self._target_ms = target_ms
        self._most_ms = most_ms
        self._has_refused = False
        """In this interval."""
        self.level = 0.0
        """In [0, 3]. What is behind the point is the share of requests that the stage is for."""
        self.delay_ms = 0.0
        """Least wait of the last interval."""
        self._least_ms = math.inf
        self._looks = 0
        self._until_ms = 0.0
        self._owed = [0.0] * len(Stage)

    def note(self, waited_ms: float, now_ms: float) -> None:
        """Requests were found that have waited so long."""
        if now_ms - waited_ms > self._until_ms + INTERVAL_MS:
            # Nobody came for a while: what was noted before says nothing of now.
            self._rest(now_ms - waited_ms)
        self._looks += 1
        self._least_ms = min(self._least_ms, waited_ms)
        if now_ms >= self._until_ms and self._looks >= TURNS:
            self._settle(now_ms, self._least_ms)

    def rest(self, now_ms: float) -> None:
        """Called by a clock: where nobody comes, the level falls as well."""
        if now_ms > self._until_ms + INTERVAL_MS:
            self._rest(now_ms)

    def sheds(self, stage: Stage, waited_ms: float = 0.0) -> bool:
        """Whether a request that has waited so long goes without what `stage` sheds; asked once a request and stage.

        A share is dealt out evenly instead of drawn: of ten requests at 0.3 exactly three.
        """
        if waited_ms > self._most_ms:
            return True
        share = self.level - stage
        if share <= 0.0:
            return False
        if share >= 1.0:
            return True
        owed = self._owed[stage] + share
        is_shed = owed >= 1.0
        self._owed[stage] = owed - is_shed
        return is_shed

    def refuses(self, wait_ms: float) -> bool:
        """Whether there is no time for a request that will have waited so long when it is looked at."""
        if wait_ms <= (self._most_ms if self.level > Stage.DEFAULT else FAR * self._most_ms):
            return False
        self._has_refused = True
        return True

    @property
    def stage(self) -> Stage | None:
        """The most harmful one that is shed for some requests now; None while nothing is."""
        if self._has_refused:
            return Stage.REFUSE
        return None if self.level <= 0.0 else Stage(math.ceil(self.level) - 1)

    def _rest(self, now_ms: float) -> None:
        """Fall for the intervals in which nobody came."""
        self._fall((now_ms - self._until_ms) / INTERVAL_MS)
        self.delay_ms = 0.0
        self._begin(now_ms)

    def _settle(self, now_ms: float, least_ms: float) -> None:
        self.delay_ms = least_ms
        if least_ms > self._target_ms:
            rise = min(MOST_RISE, RISE * (least_ms / self._target_ms - 1.0) + FALL)
            self.level = min(MOST_LEVEL, self.level + rise)
        elif least_ms < CALM * self._target_ms:
            self._fall(1.0)
        self._begin(now_ms)

    def _fall(self, intervals: float) -> None:
        level = self.level - FALL * intervals
        self.level = level if level > _NOTHING else 0.0

    def _begin(self, now_ms: float) -> None:
        """A new interval."""
        self._has_refused = False
        self._least_ms, self._looks = math.inf, 0
        self._until_ms = now_ms + INTERVAL_MS


_SHEDDABLE: Final = ("/v1/decide", "/v1/fragment/", "/v1/why/", "/ofrep/")
_TRACKING: Final = frozenset(
    f"/v1/{path}" for path in (*BATCHES, *(path for name in get_args(CallType) for path in (name, name[0])))
)


def is_sheddable(path: str) -> bool:
    """Whether a request for `path` may be refused under load: those of which there are many.

    Never a visitor's will, nor who looks after the node. A refused event was not taken: its sender keeps it.
    """
    return path in _TRACKING or path.startswith(_SHEDDABLE)


def shedding(admission: Admission) -> str:
    """The stage that is in force, `nothing` while there is none."""
    return "nothing" if admission.stage is None else admission.stage.label
