"""What a hub has published, state by state, as one site signed it; and the download of it in simulated time.

Signing takes longer than a whole history, so all histories share one site. A state names what every node is to run;
which states a hub goes through, and when it falls back to an older one or hands out another site's files, is the
history's to say.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import onnx
from fault_network import Network
from fault_seeds import Random
from onnx import TensorProto, helper, numpy_helper
from tuf.api.exceptions import DownloadError, DownloadHTTPError
from typing_extensions import override

from edge.agent.fetch import NOT_FOUND, HubFetcher
from edge.testing.signed_site import SignedSite
from edge.testing.small_bundle import HERO, MadeBundle, small_bundle
from edgewise.bundle.assignment import Assignment
from edgewise.bundle.catalogue import Catalogue, Item, content_sha256, encode_catalogue
from edgewise.bundle.facts import NO_FACTS
from edgewise.bundle.golden import Golden, encode_golden, golden_rows
from edgewise.bundle.manifest import CATALOGUE, FEATURES, GOLDEN, POLICY, ModelEntry
from edgewise.bundle.policy import Arm, ByModel, ByPriority, Cap, Placement, Policy, Site, encode_policy
from edgewise.consent import Consent, ConsentState
from edgewise.features.table import FeatureTable, ItemAttribute, encode_features
from edgewise.ids import ArmName, BundleVersion, CollectionName, ItemId, ModelName, SiteName
from hub.release.repository import Standing

SITE = SiteName("shop")
RANKER = ModelName("ranker")
ALL = CollectionName("all")
UNAPPROVED = ItemId("unapproved")
SIGNED = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
"""When everything was signed: what expires is judged by the machine's clock, which the histories do not move."""
BAD = 5
"""A release whose model does not give the scores that it was trained to."""
SCRIPT = [1, 2, 3, 2, 4, BAD, 4, 6, 7, 6]
"""Releases, each assigned to all nodes: with an explicit rollback, and one that no node may take."""


class Step(NamedTuple):
    """One signed state of the site."""

    files: dict[str, bytes]
    assignment: Assignment
    digest: str
    """Of the release that is assigned."""
    approved: frozenset[str]
    """Digests of all that had been released by then."""


def model_arm(version: int) -> ArmName:
    return ArmName(f"model-{version}")


def plain_arm(version: int) -> ArmName:
    return ArmName(f"plain-{version}")


def feature(version: int) -> str:
    return f"quality_{version}"


def quality(version: int) -> float:
    """What the catalogue of a release says of each item."""
    return 1_000.0 + version


def score(version: int) -> float:
    """What the model of a release makes of what the catalogue of the same release says."""
    return version * quality(version)


def title(version: int) -> str:
    return f"edition {version}"


def release(version: int) -> MadeBundle:
    """A bundle in which every resource tells which release it belongs to."""
    content = {"title": title(version)}
    items = [
        Item(
            ItemId(f"film-{number}"),
            content,
            {"quality": quality(version)},
            approved_sha256=content_sha256(content),
            approved_by="ann",
        )
        for number in range(3)
    ]
    # Its content was changed after somebody had approved it.
    changed = {"title": "was something else"}
    items.append(
        Item(UNAPPROVED, content, {"quality": 9e6}, approved_sha256=content_sha256(changed), approved_by="ann")
    )
    policy = Policy(
        site=Site(name=SITE, salt="salt", default_consent=Consent(*[ConsentState.GRANTED] * 3)),
        placements={
            HERO: Placement(
                collection=ALL,
                arms={model_arm(version): Arm(ByModel(RANKER)), plain_arm(version): Arm(ByPriority())},
                arm=model_arm(version),
                opted_out_arm=plain_arm(version),
                fallback=[items[0].id],
                cap=Cap(impressions=50, days=7),
            )
        },
        collections={ALL: [item.id for item in items]},
    )
    trained = version + 1 if version == BAD else version
    rows = np.array([[1.0], [2.0]], np.float32)
    return small_bundle(
        SITE,
        version=version,
        models={RANKER: ModelEntry("models/ranker.onnx", features=(feature(version),))},
        resources={
            POLICY: encode_policy(policy),
            CATALOGUE: encode_catalogue(Catalogue(items)),
            FEATURES: encode_features(FeatureTable([ItemAttribute(name=feature(version), attribute="quality")])),
            GOLDEN: encode_golden(Golden({RANKER: golden_rows(rows, rows[:, 0].astype(float) * trained)})),
            "models/ranker.onnx": _times(version),
        },
    )


