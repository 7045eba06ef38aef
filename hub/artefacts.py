"""The files of a trained model, as the registry keeps and a bundle takes them.

model.onnx          `x` float32 (rows, features) -> float32 (rows,), or (rows, outputs) of what says several numbers
attribution.onnx    its path attributions: float32 (rows, features + 1), last column the bias
golden.msgpack      rows with the scores that the trained model gave
neighbours.msgpack  which items speak for which
sets.msgpack        more sets of them, and of item vectors, by name
sessions.msgpack    visits of others
statistics.json     item attributes that training computed
continuation.msgpack what a later training goes on with; never shipped
features.json       the columns that it was trained on, as they were declared then
kind.json           what it is asked for and the classes of a visitor score, or that it knows how sure it is; absent
                    for a plain ranker
card.json           what it is, what it was trained on, how good it was
card.md             the same for people
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.golden import (
    RELATIVE_TOLERANCE,
    Golden,
    GoldenRows,
    decode_golden,
    encode_golden,
    unpack,
    worst_error,
)
from edgewise.bundle.learned import SetName
from edgewise.bundle.manifest import ModelKind
from edgewise.bundle.neighbours import decode_neighbours
from edgewise.bundle.sessions import decode_sessions
from edgewise.bundle.vectors import decode_vectors
from edgewise.errors import MALFORMED, ModelRefused
from edgewise.features.table import FeatureTable, decode_features, encode_features
from edgewise.ids import ModelName
from hub.item_statistics import ItemStatistics, decode_statistics, encode_statistics
from hub.model_card import card_markdown
from hub.scoring_child import ScoringChild

MODEL: Final = "model.onnx"
ATTRIBUTION: Final = "attribution.onnx"
GOLDEN: Final = "golden.msgpack"
NEIGHBOURS: Final = "neighbours.msgpack"
SETS: Final = "sets.msgpack"
SESSIONS: Final = "sessions.msgpack"
STATISTICS: Final = "statistics.json"
FEATURES: Final = "features.json"
KIND: Final = "kind.json"
CONTINUATION: Final = "continuation.msgpack"
CARD: Final = "card.json"
CARD_TEXT: Final = "card.md"
FILES: Final = (
    MODEL,
    ATTRIBUTION,
    GOLDEN,
    NEIGHBOURS,
    SETS,
    SESSIONS,
    STATISTICS,
    CONTINUATION,
    FEATURES,
    KIND,
    CARD,
    CARD_TEXT,
)

_ONLY = ModelName("model")
_card_encoder = msgspec.json.Encoder(order="deterministic")


class Kind(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model is asked for: as `bundle.manifest.ModelEntry` has it."""

    kind: ModelKind = "ranker"
    classes: tuple[str, ...] = ()
    uncertain: bool = False

    @property
    def outputs(self) -> int:
        """How many numbers it says of a row."""
        return 2 if self.uncertain else max(1, len(self.classes))


RANKER: Final = Kind()
UNCERTAIN_RANKER: Final = Kind(uncertain=True)
"""It says a score and the standard error of that."""


class NamedSets(msgspec.Struct, frozen=True, omit_defaults=True):
    """Resources of a bundle by the names that a site gave them."""

    neighbours: dict[SetName, bytes] = {}
    vectors: dict[SetName, bytes] = {}


class Artefacts(msgspec.Struct, frozen=True, kw_only=True):
    """A model of scores, of neighbours, or of both."""

    features: FeatureTable = FeatureTable([])
    """Columns of the model's input, in order."""
    model: bytes | None = None
    golden: GoldenRows | None = None
    """At least one row; must be there if `model` is."""
    attribution: bytes | None = None
    neighbours: bytes | None = None
    sets: NamedSets = NamedSets()
    sessions: bytes | None = None
    statistics: ItemStatistics = {}
    kind: Kind = RANKER
    continuation: bytes | None = None
    """What incremental training goes on with; None where the model cannot be continued."""


_sets_encoder = msgspec.msgpack.Encoder(order="deterministic")
_sets_decoder = msgspec.msgpack.Decoder(NamedSets)


def check_artefacts(artefacts: Artefacts, child: ScoringChild) -> None:
    """Everything that a bundle will rely on, measured by the scorer that serves.

    Raises:
        ModelRefused: `artefacts`, `golden`, `neighbours`, `sessions`, `vectors`, `attribution`, or whatever the gate
            says of an unsafe graph.
    """
    about_items = (artefacts.neighbours, artefacts.sessions, *artefacts.sets.neighbours.values())
    if artefacts.model is None and not any([*about_items, *artefacts.sets.vectors.values()]):
        raise ModelRefused("artefacts", "a model without scores and without neighbours; expected one of them")
    for what, decode, data in [
        ("neighbours", decode_neighbours, artefacts.neighbours),
        ("sessions", decode_sessions, artefacts.sessions),
        *(("neighbours", decode_neighbours, made) for made in artefacts.sets.neighbours.values()),
        *(("vectors", decode_vectors, made) for made in artefacts.sets.vectors.values()),
    ]:
        try:
            _ = None if data is None else decode(data)
        except MALFORMED as wrong:
            raise ModelRefused(what, str(wrong)) from wrong
    if artefacts.model is None:
        if artefacts.golden is not None or artefacts.attribution is not None:
            raise ModelRefused("artefacts", "golden rows or attributions without the model that they belong to")
        return
    if artefacts.golden is None or artefacts.golden.rows == 0:
        raise ModelRefused("golden", "a model without golden rows; expected some rows with the trained model's scores")
    _check_kind(artefacts.kind, artefacts.golden)
    check_golden(artefacts.model, artefacts.golden, len(artefacts.features.features), child)
    if artefacts.attribution is not None:
        check_attribution(artefacts.attribution, artefacts.golden, child)


