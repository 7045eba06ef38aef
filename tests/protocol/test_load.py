"""A bundle is accepted as a whole or refused with a code and a place; it never breaks whoever loads it."""

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
import world
from hypothesis import given
from hypothesis import strategies as st

from edgewise.admission import acceptance
from edgewise.admission.acceptance import LIMITS, Limits, accept, read_manifest
from edgewise.admission.load import NO_CONTENT, Bundle, load_bundle
from edgewise.bundle.catalogue import Item
from edgewise.bundle.experiments import Experiment, NamespaceRange
from edgewise.bundle.exploration import Thompson
from edgewise.bundle.golden import Golden, GoldenRows, encode_golden
from edgewise.bundle.manifest import (
    CATALOGUE,
    FEATURES,
    GOLDEN,
    NEIGHBOURS,
    POLICY,
    PROTOCOL_VERSION,
    SESSIONS,
    VECTORS,
    ModelEntry,
    Resource,
    encode_manifest,
)
from edgewise.bundle.neighbours import NeighbourRows
from edgewise.bundle.policy import (
    Arm,
    ByAttribute,
    ByModel,
    ByNeighbours,
    ByPriority,
    ByRetrieval,
    BySessions,
    ByVectors,
    Compare,
    Diversity,
    Not,
    Nothing,
    Policy,
    Rule,
    Some,
    decode_policy,
    encode_policy,
)
from edgewise.bundle.sessions import Walk, encode_sessions
from edgewise.bundle.vectors import encode_vectors
from edgewise.decide import decide
from edgewise.draws import draw_from
from edgewise.errors import BundleRefused
from edgewise.features.table import (
    Affinity,
    ContextIs,
    DistinctCount,
    FeatureTable,
    HistoryLength,
    ItemAttribute,
    NeighbourScore,
    PriceDistance,
    Rate,
    SessionScore,
    WindowCount,
    encode_features,
)
from edgewise.ids import ArmName, BundleVersion, ExperimentKey, ItemId, ModelName, PlacementName, SiteName
from edgewise.request import Candidate, Context, PlacementRequest

BY_CONTENT = ByVectors("popularity")


def load(files: dict[str, bytes], **changes: Any) -> Bundle:
    made = world.manifest(files, **changes)
    return load_bundle(made, hashlib.sha256(encode_manifest(made)).hexdigest(), files)


