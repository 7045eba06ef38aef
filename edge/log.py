"""Structured logs of a node's processes: one JSON object a line, on standard error. Nothing is logged per request."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, TextIO

import msgspec
import structlog
from typing_extensions import override

Log = structlog.typing.FilteringBoundLogger


def start_log(process: str, level: str) -> Log:
    """The log of this process; `process` stands in every line. Libraries' warnings go the same way."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_serialise),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: _Lines(sys.stderr),
        cache_logger_on_first_use=True,
    )
    log: Log = structlog.get_logger(process=process)
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward(log)], force=True)
    return log


class _Lines:
    """Where it is a file on a full disk, a line is lost, and whoever only wanted to say it goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write it."""
        with contextlib.suppress(OSError):
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = msg


class _Forward(logging.Handler):
    """What libraries say through `logging`."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._log.log(record.levelno, record.getMessage(), logger=record.name)


def _serialise(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
