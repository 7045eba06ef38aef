"""A figure, what it must be, and whether it is."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from typing_extensions import override

Sign = Literal["=", "<=", ">=", "<"]

_HOLDS: Final[dict[str, Callable[[float, float], bool]]] = {
    "=": operator.eq,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
}


class Must(msgspec.Struct, frozen=True):
    """A bound, such as `<= 1.5`."""

    sign: Sign
    limit: float

    def holds(self, value: float) -> bool:
        """Nothing holds for what could not be measured (NaN)."""
        return not math.isnan(value) and _HOLDS[self.sign](value, self.limit)

    @override
    def __str__(self) -> str:
        return f"{self.sign} {in_digits(self.limit)}"


NONE: Final = Must("=", 0.0)
"""Not a single one."""


class Figure(msgspec.Struct, frozen=True):
    """One line of the table."""

    what: str
    value: float
    unit: str = ""
    must: Must | None = None
    """None: told for its own sake, or as the size of the sample behind the others."""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.must is None or self.must.holds(self.value)

    @property
    def verdict(self) -> str:
        """`pass`, `FAIL`, or nothing where nothing is demanded."""
        if self.must is None:
            return ""
        return "pass" if self.passed else "FAIL"

    @property
    def in_words(self) -> str:
        """The value with its unit."""
        return f"{in_digits(self.value)} {self.unit}".rstrip()


class Proof(msgspec.Struct, frozen=True):
    """What came of one scenario."""

    scenario: str
    parameters: dict[str, Any]
    took_s: float
    figures: list[Figure] = []
    not_run: str = ""
    """Why it could not be run here; then there are no figures, and nothing is proven."""
    failed: str = ""
    """Why it ended early; the figures up to then are lost."""
    logs: str = ""
    """Where to look after a failure."""

    @property
    def passed(self) -> bool:
        """Whether it ran to its end (or could not begin) and every figure is what it must be."""
        return not self.failed and all(figure.passed for figure in self.figures)

    def with_logs(self, folder: str) -> Proof:
        """The same, and where to look."""
        return msgspec.structs.replace(self, logs=folder)


def in_digits(value: float) -> str:
    """As many digits as a reader can use."""
    if math.isnan(value):
        return "-"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"  # noqa: PLR2004  # enough digits either way