def refusal(load_it: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(BundleRefused) as refused:
        load_it()
    assert "$" in refused.value.message, "a refusal names the place"
    return refused.value.code, refused.value.message


# --- accepted --------------------------------------------------------------------------------------------------------
def test_a_whole_bundle_is_loaded() -> None:
    bundle = world.bundle()
    assert bundle.version == 7
    assert len(bundle.digest) == 64
    assert bundle.item(world.FILMS[3]) == world.item(3)
    assert bundle.item(ItemId("gone")) is None
    assert msgspec.json.decode(bundle.content_json(world.FILMS[3]))["title"] == "Film 3"
    model = bundle.models[world.RANKER]
    assert model.onnx == b"the bytes of a graph"
    assert model.attribution == b"the bytes of its twin"
    assert model.columns is None, "the model takes all columns in order"
    assert bundle.neighbours is not None
    assert list(bundle.placements) == [world.HERO, world.LIST]


def test_content_that_nobody_approved_cannot_be_had() -> None:
    items = [world.item(number) for number in range(24)]
    items[3] = msgspec.structs.replace(items[3], approved_sha256="0" * 64)
    bundle = world.bundle(catalogue=world.catalogue(items))
    assert bundle.content_json(world.FILMS[3]) == NO_CONTENT
    assert bundle.content_json(ItemId("gone")) == NO_CONTENT


def test_a_model_may_take_some_columns_in_its_own_order() -> None:
    files = world.resources(
        golden=encode_golden(Golden({world.RANKER: GoldenRows(1, 2, np.zeros(2, "<f4").tobytes(), bytes(8))}))
    )
    bundle = load(files, models={world.RANKER: ModelEntry("models/ranker.onnx", ("popularity", "genre"))})
    columns = bundle.models[world.RANKER].columns
    assert columns is not None
    assert columns.tolist() == [4, 2]
    assert bundle.models[world.RANKER].features == (4, 2)


def test_a_bundle_without_models_and_neighbours_is_a_bundle() -> None:
    placement = world.placement(arms={world.CHAMPION: Arm(ByAttribute("popularity"))})
    files = {
        POLICY: encode_policy(msgspec.structs.replace(world.policy({world.HERO: placement}), experiments={})),
        FEATURES: b'{"features":[]}',
        CATALOGUE: world.resources()[CATALOGUE],
        GOLDEN: encode_golden(Golden({})),
    }
    bundle = load(files, models={})
    assert bundle.neighbours is None
    assert bundle.models == {}


# --- the manifest ----------------------------------------------------------------------------------------------------
def judge(**changes: Any) -> None:
    judged = {"site": world.SITE, "current_version": None}
    arguments = {name: changes.pop(name) for name in [*judged, "now_ms", "limits"] if name in changes}
    manifest = world.manifest(world.resources(), **changes)
    accept(manifest, **{**judged, "now_ms": world.NOW_MS, "limits": LIMITS, **arguments})


def test_a_good_manifest_is_accepted() -> None:
    judge()
    judge(current_version=BundleVersion(7))
    judge(current_version=BundleVersion(6))
    judge(version=BundleVersion(0), parent=None)
    for needed in range(1, PROTOCOL_VERSION + 1):
        judge(protocol_version=needed)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("wrong_site", {"site": SiteName("another-shop")}),
        ("version_falls", {"current_version": BundleVersion(8)}),
        ("protocol", {"protocol_version": PROTOCOL_VERSION + 1}),
        ("protocol", {"protocol_version": 0}),
        ("expired", {"now_ms": world.NOW_MS + 31 * 86_400_000}),
        ("expired", {"now_ms": world.NOW_MS + 30 * 86_400_000}),
        ("invalid", {"version": BundleVersion(-1), "parent": None}),
        ("invalid", {"parent": BundleVersion(7)}),
        ("invalid", {"expires_ms": 0}),
        ("missing_resource", {"resources": {}}),
        ("too_large", {"limits": Limits(resource_bytes=10)}),
        ("too_large", {"limits": Limits(total_bytes=10)}),
        ("too_large", {"limits": Limits(resources=3)}),
        ("blank", {"models": {ModelName(""): ModelEntry("models/ranker.onnx", ("genre",))}}),
        ("blank", {"models": {world.RANKER: ModelEntry("models/ranker.onnx", ())}}),
        ("invalid", {"models": {world.RANKER: ModelEntry("models/ranker.onnx", ("genre", "genre"))}}),
        ("invalid", {"models": {world.RANKER: ModelEntry(POLICY, ("genre",))}}),
        ("dangling", {"models": {world.RANKER: ModelEntry("models/none.onnx", ("genre",))}}),
        ("dangling", {"models": {world.RANKER: ModelEntry("models/ranker.onnx", ("genre",), "models/none.onnx")}}),
    ],
)
def test_a_manifest_is_refused_by_name(code: str, changes: dict[str, Any]) -> None:
    assert refusal(lambda: judge(**changes))[0] == code


@pytest.mark.parametrize(
    "path", ["../up", "/etc/passwd", "models/../../up", "a//b", ".hidden", "", "a\\b", "a\nb", "c:/x", "manifest.json"]
)
def test_a_resource_cannot_be_written_elsewhere(path: str) -> None:
    files = {**world.resources(), path: b"x"}
    assert refusal(lambda: accept_files(files))[0] == "unsafe_path"


def accept_files(files: dict[str, bytes]) -> None:
    accept(world.manifest(files), site=world.SITE, current_version=None, now_ms=world.NOW_MS)


def test_a_manifest_is_named_by_its_digest() -> None:
    data = encode_manifest(world.manifest(world.resources()))
    manifest, digest = read_manifest(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert encode_manifest(manifest) == data


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"{}", b"\xff", b"[" * 100_000, b'{"a":' * 100_000])
def test_bytes_that_are_no_manifest_are_refused(data: bytes) -> None:
    assert refusal(lambda: read_manifest(data))[0] == "malformed"


def test_a_manifest_that_is_too_long_is_not_decoded() -> None:
    assert refusal(lambda: read_manifest(b" " * (LIMITS.manifest_bytes + 1)))[0] == "too_large"


