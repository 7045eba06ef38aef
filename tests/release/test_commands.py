"""`edgewise keys`, `site`, `release` and `model`, as a person types them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from release_world import Shop, tiny_model

from edgewise.cli import main
from edgewise.ids import ModelName


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


class Typed:
    """Runs commands in this process, on one hub and one site."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.site = str(folder / "site")
        self.data_dir = folder / "hub"
        self._capture = capture

    def __call__(self, *words: str) -> Said:
        code: int | str | None = 0
        arguments = [word.replace("SITE", self.site) for word in words]
        if words[:2] not in {("site", "check"), ("site", "approve")}:
            arguments += ["--data-dir", str(self.data_dir)]
        try:
            main(arguments)
        except SystemExit as ended:
            code = ended.code
        said = self._capture.readouterr()
        return Said(int(code or 0), said.out, said.err)


@pytest.fixture
def typed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setenv("USER", "ann")
    return Typed(tmp_path, capsys)


def test_a_first_hour(typed: Typed) -> None:
    begun = typed("site", "init", "SITE", "--json").json
    assert begun["approved_by"] == "ann"
    assert len(begun["write_key"]) >= 32
    assert begun["write_key"] not in (Path(typed.site) / "site.yaml").read_text()
    checked = typed("site", "check", "SITE")
    assert (checked.code, checked.err) == (0, "")
    assert "kettle-and-bean is in order: 7 placements, 33 items" in checked.out
    assert "nothing serves yet" in typed("site", "plan", "SITE").out
    assert "built release 1; next: edgewise release approve 1" in typed("site", "apply", "SITE").out
    refused = typed("release", "promote", "1")
    assert refused.code == 1
    assert "no person approved it" in refused.err
    assert typed("release", "approve", "1", "--by", "bob").code == 0
    assert typed("release", "promote", "1").code == 0
    assert "0 changes, against release 1, which serves" in typed("site", "plan", "SITE").out
    assert "nothing to build: release 1 (live) holds exactly this" in typed("site", "apply", "SITE").out
    (listed,) = typed("release", "list", "--json").json["releases"]
    assert (listed["version"], listed["status"], listed["approved_by"]) == (1, "live", "bob")
    shown = typed("release", "show", "1").out
    assert listed["digest"] in shown
    verified = typed("release", "verify", "all", "--json").json["releases"]
    assert [(each["version"], each["signed"], each["problem"]) for each in verified] == [(1, True, None)]
    assert typed("release", "rollback").code == 1


def test_quiet_says_nothing_but_errors(typed: Typed) -> None:
    assert typed("site", "init", "SITE", "--quiet") == (0, "", "")
    assert typed("site", "check", "SITE", "--quiet") == (0, "", "")
    (Path(typed.site) / "site.yaml").unlink()
    refused = typed("site", "check", "SITE", "--quiet")
    assert (refused.code, refused.out) == (1, "")
    assert "there is no site.yaml" in refused.err


def test_a_flawed_site_is_listed_with_file_and_line(typed: Typed) -> None:
    typed("site", "init", "SITE")
    path = Path(typed.site) / "placements/home_hero.yaml"
    path.write_text(path.read_text().replace("count: 1", "cuont: 1"))
    said = typed("site", "check", "SITE", "--json")
    assert said.code == 1
    (problem,) = said.json["error"]["problems"]
    assert problem["path"] == "placements/home_hero.yaml:4", "below the line that names the schema"
    assert "Traceback" not in said.err


def test_items_wait_until_somebody_approves_them(typed: Typed) -> None:
    typed("site", "init", "SITE")
    for words in (("site", "apply", "SITE"), ("release", "approve", "1"), ("release", "promote", "1")):
        assert typed(*words).code == 0
    path = Path(typed.site) / "items/teas.yaml"
    path.write_text(path.read_text().replace("title: Rooibos", 'title: "Red [bush] tea"'))
    assert (
        "1 item waits for an approval, out of every answer until then (rooibos)" in typed("site", "check", "SITE").out
    )
    assert typed("site", "approve", "SITE", "rooibos", "--by", "eve").out == "rooibos: approved in items/teas.yaml\n"
    assert typed("site", "check", "SITE", "--json").json["waiting"] == []
    assert typed("site", "approve", "SITE").out == "nothing waits for an approval\n"
    change = '    ~ rooibos\n        content.title: "Rooibos" -> "Red [bush] tea"\n        approved by eve\n'
    assert change in typed("site", "plan", "SITE").out, "what people write is no markup"


