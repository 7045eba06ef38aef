"""Sections that the cards of all models learned from the ledger have alike."""

from __future__ import annotations

import hashlib
from typing import Any

from edgewise.features.table import FeatureTable, encode_features
from hub.packages import packages_digest
from hub.train.history import History


def consent(features: FeatureTable) -> dict[str, Any]:
    """For which purposes the columns may be read, and whose records were."""
    return {
        "purposes": sorted({str(feature.purpose) for feature in features.features if feature.purpose}),
        "learned from": "records of visitors who granted personalisation, tied to keyed hashes",
    }


def reproduction(history: History, features: FeatureTable, seed: int) -> dict[str, Any]:
    """What must be the same for the same model to come out."""
    return {
        "seed": seed,
        "data_sha256": history.digest(),
        "features_sha256": hashlib.sha256(encode_features(features)).hexdigest(),
        "packages_sha256": packages_digest(),
    }