# --- the resources ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", [POLICY, FEATURES, CATALOGUE, NEIGHBOURS, GOLDEN, "models/ranker.onnx"])
def test_one_flipped_or_missing_byte_is_noticed(path: str) -> None:
    files = world.resources()
    manifest = world.manifest(files)
    flipped = bytes([files[path][0] ^ 1]) + files[path][1:]
    for damaged, code in ((flipped, "digest_mismatch"), (files[path][:-1], "digest_mismatch")):
        assert refusal(lambda damaged=damaged: load_bundle(manifest, "d", {**files, path: damaged}))[0] == code  # type: ignore[misc]
    rest = {name: data for name, data in files.items() if name != path}
    assert refusal(lambda: load_bundle(manifest, "d", rest))[0] == "missing_resource"


def with_policy(change: Callable[[Policy], Policy]) -> Callable[[], object]:
    return lambda: world.bundle(policy=change(world.policy()))


def with_hero(**changes: Any) -> Callable[[], object]:
    return lambda: world.bundle(policy=world.policy({world.HERO: world.placement(**changes)}))


def with_rule(rule: Rule) -> Callable[[], object]:
    return with_hero(eligibility=[rule])


def with_experiment(
    *arms: str, weights: Sequence[float] = (0.5, 0.5), seed: str = "s", **said: Any
) -> Callable[[], object]:
    experiment = Experiment(
        [ArmName(arm) for arm in arms or (world.CHAMPION, world.CHALLENGER)], list(weights), seed, **said
    )
    return with_policy(lambda policy: msgspec.structs.replace(policy, experiments={world.EXPERIMENT: experiment}))


def with_arm(arm: Arm) -> Callable[[], object]:
    return with_hero(arms={world.CHAMPION: Arm(ByAttribute("popularity")), ArmName("new"): arm})


def with_features(*features: Any) -> Callable[[], object]:
    files = world.resources(
        features=msgspec.json.encode(FeatureTable(list(features))), golden=encode_golden(Golden({}))
    )
    return lambda: load(files, models={})


def with_items(*items: Item) -> Callable[[], object]:
    return lambda: world.bundle(catalogue=world.catalogue([*(world.item(number) for number in range(24)), *items]))


def with_golden(name: str, rows: int, features: int, matrix: bytes, scores: bytes) -> Callable[[], object]:
    return lambda: world.bundle(golden=Golden({ModelName(name): GoldenRows(rows, features, matrix, scores)}))


def nested(depth: int) -> Rule:
    rule: Rule = Compare("item.id", "exists")
    for _ in range(depth):
        rule = Not(Some([rule]))
    return rule


