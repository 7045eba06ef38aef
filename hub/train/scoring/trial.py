"""A score from a table, end to end: read, look, judge on rows held back, fit on all, export, prove equal."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from hub.export.sklearn import Input, export_pipeline
from hub.origin import Origin
from hub.packages import packages_digest
from hub.scoring_child import ScoringChild, scorer
from hub.tables import read_table, require_columns
from hub.train.scoring.calibration import calibrations
from hub.train.scoring.cautions import about_quality, judge_table
from hub.train.scoring.choices import ModelName, ScoreKind
from hub.train.scoring.columns import Cells, Column, cells, choose_features, texts
from hub.train.scoring.groups import by_group, check_groups
from hub.train.scoring.judging import Measured, folds, over_folds, over_rows
from hub.train.scoring.metrics import METRICS, Floats, measure
from hub.train.scoring.parity import check_table_parity
from hub.train.scoring.pipelines import Examples, fit_pipeline, predict
from hub.train.scoring.report import FeatureUse, ScoringReport, Window
from hub.train.scoring.settings import Setting
from hub.train.scoring.target import Target, read_target
from hub.train.scoring.times import times

if TYPE_CHECKING:
    import pyarrow as pa

Say = Callable[[str], None]
FEWEST_FOLDS = 2


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to learn from which table, and how to judge it."""

    table: Path
    target: str
    kind: ScoreKind | None = None
    """None: guessed from the target's values."""
    features: tuple[str, ...] | None = None
    """None: every column but the target, `drop` and `time`."""
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    """Columns of codes that are names, not numbers."""
    groups: tuple[str, ...] = ()
    """Columns of groups of people for which the score is judged one by one; read as features unless dropped."""
    time: str | None = None
    cv: int = 5
    test: Path | None = None
    """Judge on this file instead of folds."""
    model: ModelName = ModelName.LIGHTGBM
    settings: dict[str, Setting] = {}
    seed: int = 0
    delimiter: str | None = None


class Trained(NamedTuple):
    """The report, the model as it would be shipped, and what the rows that were held back came to."""

    report: ScoringReport
    onnx: bytes
    truth: NDArray[Any]
    """(n,): class numbers or quantities."""
    scores: Floats
    """(n,), or (n, K), of a model that was not fitted on these rows."""


class _Table(NamedTuple):
    """A table as the model sees it: rows with a target only."""

    rows: Cells
    target: Target
    time: Floats | None
    groups: dict[str, NDArray[np.object_]]
    """Words of the columns by which people are grouped."""


class _Judged(NamedTuple):
    """What the rows that were held back came to."""

    metrics: dict[str, Measured]
    judged_by: str
    truth: NDArray[Any]
    scores: Floats
    groups: dict[str, NDArray[np.object_]]


def train_scoring(plan: Plan, *, say: Say = lambda _: None, child: ScoringChild | None = None) -> Trained:
    """Run a plan; `say` is told what is being done, `child` is a scorer to use instead of a new one.

    Raises:
        InputError: the table or an option cannot be used; the message names row, column and value.
        ModelRefused: the model cannot be exported, or its export is not equal.
    """
    if plan.cv < FEWEST_FOLDS:
        raise InputError(f"{plan.cv} folds; expected at least {FEWEST_FOLDS}")
    say(f"reading {plan.table}")
    table = read_table(plan.table, delimiter=plan.delimiter, text=plan.categorical)
    time = [plan.time] if plan.time else []
    require_columns(
        table,
        [plan.target, *(plan.features or ()), *plan.drop, *plan.categorical, *plan.groups, *time],
        where=str(plan.table),
    )
    chosen = choose_features(
        table,
        target=plan.target,
        wanted=plan.features,
        dropped={*plan.drop, *(time if plan.features is None else ())},
        categorical=plan.categorical,
    )
    read = _rows(plan, plan.table, table, chosen.columns, kind=plan.kind)
    say(f"looking at {len(read.rows)} rows")
    judged = judge_table(read.rows, chosen.columns, read.target, seed=plan.seed)
    kept = [index for index, column in enumerate(chosen.columns) if column in judged.columns]
    columns = judged.columns
    rows = read.rows[:, kept]
    examples = Examples(read.target.kind, columns, rows, read.target.values)
    say(f"fitting {plan.model.value} on {len(rows)} rows")
    pipeline = fit_pipeline(plan.model, examples, settings=plan.settings, seed=plan.seed)
    held_back = (
        _by_folds(plan, examples, read, say)
        if plan.test is None
        else _by_file(plan, pipeline, examples, read.target, say)
    )
    kind, truth, scores = read.target.kind, held_back.truth, held_back.scores
    say("exporting, and comparing the export with the model")
    onnx = _exported(plan, pipeline, columns, read.target)
    with scorer(child) as running:
        parity = check_table_parity(pipeline, examples, onnx, child=running, seed=plan.seed)
    report = ScoringReport(
        model=plan.model.value,
        kind=read.target.kind.value,
        kind_guessed=read.target.guessed,
        target=plan.target,
        classes=list(read.target.classes),
        rows=len(rows),
        window=_window(table, plan.time),
        metrics=held_back.metrics,
        judged_by=held_back.judged_by,
        calibration=calibrations(kind, plan.target, read.target.classes, truth, scores),
        groups=[
            by_group(column, words, kind, truth, scores, seed=plan.seed) for column, words in held_back.groups.items()
        ],
        parity=parity,
        features=_uses(pipeline, columns),
        warnings=[*chosen.left_out, *judged.warnings, *about_quality(kind, held_back.metrics)],
        settings=plan.settings,
        seed=plan.seed,
        table=plan.table.name,
        table_sha256=hashlib.sha256(plan.table.read_bytes()).hexdigest(),
        model_sha256=hashlib.sha256(onnx).hexdigest(),
        model_bytes=len(onnx),
        packages_sha256=packages_digest(),
    )
    return Trained(report, onnx, truth, scores)


