"""The film shop with visitor scores: `churn`, one number; `mood`, three classes, which looks at churn. By arithmetic.

The ranker takes `churn` as a feature. Rules, formulas and copies are for the tests to add.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import world
from numpy.typing import NDArray

from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.catalogue import Item, encode_catalogue
from edgewise.bundle.golden import Golden, encode_golden, golden_rows
from edgewise.bundle.manifest import CATALOGUE, FEATURES, GOLDEN, POLICY, ModelEntry, encode_manifest
from edgewise.bundle.policy import Policy, encode_policy
from edgewise.features import table as declared
from edgewise.features.table import Feature, FeatureTable, encode_features
from edgewise.ids import ModelName

CHURN: Final = ModelName("churn")
MOOD: Final = ModelName("mood")
CLASSES: Final = ("browsing", "buying", "leaving")

CHURN_TAKES: Final = ("views_7d", "history_length", "is_mobile")
MOOD_TAKES: Final = ("churn_risk", "views_7d", "temperature")


def table(*more: Feature) -> FeatureTable:
    """The film shop's features, and what churn and mood say."""
    return FeatureTable(
        [
            *world.feature_table().features,
            declared.Score(name="churn_risk", model=CHURN, sentence="Because you may be leaving us ({value})"),
            declared.Score(name="mood_buying", model=MOOD, of_class="buying"),
            *more,
        ]
    )


def entries(**changes: ModelEntry) -> dict[ModelName, ModelEntry]:
    """The models of the bundle; `changes` by name replace or add."""
    made = {
        world.RANKER: ModelEntry(
            "models/ranker.onnx", (*(feature.name for feature in world.feature_table().features), "churn_risk")
        ),
        CHURN: ModelEntry("models/churn.onnx", CHURN_TAKES, kind="score"),
        MOOD: ModelEntry("models/mood.onnx", MOOD_TAKES, kind="score", classes=CLASSES),
    }
    return made | {ModelName(name): entry for name, entry in changes.items()}


def score(model: ModelName, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Churn falls with views, mood follows churn, the ranker is the film shop's plus a little for churn."""
    known = np.nan_to_num(matrix, nan=0.0)
    if model == CHURN:
        return (1 / (1 + known[:, 0] + 0.5 * known[:, 2])).astype(np.float32)
    if model == MOOD:
        leaving = known[:, 0] / 2
        buying = (1 - leaving) * known[:, 1] / (1 + known[:, 1])
        return np.stack([1 - leaving - buying, buying, leaving], axis=1).astype(np.float32)
    return np.asarray(world.score(model, known[:, :-1]) + known[:, -1] * known[:, 4] / 10, np.float32)


def files(
    *,
    features: FeatureTable | None = None,
    models: Mapping[ModelName, ModelEntry] | None = None,
    policy: Policy | None = None,
    items: Sequence[Item] | None = None,
) -> dict[str, bytes]:
    """All resources by path."""
    models = entries() if models is None else models
    golden = {}
    for name, entry in models.items():
        rows = np.arange(3 * len(entry.features), dtype=np.float32).reshape(3, -1)
        golden[name] = golden_rows(rows, np.ones((3, entry.outputs)) if entry.classes else np.ones(3))
    return world.resources() | {
        FEATURES: encode_features(table() if features is None else features),
        POLICY: encode_policy(world.policy() if policy is None else policy),
        CATALOGUE: encode_catalogue(world.catalogue(items)),
        GOLDEN: encode_golden(Golden(golden)),
        **{entry.resource: b"the bytes of a graph" for entry in models.values()},
    }


def bundle(*, models: Mapping[ModelName, ModelEntry] | None = None, **changes: Any) -> Bundle:
    """The loaded bundle; `changes` as `files` takes them."""
    models = entries() if models is None else models
    made = files(models=models, **changes)
    manifest = world.manifest(made, models=models)
    return load_bundle(manifest, hashlib.sha256(encode_manifest(manifest)).hexdigest(), made)