WIDTH = len(world.feature_table().features)
REFUSED: list[tuple[str, str, Callable[[], object]]] = [
    ("wrong_site", "$.site.name", lambda: world.bundle(policy=world.policy(name=SiteName("another")))),
    ("blank", "$.site.salt", lambda: world.bundle(policy=world.policy(salt=""))),
    ("invalid", "$.site.write_key_sha256[0]", lambda: world.bundle(policy=world.policy(write_key_sha256=["demo"]))),
    ("blank", "$.site.origins[0]", lambda: world.bundle(policy=world.policy(origins=[""]))),
    ("dangling", ".collection", with_hero(collection="none")),
    ("dangling", ".fallback[1]", with_hero(fallback=[world.FILMS[0], ItemId("gone")])),
    ("dangling", ".arm", with_hero(arm="none")),
    ("dangling", ".opted_out_arm", with_hero(opted_out_arm="none")),
    ("invalid", ".exploration", with_hero(exploration=Thompson())),
    ("invalid", ".nothing", with_hero(arms={world.CHAMPION: Arm(ByPriority(), nothing=Nothing(1.0))})),
    ("blank", ".diversity.attribute", with_hero(diversity=Diversity(""))),
    ("dangling", ".challenger", with_hero(learning="apprentice")),
    ("dangling", ".challenger", with_hero(learning="apprentice", challenger=world.CHAMPION)),
    ("invalid", ".challenger", with_hero(challenger=world.CHALLENGER)),
    (
        "invalid",
        ".experiment",
        with_hero(learning="apprentice", challenger=world.CHALLENGER, experiment=world.EXPERIMENT),
    ),
    ("invalid", ".arms.challenger", with_hero(learning="logging-only")),
    ("invalid", ".opted_out_arm", with_hero(opted_out_arm=world.CHALLENGER)),
    (
        "invalid",
        ".opted_out_arm",
        with_hero(
            arms={ArmName("nosy"): Arm(ByAttribute("x"), retrieval=ByNeighbours("x"))}, arm="nosy", opted_out_arm="nosy"
        ),
    ),
    ("dangling", ".experiment", with_hero(experiment=ExperimentKey("none"))),
    ("dangling", ".arms.new.ranking.model", with_arm(Arm(ByModel(ModelName("none"))))),
    ("blank", ".arms.new.ranking.attribute", with_arm(Arm(ByAttribute("")))),
    ("blank", ".fill_attribute", with_arm(Arm(ByAttribute("x"), retrieval=ByNeighbours("")))),
    ("blank", ".arms", with_hero(arms={world.CHAMPION: Arm(ByAttribute("x")), ArmName(""): Arm(ByAttribute("x"))})),
    ("blank", "$.placements", lambda: world.bundle(policy=world.policy({PlacementName(""): world.placement()}))),
    ("dangling", "$.placements.home_hero.arms", with_experiment("champion", "none", weights=[0.5, 0.5])),
    ("invalid", ".weights", with_experiment("champion", "challenger", weights=[0.5])),
    ("invalid", ".weights", with_experiment("champion", "challenger", weights=[0.5, 0.4])),
    ("invalid", ".arms", with_experiment("champion", "champion", weights=[0.5, 0.5])),
    ("blank", ".seed", with_experiment("champion", "challenger", weights=[0.5, 0.5], seed="")),
    ("dangling", ".control", with_experiment(control=ArmName("none"))),
    ("unknown_rule", ".condition.geo.country.$is", with_experiment(condition={"geo.country": {"$is": "DE"}})),
    ("unknown_rule", ".condition.$or.0.n.$regex", with_experiment(condition={"$or": [{"n": {"$regex": "(a*)*"}}]})),
    ("invalid", ".namespace.end", with_experiment(namespace=NamespaceRange("home", 0.5, 0.5))),
    ("invalid", ".min_bucket_version", with_experiment(bucket_version=1, min_bucket_version=2)),
    ("unknown_rule", ".eligibility[0].op", with_rule(Compare("item.x", "like", "a"))),
    ("unknown_rule", ".eligibility[0].of", with_rule(Compare("profile.email", "eq", "a"))),
    ("unknown_rule", ".eligibility[0].to", with_rule(Compare("item.x", "eq", "$profile.email"))),
    ("unknown_rule", ".eligibility[0].to", with_rule(Compare("item.x", "eq"))),
    ("unknown_rule", ".eligibility[0].to", with_rule(Compare("item.x", "in", "a"))),
    ("unknown_rule", ".eligibility[0].to", with_rule(Compare("item.x", "lt", True))),
    ("unknown_rule", ".eligibility[0].to", with_rule(Compare("item.x", "exists", "yes"))),
    (
        "unknown_rule",
        ".eligibility[0].rules[1].rule.op",
        with_rule(Some([nested(0), Not(Compare("item.x", "~", 1.0))])),
    ),
    ("too_large", ".eligibility[0].rule.rules[0]", with_rule(nested(20))),
    ("dangling", "$.features[0].dimension", with_features(Affinity(name="a", dimension="colour", half_life_days=1))),
    ("dangling", "$.features[0].kind", with_features(WindowCount(name="a", kind="sleep", days=1))),
    ("dangling", "$.features[0].per", with_features(Rate(name="a", kind="order", per="sleep", days=1))),
    ("invalid", ".prior_successes", with_features(Rate(name="a", kind="order", per="add", days=1, prior_successes=1))),
    ("dangling", "$.features[0].of", with_features(DistinctCount(name="a", of="colours"))),
    ("blank", "$.features[0].attribute", with_features(PriceDistance(name="a", attribute=""))),
    ("dangling", "$.features[0].field", with_features(ContextIs(name="a", field="ip", value="1"))),
    ("blank", "$.features[1].attribute", with_features(HistoryLength(name="h"), ItemAttribute(name="a", attribute=""))),
    ("malformed", "$.features[1].name", with_features(HistoryLength(name="h"), HistoryLength(name="h"))),
    ("invalid", "$.items[24].id", with_items(world.item(0))),
    ("blank", "$.items[24].id", with_items(Item(ItemId(""), {}))),
    ("invalid", "$.items[24].ends_ms", with_items(Item(ItemId("x"), {}, starts_ms=5, ends_ms=5))),
    ("too_large", ".attributes.brand", with_items(Item(ItemId("x"), {}, {"brand": [f"b{n}" for n in range(65)]}))),
    ("golden_mismatch", "$.models", lambda: world.bundle(golden=Golden({}))),
    ("golden_mismatch", ".features", with_golden("ranker", 1, 2, bytes(8), bytes(8))),
    ("golden_mismatch", ".rows", with_golden("ranker", 0, WIDTH, b"", b"")),
    ("golden_mismatch", "$.models.ranker", with_golden("ranker", 1, WIDTH, bytes(4), bytes(8))),
    (
        "golden_mismatch",
        ".scores",
        with_golden("ranker", 1, WIDTH, bytes(4 * WIDTH), np.array([np.nan], "<f8").tobytes()),
    ),
    ("malformed", "policy.json", lambda: load(world.resources(policy=b"[" * 100_000))),
    ("malformed", "catalogue.json", lambda: load(world.resources(catalogue=b"\xff"))),
    ("malformed", "neighbours.msgpack", lambda: load(world.resources(neighbours=b"\x80"))),
    ("malformed", "golden.msgpack", lambda: load(world.resources(golden=b""))),
]


