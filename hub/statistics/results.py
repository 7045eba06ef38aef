"""What an analysis says, as its JSON has it. NaN is unknown, and null there."""

from __future__ import annotations

import msgspec

from hub.statistics.balance import Exposures, SampleRatio
from hub.statistics.compare import Method
from hub.statistics.metrics import Role
from hub.statistics.multiplicity import Correction
from hub.statistics.novelty import Novelty
from hub.statistics.segments import Segments
from hub.statistics.uplift import Targeting
from hub.statistics.verdict import Guardrail, Verdict, Word


class ControlResult(msgspec.Struct, frozen=True, kw_only=True):
    """The arm that all others are compared with."""

    name: str
    n: int
    """Units with a value."""
    mean: float
    """NaN (null in JSON) for no units."""


class VariantResult(msgspec.Struct, frozen=True, kw_only=True):
    """A variant by one metric; NaN (null in JSON) is unknown."""

    n: int
    mean: float
    absolute_lift: float
    relative_lift: float
    ci_low: float
    """95 % interval of the relative lift."""
    ci_high: float
    p_value: float
    chance_to_win: float
    """In the Bayesian method only."""
    verdict: Word
    sentence: str
    absolute_low: float
    absolute_high: float
    p_value_corrected: float
    """For all comparisons of its family: the outcome's variants, or all of the secondary metrics."""
    stderr: float
    theta: float
    """CUPED's coefficient; 0 without a covariate."""
    variance_reduction: float


class MetricResult(msgspec.Struct, frozen=True, kw_only=True):
    """One metric over all variants."""

    kind: str
    role: Role
    higher_is_better: bool
    control: ControlResult
    variants: dict[str, VariantResult]
    excluded: int = 0
    """Units without a value that counts."""
    guardrails: dict[str, Guardrail] = {}
    """By variant, of a guardrail."""
    segments: Segments | None = None
    novelty: dict[str, Novelty] = {}
    """By variant."""
    targeting: dict[str, Targeting] = {}
    """By variant."""


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment says."""

    srm: SampleRatio
    metrics: dict[str, MetricResult]
    control: str
    method: Method
    outcome: str
    verdicts: dict[str, Verdict]
    """By variant: of the outcome, guardrails and checks included."""
    exposures: Exposures | None
    """None where units are not named, so that nobody can see one in two arms."""
    correction: Correction
    alpha: float
    warnings: list[str]
