"""What an experiment measures, as people write it: `spend`, `converted:binary`, `revenue:ratio:orders`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from edgewise.errors import InputError, Problem
from hub.statistics.compare import Kind

SYNTAX: Final = "COL, COL:binary, COL:mean or COL:ratio:DENOMINATOR"
_WRITTEN: Final = re.compile(r"(?P<column>.+?):(?:(?P<kind>binary|mean)|ratio:(?P<denominator>.+))")
_OF_ATTENTION: Final = re.compile(
    r"(?:^|[^a-z])(?:click(?:s|ed|through)?|ctr|impressions?|views?|viewed|opens?|opened|hovers?|taps?)(?![a-z])"
)
_WORD_START: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Role(StrEnum):
    """What a metric is to the decision."""

    OUTCOME = "outcome"
    """The declared business outcome: it decides."""
    GUARDRAIL = "guardrail"
    """It may forbid."""
    SECONDARY = "secondary"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A metric and how it is read."""

    name: str
    """Its key in the result."""
    column: str
    kind: Kind = Kind.MEAN
    denominator: str | None = None
    covariate: str | None = None
    """A column that says something of the unit from before the experiment."""
    covariate_denominator: str | None = None
    role: Role = Role.SECONDARY
    higher_is_better: bool = True
    tolerated: float = 0.0
    """Of a guardrail: the worst relative change."""
    business: bool | None = None
    """Whether somebody lives on it; unsaid it is what its name says (`is_attention`)."""

    @property
    def may_ship(self) -> bool:
        """Whether a lift of it is worth anything on its own."""
        return not is_attention(self.name) if self.business is None else self.business

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that it is made of."""
        every = (self.column, self.denominator, self.covariate, self.covariate_denominator)
        return tuple(column for column in every if column is not None)


def read_metrics(texts: Sequence[str]) -> list[Measured]:
    """Metrics as the command line has them; the second kind of a column is named with its kind.

    Raises InputError for an empty text or the same metric twice.
    """
    found: dict[str, Measured] = {}
    for at, text in enumerate(texts):
        written = _WRITTEN.fullmatch(text)
        if not text.strip() or text.endswith((":ratio", ":ratio:", ":")):
            raise _unreadable(f"{text!r}, expected {SYNTAX}")
        column = written["column"] if written else text
        kind = Kind.MEAN
        if written:
            kind = Kind(written["kind"]) if written["kind"] else Kind.RATIO
        name = column
        if column in found:
            name = text if written else f"{column}:{kind.value}"
        if name in found or text in texts[:at]:
            raise _unreadable(f"{text!r} twice, expected each metric once")
        found[name] = Measured(
            name=name, column=column, kind=kind, denominator=written["denominator"] if written else None
        )
    return list(found.values())


def _unreadable(what: str) -> InputError:
    """Wrong by itself, whatever the file holds: a mistake on the command line."""
    return InputError(what, (Problem("--metric", what),))


def is_attention(name: str) -> bool:
    """Whether a metric is called after clicks, views or opens: what people look at, not what they value."""
    return _OF_ATTENTION.search(_WORD_START.sub("_", name).lower()) is not None


def with_roles(
    metrics: Sequence[Measured],
    *,
    outcome: str | None,
    guardrails: dict[str, float],
    lower: Sequence[str],
    covariates: dict[str, str],
) -> list[Measured]:
    """Give every metric its role. Without a declared outcome it is the first that is neither guardrail nor clicks.

    `guardrails` says what each tolerates; `covariates` has one column a metric, `NUMERATOR/DENOMINATOR` for a ratio,
    and under "" the one of all others. Raises InputError for a name that is no metric.
    """
    known = [metric.name for metric in metrics]
    for option, names in (
        ("--outcome", [outcome] if outcome else []),
        ("--guardrail", list(guardrails)),
        ("--lower", list(lower)),
        ("--covariate", [name for name in covariates if name]),
    ):
        if strangers := [name for name in names if name not in known]:
            raise InputError(f"{option} {strangers[0]}: no such metric, there are: {', '.join(known)}")
    if outcome in guardrails:
        raise InputError(f"--guardrail {outcome}: the outcome cannot guard itself")
    free = [name for name in known if name not in guardrails]
    if not free:
        raise InputError("every metric is a guardrail, expected one that is the outcome")
    decides = outcome or next((name for name in free if not is_attention(name)), free[0])
    return [_with_role(metric, decides, guardrails, lower, covariates, declared=outcome) for metric in metrics]


def _with_role(
    metric: Measured,
    outcome: str,
    guardrails: dict[str, float],
    lower: Sequence[str],
    covariates: dict[str, str],
    *,
    declared: str | None,
) -> Measured:
    role = Role.SECONDARY
    if metric.name == outcome:
        role = Role.OUTCOME
    elif metric.name in guardrails:
        role = Role.GUARDRAIL
    above, _, below = covariates.get(metric.name, covariates.get("", "")).partition("/")
    return msgspec.structs.replace(
        metric,
        role=role,
        business=True if metric.name == declared else metric.business,
        higher_is_better=metric.name not in lower,
        tolerated=guardrails.get(metric.name, 0.0),
        covariate=above or None,
        covariate_denominator=below or None,
    )