@pytest.mark.parametrize(
    ("code", "where", "load_it"), REFUSED, ids=[f"{n}-{code}" for n, (code, _, _) in enumerate(REFUSED)]
)
def test_what_does_not_hold_together_is_refused_by_name(code: str, where: str, load_it: Callable[[], object]) -> None:
    got, message = refusal(load_it)
    assert (got, where in message) == (code, True), message


def test_neighbours_are_needed_by_whoever_uses_them() -> None:
    files = {path: data for path, data in world.resources().items() if path != NEIGHBOURS}
    assert refusal(lambda: load(files))[0] == "missing_resource"
    files[FEATURES] = b'{"features":[]}'
    files[GOLDEN] = encode_golden(Golden({}))
    code, message = refusal(lambda: load(files, models={}))
    assert (code, "ranker" in message) == ("dangling", True)


def test_vectors_are_needed_by_whoever_retrieves_by_them() -> None:
    arms = {world.CHAMPION: Arm(ByAttribute("popularity")), world.CHALLENGER: Arm(ByPriority(), retrieval=BY_CONTENT)}
    files = world.resources(policy=encode_policy(world.policy({world.HERO: world.placement(arms=arms)})))
    code, message = refusal(lambda: load(files))
    assert (code, VECTORS in message) == ("missing_resource", True)
    files[VECTORS] = encode_vectors([world.FILMS[0]], np.array([[127, 0]], np.int8))
    assert load(files).vectors is not None
    files[VECTORS] = encode_vectors([world.FILMS[0]], np.array([[127, 127]], np.int8))
    code, message = refusal(lambda: load(files))
    assert (code, VECTORS in message) == ("malformed", True)


def test_sessions_and_named_sets_are_needed_by_whoever_asks_for_them() -> None:
    sessions = encode_sessions([world.FILMS[0]], np.zeros(1), np.array([0, 1]), np.array([0]), Walk())
    vectors = encode_vectors([world.FILMS[0]], np.array([[127, 0]], np.int8))
    for retrieval, path, data in (
        (BySessions("popularity"), SESSIONS, sessions),
        (ByNeighbours("popularity", source="apart"), "neighbours/apart.msgpack", world.neighbours_bytes()),
        (ByVectors("popularity", source="factors"), "vectors/factors.msgpack", vectors),
    ):
        arms = {
            world.CHAMPION: Arm(ByAttribute("popularity")),
            world.CHALLENGER: Arm(ByRetrieval(), retrieval=retrieval),
        }
        files = world.resources(policy=encode_policy(world.policy({world.HERO: world.placement(arms=arms)})))
        code, message = refusal(functools.partial(load, files))
        assert (code, path in message) == ("missing_resource", True)
        loaded = load(files | {path: data})
        assert path in loaded.learned.resources
        assert decode_policy(encode_policy(loaded.policy)) == loaded.policy
        code, message = refusal(functools.partial(load, files | {path: b"nonsense"}))
        assert (code, path in message) == ("malformed", True)


