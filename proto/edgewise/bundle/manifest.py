"""The manifest: names every resource of a bundle by digest and size. Its own digest names the bundle."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edgewise.ids import BundleVersion, ModelName, SiteName

PROTOCOL_VERSION: Final = 3
"""What this code speaks. Grows when an older node could not understand a bundle; a bundle says the least version that
understands it (`edgewise.bundle.needed`)."""

MANIFEST: Final = "manifest.json"
POLICY: Final = "policy.json"
FEATURES: Final = "features.json"
CATALOGUE: Final = "catalogue.json"
NEIGHBOURS: Final = "neighbours.msgpack"
VECTORS: Final = "vectors.msgpack"
SESSIONS: Final = "sessions.msgpack"
GOLDEN: Final = "golden.msgpack"
TEMPLATES: Final = "templates.json"

ModelKind = Literal["ranker", "score"]
"""`ranker`: one row a candidate. `score`: one row a request, about the visitor alone."""

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Resource(msgspec.Struct, frozen=True):
    """One file of a bundle."""

    sha256: Digest
    bytes: Annotated[int, Meta(ge=0)]


class ModelEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """An ONNX model of a bundle: input `x` float32 (rows, features), output float32 (rows,) or (rows, outputs)."""

    resource: str
    """Its path in the bundle: `models/ranker.onnx`."""
    features: tuple[str, ...]
    """Names of the feature table's columns that it takes, in order."""
    attribution: str | None = None
    """Path of its path-attribution twin: output float32 (rows, features + 1), last column the bias."""
    kind: ModelKind = "ranker"
    """A score takes only features that are the same for every candidate; what it says is asked for by its name."""
    classes: tuple[str, ...] = ()
    """What the columns of a score's output stand for, in order. None: it says one number, such as a probability."""

    uncertain: bool = False
    """Of a ranker: it says two numbers a candidate, a score and the standard error of that score, which is >= 0."""

    @property
    def outputs(self) -> int:
        """How many numbers it says of a row."""
        return 2 if self.uncertain else max(1, len(self.classes))


class Manifest(msgspec.Struct, frozen=True):
    """What a release is. Times in milliseconds since the epoch."""

    version: BundleVersion
    parent: BundleVersion | None
    site: SiteName
    created_ms: int
    expires_ms: int
    protocol_version: int
    resources: dict[str, Resource]
    models: dict[ModelName, ModelEntry]
    provenance: dict[str, str]


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    """Canonical bytes: equal manifests have equal digests."""
    return _encoder.encode(manifest)


def decode_manifest(data: bytes) -> Manifest:
    """Raises `msgspec.ValidationError` with the path of what is wrong."""
    return _decoder.decode(data)
