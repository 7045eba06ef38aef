"""Section 2, the command line: flags as written, one JSON object, quiet, exit codes 0, 1 and 2, and no traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from contract_nodes import run
from hub_process import Finished, edgewise
from release_world import Shop, tiny_model
from replay_world import replay_shop

from edgewise.ids import ModelName

pytestmark = pytest.mark.process

FLAGS: dict[str, str] = {
    "demo": "--once --port",
    "hub serve": "--config --data-dir",
    "hub learn": "--site --once --history --html --approve --promote --refuse --halt --resume --by --data-dir",
    "edge serve": "--port --workers --data-dir --hub --bundle --config",
    "edge script": "--size --debug --out",
    "keys init": "--data-dir",
    "config show": "--config",
    "config check": "",
    "config schema": "",
    "site init": "--data-dir",
    "site schema": "--out",
    "site check": "",
    "site plan": "--data-dir --replay",
    "site apply": "--data-dir",
    "site fallbacks": "--out --locale",
    "import decisions": "--name --format --map --delimiter --data-dir",
    "import events": "--data-dir",
    "import source": "--site --dry-run --data-dir",
    "train recommend": "--interactions --user --item --time --weight --items --method --split --k --report --set "
    "--seed --delimiter",
    "train scoring": "--table --target --kind --features --drop --time --cv --test --report --export --set --seed "
    "--delimiter",
    "score onnx": "--table --out --delimiter",
    "evaluate": "--decisions --policy --estimator --seed --data-dir",
    "model list": "--data-dir",
    "model card": "--data-dir",
    "model approve": "--data-dir",
    "model promote": "--data-dir",
    "model rollback": "--data-dir",
    "release list": "--data-dir",
    "release show": "--data-dir",
    "release verify": "--data-dir",
    "release approve": "--data-dir",
    "release promote": "--data-dir",
    "release rollback": "--data-dir",
    "nodes": "--data-dir",
    "explain": "--data-dir",
    "replay": "--data-dir",
    "profile show": "--timeline --data-dir",
    "doctor": "",
    "prove": "--quick --only --seed",
}


@pytest.mark.parametrize("command", FLAGS)
def test_a_command_has_the_flags_of_the_contract(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    told = edgewise(capsys, *command.split(), "--help")
    assert told.code == 0
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", told.stdout))
    assert {*FLAGS[command].split(), "--json", "--quiet"} <= flags


TILL = """kind: offline
consent: granted
identifiers: {userId: customer}
records:
  - {event: Offline Purchase, time: when, group: [receipt], products: {fields: {product_id: article}}}
"""


class Desk(NamedTuple):
    """A hub's folder with a release, a model and visitors, one with logged decisions, and files."""

    hub: Path
    site: Path
    logged: Path
    decision: str
    folder: Path

    def words(self, typed: str) -> list[str]:
        """`HUB`, `SITE`, `LOGGED`, `DECISION` and `FOLDER` stand for what is here."""
        for name in self._fields:
            typed = typed.replace(name.upper(), str(getattr(self, name)))
        return typed.split()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    shop = Shop(folder)
    shop.registry.register(ModelName("ranker"), tiny_model(shop.contents().features, 1), {}, by="ann")
    (shop.site / "sources").mkdir()
    (shop.site / "sources" / "till.yaml").write_text(TILL)
    (folder / "receipts.csv").write_text("receipt,when,customer,article\nr1,2025-01-01,7,tea\n")
    shop.live()
    event = {"type": "page", "anonymousId": "ann", "messageId": "m-1", "timestamp": "2026-01-01T00:00:00Z"}
    (folder / "events.jsonl").write_text(json.dumps(event))
    hub = ("--data-dir", str(shop.data_dir))
    run("import", "events", str(folder / "events.jsonl"), *hub, "--consent", "granted")
    (folder / "good.toml").write_text("workers = 3\n")
    (folder / "bad.toml").write_text("werkers = 3\n")
    (folder / "text").write_text("no site, no model, no settings\n")
    with replay_shop(folder / "replayed") as replayed:
        decision = replayed.decided().decision_id
        yield Desk(shop.data_dir, shop.site, folder / "replayed" / "hub", decision, folder)