def test_a_feature_needs_the_set_that_it_names() -> None:
    for feature, path in (
        (NeighbourScore(name="goes_with", source="apart"), "neighbours/apart.msgpack"),
        (SessionScore(name="visits"), SESSIONS),
    ):
        files = world.resources(
            features=encode_features(FeatureTable([*world.feature_table().features, feature])),
        )
        code, message = refusal(functools.partial(load, files))
        assert (code, path in message) == ("missing_resource", True)


def test_the_number_of_vectors_is_bounded() -> None:
    films = [ItemId(f"more-{number}") for number in range(len(world.FILMS) + 1)]
    files = world.resources() | {VECTORS: encode_vectors(films, np.zeros((len(films), 1), np.int8))}
    made = world.manifest(files)
    limits = Limits(items=len(world.FILMS))
    assert refusal(lambda: load_bundle(made, "", files, limits))[0] == "too_large"


def test_the_number_of_items_in_sessions_is_bounded() -> None:
    films = [ItemId(f"more-{number}") for number in range(len(world.FILMS) + 1)]
    data = encode_sessions(films, np.zeros(len(films)), np.array([0]), np.zeros(0, np.int32), Walk())
    files = world.resources() | {SESSIONS: data}
    limits = Limits(items=len(world.FILMS))
    assert refusal(lambda: load_bundle(world.manifest(files), "", files, limits))[0] == "too_large"


def test_retrieval_by_vectors_looks_at_profiles() -> None:
    arms = {world.CHAMPION: Arm(ByPriority(), retrieval=BY_CONTENT)}
    files = world.resources(policy=encode_policy(world.policy({world.HERO: world.placement(arms=arms)})))
    files[VECTORS] = encode_vectors([world.FILMS[0]], np.zeros((1, 1), np.int8))
    code, message = refusal(lambda: load(files))
    assert (code, "opted_out_arm" in message) == ("invalid", True)


def test_a_golden_row_for_no_model_is_refused() -> None:
    extra = Golden({**world.golden().models, ModelName("other"): world.golden().models[world.RANKER]})
    assert refusal(lambda: world.bundle(golden=extra))[0] == "dangling"


def test_a_neighbour_weight_that_could_overflow_is_refused() -> None:
    rows = msgspec.msgpack.decode(world.neighbours_bytes(), type=NeighbourRows)
    loud = np.frombuffer(rows.weights, "<f4").copy()
    loud[0] = 3e38
    data = msgspec.msgpack.encode(msgspec.structs.replace(rows, weights=loud.tobytes()))
    assert refusal(lambda: world.bundle(neighbours=data))[0] == "invalid"


# --- every field, dropped, blanked or made odd -----------------------------------------------------------------------
ODD: tuple[Any, ...] = (None, "", "x", 0, -1, 10**18, 1e308, True, [], {}, [None], {"": None}, [[]], "$item.x", "../x")
DROPPED = object()
Path = tuple[str | int, ...]


def small_files() -> dict[str, bytes]:
    """A bundle of four films, so that every field of it can be broken in turn."""
    films = [msgspec.structs.replace(world.item(number), starts_ms=1, ends_ms=world.NOW_MS * 2) for number in range(4)]
    policy = world.policy(origins=["https://shop.example"], holdout=0.1)
    placements = {
        name: msgspec.structs.replace(
            placement,
            fallback=[world.FILMS[0]],
            eligibility=[Some([Compare("item.price", "le", "$context.attributes.budget"), Not(nested(1))])],
        )
        for name, placement in policy.placements.items()
    }
    policy = msgspec.structs.replace(policy, placements=placements, collections={world.ALL: list(world.FILMS[:4])})
    return world.resources(
        policy=encode_policy(policy),
        catalogue=msgspec.json.encode(world.catalogue(films)),
        neighbours=world.neighbours_bytes(world.FILMS[:4]),
    )


