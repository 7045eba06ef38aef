"""The hub's log: one JSON object a line on standard error. Nothing is logged per record or request."""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog
from typing_extensions import override

Log = structlog.typing.FilteringBoundLogger


class Once:
    """What stands still for one reason is said once, and again only for another one, or once it had gone on."""

    def __init__(self) -> None:
        self._reason = ""

    def is_new(self, reason: str) -> bool:
        """Whether it is to be said; from now on it is not."""
        known, self._reason = self._reason, reason
        return known != reason

    def over(self) -> None:
        """It goes on."""
        self._reason = ""


def start_log(level: str) -> Log:
    """The log of this process; what libraries say through `logging` goes the same way."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_serialise),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    log: Log = structlog.get_logger(process="hub")
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward(log)], force=True)
    return log


class _Forward(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._log.log(record.levelno, record.getMessage(), logger=record.name)


def _serialise(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