def _window(table: pa.Table, column: str | None) -> Window | None:
    if column is None:
        return None
    import pyarrow.compute as pc

    ends = pc.min_max(table.column(column)).as_py()
    return Window(column, str(ends["min"]), str(ends["max"]))


def _rows(
    plan: Plan,
    path: Path,
    table: pa.Table,
    columns: Sequence[Column],
    *,
    kind: ScoreKind | None,
    classes: tuple[str, ...] = (),
    timed: bool = True,
) -> _Table:
    origin = Origin.of(path, table.num_rows)
    target = read_target(table, plan.target, kind, classes=classes, origin=origin)
    held, origin = table.filter(target.present), origin.kept(target.present)
    time = times(held, plan.time, origin) if timed and plan.time else None
    groups = {column: texts(held, column) for column in plan.groups}
    for column, words in groups.items():
        check_groups(column, words)
    return _Table(cells(held, columns, origin), target, time, groups)


def _by_folds(plan: Plan, examples: Examples, read: _Table, say: Say) -> _Judged:
    measured, rows, predicted = [], [], []
    for number, fold in enumerate(folds(read.target, plan.cv, seed=plan.seed, time=read.time), start=1):
        say(f"fold {number} of {plan.cv}")
        learned = examples._replace(rows=examples.rows[fold.train], target=examples.target[fold.train])
        fitted = fit_pipeline(plan.model, learned, settings=plan.settings, seed=plan.seed)
        scores = predict(fitted, examples.kind, examples.rows[fold.test])
        measured.append(measure(examples.kind, examples.target[fold.test], scores))
        rows.append(fold.test)
        predicted.append(scores)
    divided = "stretches of time, each after all that was learned from" if read.time is not None else "random folds"
    judged = np.concatenate(rows)
    return _Judged(
        over_folds(measured),
        f"{plan.cv} {divided}; intervals: t over the fold means",
        examples.target[judged],
        np.concatenate(predicted),
        {column: words[judged] for column, words in read.groups.items()},
    )


def _by_file(plan: Plan, pipeline: Any, examples: Examples, target: Target, say: Say) -> _Judged:
    path = plan.test
    assert path is not None
    table = read_table(path, delimiter=plan.delimiter, text=plan.categorical)
    wanted = [plan.target, *(column.name for column in examples.columns), *plan.groups]
    require_columns(table, list(dict.fromkeys(wanted)), where=str(path))
    judged = _rows(plan, path, table, examples.columns, kind=target.kind, classes=target.classes, timed=False)
    say(f"judging on {len(judged.rows)} rows of {path}")
    scores = predict(pipeline, target.kind, judged.rows)
    truth = judged.target.values
    metrics = over_rows(METRICS[target.kind], truth, scores, seed=plan.seed)
    judged_by = f"{len(judged.rows)} rows of {path.name}; intervals: bootstrap over its rows"
    return _Judged(metrics, judged_by, truth, scores, judged.groups)


def _exported(plan: Plan, pipeline: Any, columns: Sequence[Column], target: Target) -> bytes:
    inputs = [Input(column.name, column.kind) for column in columns]
    metadata = {
        "edgewise.target": plan.target,
        "edgewise.kind": target.kind.value,
        "edgewise.classes": list(target.classes),
    }
    data: bytes = export_pipeline(pipeline, inputs, metadata=metadata).SerializeToString(deterministic=True)
    return data


def _uses(pipeline: Any, columns: Sequence[Column]) -> list[FeatureUse]:
    final = pipeline.named_steps["model"]
    if not hasattr(final, "booster_"):
        return [FeatureUse(column.name, column.kind, None) for column in columns]
    gains = final.booster_.feature_importance(importance_type="gain")
    total = float(gains.sum()) or 1.0
    uses = [
        FeatureUse(column.name, column.kind, float(gain) / total) for column, gain in zip(columns, gains, strict=True)
    ]
    return sorted(uses, key=lambda use: -(use.importance or 0.0))