def test_models_from_list_to_card(typed: Typed, tmp_path: Path) -> None:
    card = {"intended_use": "the [hero]"}
    assert "no model yet" in typed("model", "list").out
    shop = Shop(tmp_path)
    for seed in (1, 2):
        shop.registry.register(ModelName("ranker"), tiny_model(shop.contents().features, seed), card, by="ann")
    assert typed("model", "promote", "ranker").code == 1
    approved = typed("model", "approve", "ranker@1", "--by", "bob")
    assert approved.code == 0
    assert "its card does not say fairness: what was measured for groups of people" in approved.err
    assert typed("model", "approve", "ranker").code == 0
    assert typed("model", "promote", "ranker@1").code == 0
    assert typed("model", "promote", "ranker@2", "--alias", "challenger").code == 0
    listed = {entry["version"]: entry for entry in typed("model", "list", "--json").json["models"]}
    assert (listed[1]["aliases"], listed[1]["approved_by"]) == (["champion"], "bob")
    assert (listed[2]["aliases"], listed[2]["status"]) == (["challenger"], "approved")
    assert typed("model", "promote", "ranker@2").code == 0
    assert "ranker@1 is champion again" in typed("model", "rollback", "ranker").out
    assert typed("model", "rollback", "ranker").code == 1
    assert "## Intended use\n\nthe [hero]" in typed("model", "card", "ranker").out
    assert "no model 'rankr'; there are: ranker" in typed("model", "card", "rankr").err
    page = tmp_path / "card.html"
    assert f"card of ranker@2: {page}" in typed("model", "card", "ranker", "--format", "html", "--out", str(page)).out
    assert "<h2>Intended use</h2><p>the [hero]</p>" in page.read_text("utf-8")
    told = msgspec.json.decode(typed("model", "card", "ranker@1", "--format", "json").out)
    assert (told["name"], told["version"], told["card"]) == ("ranker", 1, card)
    kept = (typed.data_dir / "models/ranker/1/card.md").read_text("utf-8")
    assert "## Intended use\n\nthe [hero]" in kept


@pytest.mark.parametrize(
    "words",
    [
        ("release", "verify", "newest"),
        ("release", "show", "one"),
        ("release", "promote", "-1"),
        ("model", "card", "ranker@new"),
        ("model", "card", "ranker", "--format", "pdf"),
        ("model", "promote", "ranker@1", "--alias", "best"),
        ("site", "check"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(typed: Typed, words: tuple[str, ...], tmp_path: Path) -> None:
    Shop(tmp_path)
    assert typed(*words).code == 2


def test_keys_are_made_once(typed: Typed) -> None:
    made = typed("keys", "init", "--json").json["made"]
    assert "root.pem" in made
    again = typed("keys", "init")
    assert again.code == 1
    assert "nothing was changed" in again.err


def test_a_damaged_release_fails_its_verification(typed: Typed) -> None:
    typed("site", "init", "SITE")
    typed("site", "apply", "SITE")
    policy = typed.data_dir / "candidates/1/policy.json"
    policy.write_bytes(policy.read_bytes().replace(b'"count":6', b'"count":7'))
    said = typed("release", "verify", "1")
    assert said.code == 1
    assert "policy.json is not what the manifest says" in said.err


def test_a_refused_candidate_is_history(typed: Typed) -> None:
    typed("site", "init", "SITE")
    typed("site", "apply", "SITE")
    assert typed("release", "refuse", "1", "--reason", "wrong banner").code == 0
    assert "release 1 is refused; expected candidate" in typed("release", "approve", "1").err
    assert "built release 2" in typed("site", "apply", "SITE").out


def test_a_damaged_live_release_is_named_where_a_new_one_is_built(typed: Typed) -> None:
    typed("site", "init", "SITE")
    for words in (("site", "apply", "SITE"), ("release", "approve", "1"), ("release", "promote", "1")):
        assert typed(*words).code == 0
    for blob in (typed.data_dir / "repository/blobs").iterdir():
        blob.write_bytes(b"{}")
    said = typed("site", "apply", "SITE")
    assert said.code == 0
    assert "what serves is damaged" in said.out
    assert "built release 2" in said.out
