"""The registry: measured before it is kept, approved before it is promoted, and every version findable for ever."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from release_world import Shop, tiny_model, tiny_neighbours

from edgewise.bundle.golden import golden_rows, unpack
from edgewise.errors import InputError, ModelRefused, RefusedError
from edgewise.ids import ModelName
from hub.artefacts import Artefacts
from hub.ledger.rows import ModelStatus
from hub.model_card import card_text
from hub.registry import ModelRegistry
from hub.site.files import ModelUse

RANKER = ModelName("ranker")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def registry(shop: Shop) -> ModelRegistry:
    return shop.registry


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    return tiny_model(Shop(tmp_path_factory.mktemp("shop")).contents().features)


def test_versions_count_up_and_keep_their_files(registry: ModelRegistry, model: Artefacts) -> None:
    card = {"purpose": "ranks", "metrics": {"auc": 0.71}}
    assert registry.register(RANKER, model, card, by="Ann") == 1
    assert registry.register(RANKER, Artefacts(neighbours=tiny_neighbours("a", "b")), {}, by="Ann") == 2
    assert registry.register(ModelName("other"), model, {}, by="Ann") == 1
    assert registry.artefacts(RANKER, 1) == model
    assert registry.artefacts(RANKER, 2).model is None
    assert [(row.name, row.version) for row in registry.models()] == [("other", 1), ("ranker", 2), ("ranker", 1)]
    row = registry.row(RANKER, 1)
    assert (row.card, row.status, row.approved_by) == (card, ModelStatus.CANDIDATE, None)


def test_approval_comes_before_promotion(shop: Shop, registry: ModelRegistry, model: Artefacts) -> None:
    registry.register(RANKER, model, {}, by="Ann")
    with pytest.raises(RefusedError, match="no person approved it; `edgewise model approve ranker@1") as refused:
        registry.promote(RANKER, 1, by="Ann")
    assert refused.value.code == "not-approved"
    assert registry.approve(RANKER, 1, by="Bob").approved_by == "Bob"
    registry.promote(RANKER, 1, by="Cleo")
    assert registry.aliases(RANKER) == {"champion": 1}
    with pytest.raises(RefusedError, match="is approved; expected candidate"):
        registry.approve(RANKER, 1, by="Bob")
    told = [(entry.who, entry.what, entry.subject) for entry in shop.ledger.audit()]
    assert told == [
        ("Cleo", "model promote", "ranker@1"),
        ("Bob", "model approve", "ranker@1"),
        ("Ann", "model register", "ranker@1"),
    ]


def test_rolling_back_gives_the_alias_to_who_had_it_before(registry: ModelRegistry, model: Artefacts) -> None:
    for version in (1, 2, 3):
        registry.register(RANKER, model, {}, by="Ann")
        registry.approve(RANKER, version, by="Ann")
        registry.promote(RANKER, version, by="Ann")
    registry.promote(RANKER, 3, by="Ann")
    registry.promote(RANKER, 2, by="Ann", alias="challenger")
    assert registry.rollback(RANKER, by="Bob") == 2
    assert registry.rollback(RANKER, by="Bob") == 1
    with pytest.raises(RefusedError, match="no version of ranker was champion before"):
        registry.rollback(RANKER, by="Bob")
    assert registry.aliases(RANKER) == {"champion": 1, "challenger": 2}
    assert registry.resolve(ModelUse(RANKER, "champion")) == 1
    assert registry.resolve(ModelUse(RANKER, "challenger")) == 2
    assert registry.resolve(ModelUse(RANKER, 3)) == 3


def test_what_a_site_names_must_be_there_and_approved(registry: ModelRegistry, model: Artefacts) -> None:
    with pytest.raises(InputError, match="no trained model 'ranker'; there are: none"):
        registry.resolve(ModelUse(RANKER, "champion"))
    registry.register(RANKER, model, {}, by="Ann")
    with pytest.raises(InputError, match="no version of 'ranker' is its champion"):
        registry.resolve(ModelUse(RANKER, "champion"))
    with pytest.raises(RefusedError, match="ranker@1 is candidate"):
        registry.resolve(ModelUse(RANKER, 1))
    with pytest.raises(InputError, match="no model ranker@2; there are: ranker@1"):
        registry.resolve(ModelUse(RANKER, 2))


def test_what_the_gate_refuses_is_not_kept(registry: ModelRegistry, model: Artefacts) -> None:
    assert model.model is not None
    assert model.golden is not None
    matrix, scores = unpack(model.golden)
    flawed = {
        "artefacts": Artefacts(features=model.features),
        "golden": msgspec.structs.replace(model, golden=None),
        "neighbours": Artefacts(neighbours=b"\x00"),
        "attribution": msgspec.structs.replace(model, attribution=model.model),
    }
    for code, artefacts in flawed.items():
        with pytest.raises(ModelRefused) as refused:
            registry.register(RANKER, artefacts, {}, by="Ann")
        assert refused.value.code == code
    unsafe = msgspec.structs.replace(model, model=model.model.replace(b"TreeEnsemble", b"TreeEnsembl3"))
    with pytest.raises(ModelRefused, match="TreeEnsembl3"):
        registry.register(RANKER, unsafe, {}, by="Ann")
    wrong = msgspec.structs.replace(model, golden=golden_rows(matrix, scores + 1))
    with pytest.raises(ModelRefused, match="differs by"):
        registry.register(RANKER, wrong, {}, by="Ann")
    narrow = msgspec.structs.replace(model, golden=golden_rows(matrix[:, 1:], scores))
    with pytest.raises(ModelRefused, match="golden rows of 15 columns for a model of 16 features"):
        registry.register(RANKER, narrow, {}, by="Ann")
    with pytest.raises(InputError, match="no name for a model"):
        registry.register(ModelName("../ranker"), model, {}, by="Ann")
    assert registry.models() == []
    assert registry.register(RANKER, model, {}, by="Ann") == 1


def test_changed_files_are_found_before_anybody_approves(shop: Shop, registry: ModelRegistry, model: Artefacts) -> None:
    registry.register(RANKER, model, {}, by="Ann")
    file = shop.data_dir / "models/ranker/1/model.onnx"
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelRefused, match="are not those registered"):
        registry.approve(RANKER, 1, by="Ann")
    file.unlink()
    with pytest.raises(ModelRefused, match="are not those registered"):
        registry.artefacts(RANKER, 1)
    assert registry.row(RANKER, 1).status is ModelStatus.CANDIDATE


def test_a_card_reads_as_markdown_with_a_yaml_header(registry: ModelRegistry, model: Artefacts) -> None:
    card = {"intended_use": "The hero.", "metrics": {"auc": 0.71, "rows": 120}, "limits": ["new items", "robots"]}
    registry.register(RANKER, model, card, by="Ann")
    text = card_text(registry.row(RANKER, 1), ["price"])
    assert text.startswith("---\nname: ranker\nversion: 1\n")
    assert "status: candidate\n" in text
    assert "## Intended use\n\nThe hero.\n" in text
    assert "| auc | 0.71 |\n" in text
    assert "- robots\n" in text
