"""From texts with known topics to an exported model: cut, weigh, fit, judge on texts held back, prove equal."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from hub.export.sklearn import export_matrix_pipeline
from hub.origin import Origin
from hub.parity import Parity, compare
from hub.scoring_child import ScoringChild, scorer
from hub.tables import read_table, require_columns
from hub.topics.model import PARTS, TOPICS, TopicModel
from hub.topics.words import cut
from hub.train.scoring.choices import ModelName, ScoreKind
from hub.train.scoring.columns import texts
from hub.train.scoring.judging import Measured, folds, over_folds, over_rows
from hub.train.scoring.metrics import Floats, Metric, accuracy, f1_macro, log_loss
from hub.train.scoring.settings import Setting, check_setting
from hub.train.scoring.target import Target, read_target

Say = Callable[[str], None]
Texts = NDArray[np.object_]
METRICS: Final[Mapping[str, Metric]] = {"accuracy": accuracy, "f1_macro": f1_macro, "log_loss": log_loss}
MOST_PARTS: Final = 20_000
"""Columns of the model's input: the commonest parts of texts."""
PARITY_TEXTS: Final = 4_000
FEWEST_PARITY_TEXTS: Final = 1_000
"""Of few texts others are mixed."""
STRENGTH: Final = 30.0
"""Inverse of the weight of the L2 penalty (scikit-learn's C). Above its default of 1, because TF-IDF rows are short."""
_DEFAULTS: Final[Mapping[str, Setting]] = {"C": STRENGTH, "max_iter": 300}


class TopicsPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to learn from which table, and how to judge it."""

    table: Path
    text: str
    target: str
    cv: int = 5
    test: Path | None = None
    """Judge on this file instead of folds."""
    fewest_texts: int = 3
    """In how many texts a part must stand to be counted."""
    settings: dict[str, Setting] = {}
    """Of scikit-learn's LogisticRegression: C, class_weight, max_iter, tol."""
    seed: int = 0
    delimiter: str | None = None


class TopicQuality(msgspec.Struct, frozen=True):
    """How one topic is recognised."""

    texts: int
    recall: float | None
    """Of its texts, those that were given it; None where there is none."""
    precision: float | None
    """Of the texts that were given it, its own; None where none was."""
    taken_for: str | None
    """The topic that most of the others were given."""


class TopicsReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned and how good it is; the JSON of `train topics`."""

    model: str
    text: str
    target: str
    classes: list[str]
    rows: int
    parts: int
    """Different parts of texts that the model counts."""
    metrics: dict[str, Measured]
    judged_by: str
    by_topic: dict[str, TopicQuality]
    """Of the texts that were held back."""
    parity: Parity
    warnings: list[str]
    settings: dict[str, Setting]
    seed: int
    table_sha256: str
    model_sha256: str
    model_bytes: int


class TrainedTopics(NamedTuple):
    """The report, and the model as it would be shipped."""

    report: TopicsReport
    onnx: bytes


class _Examples(NamedTuple):
    texts: Texts
    target: Target


class _Judged(NamedTuple):
    metrics: dict[str, Measured]
    judged_by: str
    truth: NDArray[np.int64]
    given: NDArray[np.int64]
    """The likeliest topic of each text."""


class _Fitted(NamedTuple):
    counter: Any
    pipeline: Any

    def probabilities(self, some: Sequence[str] | Texts) -> Floats:
        """(n, topics)."""
        return np.asarray(self.pipeline.predict_proba(self.counter.transform(some)), dtype=np.float64)


def train_topics(plan: TopicsPlan, *, say: Say = lambda _: None, child: ScoringChild | None = None) -> TrainedTopics:
    """Run a plan; `say` is told what is being done, `child` is a scorer to use instead of a new one.

    Raises:
        InputError: the table or an option cannot be used.
        ModelRefused: the model cannot be exported, or its export is not equal.
    """
    for key, setting in plan.settings.items():
        check_setting(ModelName.LOGISTIC, key, setting)
    say(f"reading {plan.table}")
    read, empty = _examples(plan, plan.table)
    say(f"fitting on {len(read.texts):,} texts")
    fitted = _fit(plan, read.texts, read.target.values)
    held_back = _by_folds(plan, read, say) if plan.test is None else _by_file(plan, fitted, read.target)
    say("exporting, and comparing the export with the model")
    onnx = _exported(plan, fitted, read.target)
    with scorer(child) as running:
        parity = _check(fitted, onnx, read.texts, running, plan.seed)
    report = TopicsReport(
        model="tfidf-logistic",
        text=plan.text,
        target=plan.target,
        classes=list(read.target.classes),
        rows=len(read.texts),
        parts=len(fitted.counter.vocabulary_),
        metrics=held_back.metrics,
        judged_by=held_back.judged_by,
        by_topic=_by_topic(read.target.classes, held_back.truth, held_back.given),
        parity=parity,
        warnings=[f"{empty:,} rows have no {plan.text!r} and were left out"] if empty else [],
        settings={**_DEFAULTS, **plan.settings},
        seed=plan.seed,
        table_sha256=hashlib.sha256(plan.table.read_bytes()).hexdigest(),
        model_sha256=hashlib.sha256(onnx).hexdigest(),
        model_bytes=len(onnx),
    )
    return TrainedTopics(report, onnx)


def _examples(plan: TopicsPlan, path: Path, known: Target | None = None) -> tuple[_Examples, int]:
    """Texts with a topic, and how many rows had no text."""
    table = read_table(path, delimiter=plan.delimiter, text=(plan.text, plan.target))
    require_columns(table, [plan.text, plan.target], where=str(path))
    filled = np.array([bool(text.strip()) for text in texts(table, plan.text)], dtype=np.bool_)
    held = table.filter(filled)
    origin = Origin.of(path, table.num_rows).kept(filled)
    classes = () if known is None else known.classes
    kind = ScoreKind.MULTICLASS
    target = read_target(held, plan.target, kind, classes=classes, origin=origin)
    return _Examples(texts(held, plan.text)[target.present], target), int((~filled).sum())


def _fit(plan: TopicsPlan, some: Texts, topics: NDArray[np.int64]) -> _Fitted:
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    counter = CountVectorizer(analyzer=cut, min_df=plan.fewest_texts, max_features=MOST_PARTS, dtype=np.float64)
    chosen: dict[str, Any] = {**_DEFAULTS, "random_state": plan.seed, **plan.settings}
    # Not sublinear: skl2onnx 1.20 writes log(1 + count) where scikit-learn computes 1 + log(count).
    pipeline = Pipeline([("weights", TfidfTransformer()), ("model", LogisticRegression(**chosen))])
    try:
        pipeline.fit(counter.fit_transform(some), topics)
    except (ValueError, TypeError) as wrong:
        # scikit-learn says in these what is wrong with a setting or with texts that share nothing
        raise InputError(f"no topics can be learned from these texts: {str(wrong).splitlines()[0]}") from wrong
    return _Fitted(counter, pipeline)


def _by_folds(plan: TopicsPlan, read: _Examples, say: Say) -> _Judged:
    measured, true, given = [], [], []
    for number, fold in enumerate(folds(read.target, plan.cv, seed=plan.seed, time=None), start=1):
        say(f"fold {number} of {plan.cv}")
        fitted = _fit(plan, read.texts[fold.train], read.target.values[fold.train])
        truth, scores = read.target.values[fold.test], fitted.probabilities(read.texts[fold.test])
        measured.append({name: metric(truth, scores, np.ones(len(truth))) for name, metric in METRICS.items()})
        true.append(truth)
        given.append(scores.argmax(axis=1))
    judged_by = f"{plan.cv} random folds; intervals: t over the fold means"
    return _Judged(over_folds(measured), judged_by, np.concatenate(true), np.concatenate(given))


def _by_file(plan: TopicsPlan, fitted: _Fitted, known: Target) -> _Judged:
    assert plan.test is not None
    judged, _ = _examples(plan, plan.test, known)
    truth, scores = judged.target.values, fitted.probabilities(judged.texts)
    metrics = over_rows(METRICS, truth, scores, seed=plan.seed)
    judged_by = f"{len(judged.texts)} rows of {plan.test.name}; intervals: bootstrap over its rows"
    return _Judged(metrics, judged_by, truth, scores.argmax(axis=1))


def _by_topic(topics: Sequence[str], truth: NDArray[np.int64], given: NDArray[np.int64]) -> dict[str, TopicQuality]:
    found = {}
    for number, topic in enumerate(topics):
        own, taken = given[truth == number], truth[given == number]
        wrong = np.bincount(own[own != number], minlength=len(topics))
        found[topic] = TopicQuality(
            texts=len(own),
            recall=float((own == number).mean()) if len(own) else None,
            precision=float((taken == number).mean()) if len(taken) else None,
            taken_for=topics[int(wrong.argmax())] if wrong.any() else None,
        )
    return found


def _exported(plan: TopicsPlan, fitted: _Fitted, target: Target) -> bytes:
    parts = sorted(fitted.counter.vocabulary_, key=fitted.counter.vocabulary_.__getitem__)
    metadata = {
        "edgewise.target": plan.target,
        "edgewise.kind": "topics",
        "edgewise.text": plan.text,
        TOPICS: list(target.classes),
        PARTS: parts,
    }
    model = export_matrix_pipeline(fitted.pipeline, len(parts), metadata=metadata)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _check(fitted: _Fitted, onnx: bytes, some: Texts, child: ScoringChild, seed: int) -> Parity:
    """Compare on texts of the table, whole, mixed and shuffled, and on texts that hold nothing known.

    Served as tickets will be, from the text on, so that a difference in cutting words shows as well.

    Raises:
        ModelRefused: `parity`, or whatever refused the model.
    """
    rng = np.random.default_rng(seed)
    base = [str(text) for text in rng.permutation(some)[:PARITY_TEXTS]]
    odd = ["", " ", "\N{WHITE QUESTION MARK ORNAMENT}", " ".join(base[:200]), "a" * 30_000]
    while len(base) + len(odd) < FEWEST_PARITY_TEXTS:
        first, second = (base[int(at)].split() for at in rng.integers(0, len(base), 2))
        odd.append(" ".join(rng.permutation([*first, *second, *first])))
    tried = [*base, *odd]
    return compare(fitted.probabilities(tried), TopicModel.read(onnx, child).probabilities(tried, child))
