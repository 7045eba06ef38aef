"""An experiment in a file, from what was asked to what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from hub.statistics.analysis import Plan, analysed
from hub.statistics.compare import Method
from hub.statistics.from_rows import evidence_of, with_views
from hub.statistics.metrics import Measured, read_metrics, with_roles
from hub.statistics.multiplicity import Correction
from hub.statistics.read_units import read_units
from hub.statistics.results import Analysis
from hub.statistics.sequential import TUNED_TO_UNITS
from hub.statistics.sums import VARIANT, read_sums
from hub.statistics.units import Columns


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to know of a file."""

    file: Path
    control: str
    variant: str = VARIANT
    """Column of the variant."""
    metrics: tuple[str, ...] = ()
    """`COL`, `COL:binary`, `COL:mean`, `COL:ratio:DENOMINATOR`; of a file of sums all where none is named."""
    is_summary: bool = False
    unit: str | None = None
    covariates: tuple[str, ...] = ()
    """`COL` for all metrics, `METRIC=COL` for one, with `/DENOMINATOR` behind it for a ratio."""
    weights: dict[str, float] | None = None
    method: str = Method.FIXED.value
    outcome: str | None = None
    guardrails: dict[str, float] = {}
    lower: tuple[str, ...] = ()
    least_lift: float = 0.0
    correction: str = Correction.HOLM.value
    tuned_to_units: float = TUNED_TO_UNITS
    segment: str | None = None
    time: str | None = None
    score: str | None = None
    seed: int = 0
    delimiter: str | None = None


def analyse_file(asked: Asked, say: Callable[[str], None]) -> Analysis:
    """Read the file and compare its arms; `say` is told what runs.

    Raises InputError for a file or names that do not fit, with the place.
    """
    metrics = read_metrics(asked.metrics)
    if asked.is_summary:
        metrics, evidence = read_sums(asked.file, metrics, variant=asked.variant, delimiter=asked.delimiter)
        metrics = _with_roles(metrics, asked)
        say("comparing")
        return analysed(evidence, _plan(metrics, asked))
    metrics = _with_roles(metrics, asked)
    columns = Columns(asked.variant, asked.unit, asked.time, asked.segment, asked.score)
    units = read_units(asked.file, columns, metrics, delimiter=asked.delimiter)
    say("comparing")
    found = analysed(evidence_of(units, metrics), _plan(metrics, asked))
    return with_views(found, units, metrics, attribute=asked.segment, seed=asked.seed)


def _with_roles(metrics: list[Measured], asked: Asked) -> list[Measured]:
    names = {metric.name for metric in metrics}
    before: dict[str, str] = {}
    for text in asked.covariates:
        name, equals, column = text.partition("=")
        before |= {name: column} if equals and name in names else {"": text}
    return with_roles(metrics, outcome=asked.outcome, guardrails=asked.guardrails, lower=asked.lower, covariates=before)


def _plan(metrics: list[Measured], asked: Asked) -> Plan:
    return Plan(
        control=asked.control,
        metrics=tuple(metrics),
        method=Method(asked.method),
        weights=asked.weights,
        correction=Correction(asked.correction),
        least_lift=asked.least_lift,
        tuned_to_units=asked.tuned_to_units,
    )
