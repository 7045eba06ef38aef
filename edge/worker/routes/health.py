"""`GET /health/live` and `/health/ready`."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from edge.worker.desk import Desk
from edge.worker.endpoint import Exchange, json_answer
from edge.worker.problems import Answer
from edgewise.reasons import State


class Health(msgspec.Struct, frozen=True):
    """The node's condition."""

    state: State


class HealthRoutes:
    """For whoever starts, stops and balances nodes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def live(self, _: Exchange) -> Answer:
        """The process answers; what it has to answer with is not asked."""
        return json_answer(Health(self._state()))

    async def ready(self, _: Exchange) -> Answer:
        """STALE is ready: an old bundle serves better than none."""
        state = self._state()
        status = HTTPStatus.SERVICE_UNAVAILABLE if state is State.ERROR else HTTPStatus.OK
        return json_answer(Health(state), status=status)

    def _state(self) -> State:
        return self._desk.state(self._desk.live.served)