DONE: dict[str, str] = {
    # command -> keys that its object has at least
    "config show": "workers port data_dir",
    "config show --of hub": "grpc admin",
    "config check FOLDER/good.toml": "ok file",
    "config schema": "$ref",
    "site init FOLDER/NEW --data-dir FOLDER/NEW-hub --by ann": "site write_key",
    "site check SITE": "site placements items waiting notes",
    "site schema": "kinds",
    "site schema placements": "$schema $defs",
    "site schema --out FOLDER/NEW-schema": "folder written",
    "site plan SITE --data-dir HUB": "live changes waiting replayed",
    "site apply SITE --data-dir HUB --by ann": "release is_new plan",
    "keys init --data-dir FOLDER/NEW": "folder made",
    "import source till FOLDER/receipts.csv --site SITE --dry-run": "name rows events rejected preview reasons",
    "import source till FOLDER/receipts.csv --site SITE --data-dir HUB": "name rows events stored known profiles",
    "release list --data-dir HUB": "releases",
    "release show 1 --data-dir HUB": "release manifest",
    "release verify 1 --data-dir HUB": "releases",
    "release verify all --data-dir HUB": "releases",
    "model list --data-dir HUB": "models",
    "model card ranker --data-dir HUB": "name version status sha256 card",
    "nodes --data-dir HUB": "nodes",
    "profile show ann --data-dir HUB": "subject counts dial consent",
    "profile show ann --timeline --data-dir HUB": "timeline",
    "explain DECISION --data-dir LOGGED": "decision_id placements applied outcomes",
    "replay DECISION --data-dir LOGGED": "decision_id identical sha256",
}


@pytest.mark.parametrize("typed", DONE)
def test_what_is_done_is_one_json_object_or_quiet(capsys: pytest.CaptureFixture[str], desk: Desk, typed: str) -> None:
    told = edgewise(capsys, *desk.words(typed.replace("NEW", "by-json")), "--json")
    assert (told.code, told.stdout.count("\n")) == (0, 1), told.stderr
    assert set(DONE[typed].split()) <= set(json.loads(told.stdout))
    assert edgewise(capsys, *desk.words(typed.replace("NEW", "by-quiet")), "--quiet") == Finished(0, "", "")
    shown = edgewise(capsys, *desk.words(typed.replace("NEW", "shown")))
    assert shown.code == 0
    assert shown.stdout.strip()


REFUSED: dict[str, str] = {
    "config check FOLDER/bad.toml": "bad.toml: Object contains unknown field `werkers`",
    "config check FOLDER/none.toml": "none.toml: No such file",
    "config show --config FOLDER/text": "text is not TOML",
    "site init SITE --data-dir HUB": "is not empty",
    "site check FOLDER/none": "1 problem in the site",
    "site schema placement": "no kind of files 'placement'; did you mean 'placements'?",
    "site apply FOLDER/none --data-dir HUB": "1 problem in the site",
    "keys init --data-dir HUB": "nothing was changed",
    "import decisions FOLDER/none.csv --data-dir HUB": "none.csv: no such file",
    "import events FOLDER/none.jsonl --data-dir HUB": "none.jsonl: No such file",
    "import events FOLDER/text --data-dir HUB": "no event could be used",
    "import source tlil FOLDER/text --site SITE": "has no source 'tlil' (sources/tlil.yaml); did you mean 'till'?",
    "import source till FOLDER/none.csv --site SITE --data-dir HUB": "none.csv: no such file",
    "import source till FOLDER/none.csv --site SITE --dry-run": "none.csv: no such file",
    "evaluate --decisions none --policy uniform --data-dir HUB": "no decisions 'none'",
    "train recommend --interactions FOLDER/none.csv --user u --item i": "none.csv: no such file",
    "train scoring --table FOLDER/none.csv --target y": "none.csv: no such file",
    "score onnx FOLDER/none.onnx --table FOLDER/none.csv --out FOLDER/out.csv": "none.onnx: no such file",
    "score onnx FOLDER/text --table FOLDER/none.csv --out FOLDER/out.csv": "text: not a model",
    "model card none --data-dir HUB": "no model 'none'; there are: ranker",
    "release show 99 --data-dir HUB": "no release 99; there are: 1",
    "release verify 99 --data-dir HUB": "no release 99",
    "profile show nobody --data-dir HUB": "nothing is known of 'nobody'",
    "explain 01BX5ZZKBKACTAV9WEVGEMMVRZ --data-dir HUB": "no decision '01BX5ZZKBKACTAV9WEVGEMMVRZ'",
    "replay 01BX5ZZKBKACTAV9WEVGEMMVRZ --data-dir HUB": "no decision '01BX5ZZKBKACTAV9WEVGEMMVRZ'",
    "edge serve --bundle FOLDER/none --data-dir FOLDER/node --port 0": "none/manifest.json: No such file",
}