def _times(factor: float) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], ["y"])],
        "ranker",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(np.array([factor], np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@cache
def site() -> SignedSite:
    """Whose nodes they all are; its bytes are the same in each process, so that a bit of them that flips is, too."""
    return SignedSite(SITE, entropy=Random(1).randbytes, now=lambda: SIGNED)


@cache
def steps() -> tuple[Step, ...]:
    """The site's life, signed once a process."""
    return _play(site(), SCRIPT)


@cache
def foreign_site() -> SignedSite:
    """Somebody else, under the same name, with keys of his own."""
    return SignedSite(SITE, entropy=Random(2).randbytes, now=lambda: SIGNED)


@cache
def foreign() -> Step:
    """What he would publish."""
    return _play(foreign_site(), [9])[0]


def _play(signing: SignedSite, script: list[int]) -> tuple[Step, ...]:
    made = {version: release(version) for version in script}
    played: list[Step] = []
    released: list[int] = []
    for number, version in enumerate(script, start=1):
        if version not in released:
            signing.release(made[version])
            released.append(version)
        signing.assign(version)
        played.append(
            Step(
                dict(signing.files),
                Assignment(number, BundleVersion(version), {}),
                made[version].digest,
                frozenset(made[each].digest for each in released),
            )
        )
    return tuple(played)


class Publishing:
    """What one hub hands out now: `hub.rpc.distribution.Published`."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.newest = at
        """The latest step that anybody was shown."""
        self.is_foreign = False

    @property
    def step(self) -> Step:
        """What is shown."""
        return foreign() if self.is_foreign else steps()[self.at]

    def go_on(self) -> None:
        """The next release, or the next assignment, is signed."""
        self.newest = self.at = min(self.newest + 1, len(steps()) - 1)

    def metadata(self, name: str) -> bytes | None:
        return self.step.files.get(f"metadata/{name}")

    def target(self, path: str) -> bytes | None:
        return self.step.files.get(f"targets/{path}")

    def blob(self, sha256: str) -> bytes | None:
        return self.step.files.get(f"blobs/{sha256}")

    def assignment(self) -> Assignment | None:
        return self.step.assignment

    def standing(self) -> Standing:
        """Without live facts; whose site it is stands for the versions of root and targets."""
        return Standing((1, 1 + self.is_foreign, self.step.assignment.version), NO_FACTS, 0)


class SimulatedFetcher(HubFetcher):
    """Downloads that happen in one moment of simulated time, or break off, or come with a bit changed."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @override
    def stream(self, path: str, offset: int) -> Iterator[bytes]:
        network, random = self._network, self._network.random
        if network.find is None or not network.is_flowing:
            raise DownloadError("UNAVAILABLE: nobody answers")
        data = network.find(path)
        if data is None:
            raise DownloadHTTPError(f"NOT_FOUND: {path}", NOT_FOUND)
        data = data[offset:]
        if data and random.random() < network.flip_odds:
            position = random.randrange(len(data))
            data = data[:position] + bytes([data[position] ^ 1 << random.randrange(8)]) + data[position + 1 :]
            network.flips += 1
        if random.random() < network.cut_odds:
            yield data[: random.randrange(len(data) + 1)]
            raise DownloadError("UNAVAILABLE: the connection was cut")
        yield data