FILES = small_files()
DECODED: dict[str, Any] = {
    "manifest.json": msgspec.json.decode(encode_manifest(world.manifest(FILES))),
    **{path: msgspec.json.decode(FILES[path]) for path in (POLICY, FEATURES, CATALOGUE)},
    **{path: msgspec.msgpack.decode(FILES[path]) for path in (NEIGHBOURS, GOLDEN)},
}


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from paths(inner, (*path, key))


def changed(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    head, rest = path[0], path[1:]
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    if rest or new is not DROPPED:
        copy[head] = changed(value[head], rest, new)
    else:
        del copy[head]
    return copy


def load_changed(resource: str, value: Any) -> Bundle:
    if resource == "manifest.json":
        manifest, digest = read_manifest(msgspec.json.encode(value))
        return load_bundle(manifest, digest, FILES)
    encode = msgspec.json.encode if resource.endswith(".json") else msgspec.msgpack.encode
    files = {**FILES, resource: encode(value)}
    manifest = msgspec.structs.replace(
        world.manifest(FILES),
        resources={path: Resource(hashlib.sha256(data).hexdigest(), len(data)) for path, data in files.items()},
    )
    return load_bundle(manifest, "0" * 64, files)


def serve(bundle: Bundle) -> None:
    """Whatever is accepted must be able to answer."""
    brought = [Candidate(ItemId("new"), {"price": 3, "category": ["drama"]}), Candidate(world.FILMS[1])]
    for candidates in (None, brought):
        asked = [PlacementRequest(name, candidates=candidates) for name in bundle.placements]
        if not asked:
            continue
        question = world.question(*asked, context=Context(attributes={"budget": 6}), explain=True)
        outcome = decide(
            question,
            world.shown(world.profile(["film-1", "film-3"]), "film-2", 3),
            bundle=bundle,
            score=lambda _model, matrix: np.nan_to_num(matrix).sum(axis=1, dtype=np.float32) if matrix.size else matrix,
            draw=draw_from(bundle.policy.site.salt, world.DECISION),
            now_ms=world.NOW_MS,
        )
        assert set(outcome.decision.placements) == set(bundle.placements)
        assert outcome.matrices.keys() == outcome.shown.keys()


@pytest.mark.parametrize("resource", DECODED)
def test_every_field_dropped_or_odd_is_refused_or_served(resource: str) -> None:
    whole = DECODED[resource]
    refused = accepted = 0
    for path in paths(whole):
        for new in (*ODD, DROPPED) if path else ODD:
            bundle = loaded_or_refused(lambda new=new, path=path: load_changed(resource, changed(whole, path, new)))  # type: ignore[misc]
            if bundle is None:
                refused += 1
            else:
                serve(bundle)
                accepted += 1
    assert refused > 0
    assert accepted > 0 or resource == GOLDEN, "no odd golden row is harmless, some of every other resource is"


@given(st.sampled_from(list(FILES)[:5]), st.data())
def test_any_bytes_are_refused_or_served(resource: str, data: st.DataObject) -> None:
    original = FILES[resource]
    start = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(start, min(len(original), start + 8)))
    damaged = original[:start] + data.draw(st.binary(max_size=8)) + original[end:]
    files = {**FILES, resource: damaged}
    manifest = msgspec.structs.replace(
        world.manifest(FILES),
        resources={path: Resource(hashlib.sha256(held).hexdigest(), len(held)) for path, held in files.items()},
    )
    bundle = loaded_or_refused(lambda: load_bundle(manifest, "0" * 64, files))
    if bundle is not None:
        serve(bundle)


def loaded_or_refused(load_it: Callable[[], Bundle]) -> Bundle | None:
    """The bundle, or None where it was refused with a code that is listed and a place."""
    try:
        return load_it()
    except BundleRefused as error:
        code, message = error.code, error.message
    assert code in refusal_codes(), code
    assert "$" in message, message
    return None


@functools.cache
def refusal_codes() -> set[str]:
    """The codes that the module's docstring lists."""
    assert acceptance.__doc__ is not None
    listed = acceptance.__doc__.partition("A code is one of:")[2].partition("A message")[0]
    return {word.strip("`,. ") for word in listed.split() if word.startswith("`")}


def test_the_documented_codes_are_the_codes() -> None:
    assert {code for code, _, _ in REFUSED} <= refusal_codes()
    assert "version_falls" in refusal_codes()