def check_golden(model: bytes, golden: GoldenRows, features: int, child: ScoringChild) -> float:
    """The largest scaled difference between the scorer and the trained model on the golden rows.

    Raises:
        ModelRefused: `golden`: rows of another width, or a score beyond 1e-5 * max(1, |y|); or what the gate says.
    """
    matrix, scores = _unpacked(golden)
    if matrix.shape[1] != features:
        raise ModelRefused("golden", f"golden rows of {matrix.shape[1]} columns for a model of {features} features")
    got = child.score(model, matrix)
    if golden.outputs == 1 and got.ndim == 2 and got.shape[1] == 1:  # noqa: PLR2004  # what converters write
        got = got[:, 0]
    if got.shape != scores.shape:
        raise ModelRefused("golden", f"scores of shape {got.shape}; the trained model's are {scores.shape}")
    error = worst_error(scores, got)
    if error > RELATIVE_TOLERANCE:
        raise ModelRefused(
            "golden", f"a score differs by {error:.3g} * max(1, |y|) from the trained model's; at most 1e-5 may be"
        )
    return error


def check_attribution(attribution: bytes, golden: GoldenRows, child: ScoringChild) -> None:
    """Whether a path-attribution model answers golden rows in its shape.

    Raises ModelRefused: `attribution`, or what the gate says.
    """
    matrix, _ = _unpacked(golden)
    got = child.score(attribution, matrix)
    expected = (len(matrix), matrix.shape[1] + 1)
    if got.shape != expected:
        raise ModelRefused("attribution", f"attributions of shape {got.shape}; expected {expected}")


def to_files(artefacts: Artefacts, card: dict[str, Any]) -> dict[str, bytes]:
    """The files to keep, by name."""
    golden = None if artefacts.golden is None else encode_golden(Golden({_ONLY: artefacts.golden}))
    files = {
        MODEL: artefacts.model,
        ATTRIBUTION: artefacts.attribution,
        GOLDEN: golden,
        NEIGHBOURS: artefacts.neighbours,
        SETS: None if artefacts.sets == NamedSets() else _sets_encoder.encode(artefacts.sets),
        SESSIONS: artefacts.sessions,
        STATISTICS: encode_statistics(artefacts.statistics) if artefacts.statistics else None,
        CONTINUATION: artefacts.continuation,
        FEATURES: encode_features(artefacts.features),
        KIND: _card_encoder.encode(artefacts.kind) if artefacts.kind != RANKER else None,
        CARD: _card_encoder.encode(card),
        CARD_TEXT: card_markdown("Model card", card).encode(),
    }
    return {name: data for name, data in files.items() if data is not None}


def from_files(files: dict[str, bytes]) -> Artefacts:
    """What `to_files` kept. Raises `msgspec.DecodeError`, KeyError or ValueError for files that are no such thing."""
    golden = files.get(GOLDEN)
    return Artefacts(
        features=decode_features(files[FEATURES]),
        model=files.get(MODEL),
        golden=None if golden is None else decode_golden(golden).models[_ONLY],
        attribution=files.get(ATTRIBUTION),
        neighbours=files.get(NEIGHBOURS),
        sets=_sets_decoder.decode(files[SETS]) if SETS in files else NamedSets(),
        sessions=files.get(SESSIONS),
        statistics=decode_statistics(files[STATISTICS]) if STATISTICS in files else {},
        kind=msgspec.json.decode(files[KIND], type=Kind) if KIND in files else RANKER,
        continuation=files.get(CONTINUATION),
    )


def digest_of(files: dict[str, bytes]) -> str:
    """One SHA-256 over names and contents."""
    listed = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return hashlib.sha256(_card_encoder.encode(listed)).hexdigest()


def _check_kind(kind: Kind, golden: GoldenRows) -> None:
    if kind.classes and (kind.kind != "score" or len(kind.classes) == 1 or len(set(kind.classes)) < len(kind.classes)):
        said = ", ".join(kind.classes)
        raise ModelRefused(
            "kind", f"a {kind.kind} of the classes {said}; expected a score of two or more different ones"
        )
    if kind.uncertain and kind.kind != "ranker":
        raise ModelRefused("kind", f"a {kind.kind} with a standard error; expected a ranker")
    if golden.outputs != kind.outputs:
        raise ModelRefused("golden", f"golden scores of {golden.outputs} columns for a model of {kind.outputs}")


def _unpacked(golden: GoldenRows) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    try:
        return unpack(golden)
    except ValueError as wrong:
        raise ModelRefused("golden", str(wrong)) from wrong
