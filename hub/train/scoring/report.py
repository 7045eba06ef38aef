"""What came of one run of `train scoring`."""

from __future__ import annotations

import msgspec

from hub.parity import Parity
from hub.train.scoring.calibration import Calibration
from hub.train.scoring.groups import GroupsMeasured
from hub.train.scoring.judging import Measured
from hub.train.scoring.settings import Setting


class FeatureUse(msgspec.Struct, frozen=True):
    """A column that the model reads, and its share of all splits' gain (LightGBM only)."""

    name: str
    kind: str
    importance: float | None


class Window(msgspec.Struct, frozen=True):
    """First and last value of the time column, as the table writes them."""

    column: str
    first: str
    last: str


class ScoringReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned and how good it is; the JSON of `train scoring`."""

    model: str
    kind: str
    kind_guessed: bool
    target: str
    classes: list[str]
    """A binary score is the probability of the second."""
    rows: int
    window: Window | None = None
    metrics: dict[str, Measured]
    judged_by: str
    """Which rows were held back and what the intervals are."""
    calibration: list[Calibration]
    """Of the rows that were held back."""
    groups: list[GroupsMeasured]
    """Of the columns that were asked for."""
    parity: Parity
    features: list[FeatureUse]
    warnings: list[str]
    settings: dict[str, Setting]
    seed: int
    table: str
    table_sha256: str
    model_sha256: str
    model_bytes: int
    packages_sha256: str
    """Of the names and versions of all installed packages."""