@pytest.mark.parametrize("typed", REFUSED)
def test_what_is_refused_ends_with_1_and_one_clear_line(
    capsys: pytest.CaptureFixture[str], desk: Desk, typed: str
) -> None:
    words = desk.words(typed)
    told = edgewise(capsys, *words, "--quiet")
    assert (told.code, told.stdout) == (1, "")
    assert told.stderr.startswith("error: ")
    assert REFUSED[typed] in told.stderr.splitlines()[0]
    assert "Traceback" not in told.stderr
    as_json = edgewise(capsys, *words, "--json")
    assert (as_json.code, as_json.stdout.count("\n")) == (1, 1)
    assert set(json.loads(as_json.stdout)) == {"error"}
    assert set(json.loads(as_json.stdout)["error"]) == {"code", "message", "problems"}


def test_a_doctor_who_finds_something_ends_with_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    told = edgewise(capsys, "doctor", "--data-dir", tmp_path / "none", "--json")
    assert told.code == 1
    found = json.loads(told.stdout)
    assert (found["ok"], set(found["findings"][0])) == (False, {"check", "verdict", "detail", "cure"})


USAGE = [
    "",
    "frobnicate",
    "config",
    "config show --of nobody",
    "edge serve --port many",
    "edge serve --port 77777",
    "edge serve --workers 0",
    "hub serve --grpc nowhere",
    "site check",
    "import decisions",
    "import decisions FOLDER/x.csv --format xls",
    "evaluate --policy uniform",
    "evaluate --decisions log --policy better",
    "evaluate --decisions log --policy uniform --estimator magic",
    "train recommend --interactions FOLDER/x.csv --user u --item i --method magic",
    "train recommend --interactions FOLDER/x.csv --user u --item i --split half",
    "train recommend --interactions FOLDER/x.csv --user u --item i --k 0",
    "train recommend --interactions FOLDER/x.csv --user u --item i --set lamda=3",
    "train scoring --table FOLDER/x.csv",
    "train scoring --table FOLDER/x.csv --target y --kind magic",
    "train scoring --table FOLDER/x.csv --target y --cv 1",
    "score onnx FOLDER/m.onnx",
    "model card ranker@new --data-dir HUB",
    "release show newest --data-dir HUB",
    "release verify newest --data-dir HUB",
    "explain",
    "replay --data-dir HUB",
    "profile show",
    "demo --port 77777",
    "prove --kills many",
    "nodes --frobnicate",
]


@pytest.mark.parametrize("typed", USAGE)
def test_what_cannot_be_meant_ends_with_2(capsys: pytest.CaptureFixture[str], tmp_path: Path, typed: str) -> None:
    words = typed.replace("FOLDER", str(tmp_path)).replace("HUB", str(tmp_path / "hub")).split()
    told = edgewise(capsys, *words, *(["--json"] if words else []))
    assert told.code == 2
    assert "Traceback" not in told.stderr
    if words:
        assert "error" in told.stderr.lower()
