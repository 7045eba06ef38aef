"""From a site to a report and the next step of a ramp, as a team would do it: by commands, and over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import structlog
from experiment_world import DAY_MS, Traffic
from release_world import Shop
from starlette.testclient import TestClient
from typer.testing import CliRunner

from edgewise.clock import SystemClock
from edgewise.errors import EdgewiseError, RefusedError
from edgewise.ids import ArmName, ExperimentKey, PlacementName
from hub.admin.app import Admin, admin_app
from hub.commands.experiment import app
from hub.experiments.policies import ReleasedPolicies
from hub.facts.board import FactsBoard
from hub.ledger.ledger import Ledger
from hub.meters import Meters
from hub.release.live_policy import LivePolicy
from hub.settings import HubSettings

KEY, PLACEMENT = ExperimentKey("home_hero"), PlacementName("home_hero")
CHAMPION, CHALLENGER = ArmName("champion"), ArmName("challenger")
RAMP = "coverage: 0.5\nmethod: fixed\nramp: {steps: [{coverage: 0.5, min_units: 50}, {coverage: 1.0}]}\n"


def run(*words: object) -> str:
    said = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(said.exception, EdgewiseError):
        raise said.exception
    assert said.exit_code == 0, said.output
    return said.stdout


def found(*words: object) -> Any:
    return json.loads(run(*words, "--json"))


def listed(shop: Shop) -> Any:
    (only,) = (each for each in found("list", "--data-dir", shop.data_dir)["experiments"] if each["key"] == KEY)
    return only


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"))
    made.edit("experiments/home_hero.yaml", "weights:", f"{RAMP}weights:")
    made.edit("experiments/home_hero.yaml", "event: order", "event: order, window_hours: 24")
    made.edit("experiments/home_hero.yaml", "threshold: 0.05", "threshold: 0.9, window_hours: 24")
    version = made.live()
    policy = LivePolicy(made.releases.repository)()
    assert policy is not None
    began_ms = SystemClock().now_ms() - 9 * DAY_MS
    traffic = Traffic(policy, key=KEY, placement=PLACEMENT, began_ms=began_ms, version=version)
    likely = {CHAMPION: 0.2, CHALLENGER: 0.8}
    traffic.crowd(300, orders=likely, refunds={CHAMPION: 0.6, CHALLENGER: 0.2}, days=6)
    traffic.store(made.ledger)
    return made


def test_the_report_of_a_live_experiment_names_what_to_do(shop: Shop, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    said = found("report", KEY, "--data-dir", shop.data_dir, "--html", page)
    assert (said["key"], said["placements"], said["analysis"]["control"]) == (KEY, [PLACEMENT], CHAMPION)
    verdict = said["analysis"]["verdicts"][CHALLENGER]
    assert verdict["word"] == "ship"
    assert verdict["sentence"] in page.read_text()
    assert said["coverage"]["alarm"] is False
    assert verdict["sentence"].split(" of ")[0] in run("report", KEY, "--data-dir", shop.data_dir)
    only = listed(shop)
    assert (only["coverage"], only["step"], only["steps"]) == (0.5, 1, 2)
    with pytest.raises(EdgewiseError, match=r"no experiment 'nothing'; there are: .*home_hero"):
        run("report", "nothing", "--data-dir", shop.data_dir)


def test_the_admin_api_says_the_same(shop: Shop) -> None:
    repository, clock = shop.releases.repository, SystemClock()
    admin = Admin(
        ledger=shop.ledger,
        meters=Meters(),
        incarnation="once",
        site=repository.site,
        releases=shop.releases.rows,
        not_ready=str,
        clock=clock,
        log=structlog.get_logger(),
        facts=FactsBoard(shop.ledger, repository, clock),
        policy=LivePolicy(repository),
        policy_of=ReleasedPolicies(repository),
    )
    with TestClient(admin_app(admin, HubSettings()), base_url="http://127.0.0.1") as client:
        every = client.get("/api/v1/experiments").json()
        said = client.get(f"/api/v1/experiments/{KEY}").json()
        again = client.get(f"/api/v1/experiments/{KEY}").json()
        unknown = client.get("/api/v1/experiments/nothing")
    assert [each["key"] for each in every["experiments"]] == sorted(shop.contents().policy.experiments)
    assert said["analysis"]["verdicts"][CHALLENGER]["word"] == "ship"
    assert again == said, "one that was just made is not made again"
    assert unknown.status_code == 404
    assert "home_hero" in unknown.json()["detail"]


def test_a_step_of_the_ramp_is_taken_and_the_next_apply_builds_it(shop: Shop) -> None:
    said = found("ramp", KEY, "--data-dir", shop.data_dir)
    assert (said["step"], said["may_advance"], said["is_released"]) == (1, True, True)
    step = found("ramp", KEY, "--advance", "--by", "Cleo", "--data-dir", shop.data_dir)
    assert (step["coverage"], step["who"]) == (1.0, "Cleo")
    with pytest.raises(RefusedError, match="Cleo took the step to 1"):
        run("ramp", KEY, "--advance", "--by", "Cleo", "--data-dir", shop.data_dir)

    changes = [str(change) for change in shop.releases.plan(shop.contents()).changes]
    assert any("coverage" in change for change in changes), "a person sees it before it is built"
    shop.live()
    only = listed(shop)
    assert (only["coverage"], only["step"], only["taken"]) == (1.0, 2, 1.0)
    assert "its last step" in run("ramp", KEY, "--data-dir", shop.data_dir)


def test_without_a_release_there_is_nothing_to_report(tmp_path: Path) -> None:
    Ledger.of(tmp_path).close()
    with pytest.raises(EdgewiseError, match="no live release"):
        run("report", KEY, "--data-dir", tmp_path)
    assert found("list", "--data-dir", tmp_path) == {"experiments": []}


@pytest.mark.parametrize("words", [["--advance", "--restart"], ["--override", "because"]])
def test_what_cannot_be_meant_is_a_usage_error(words: list[str], tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["ramp", KEY, "--data-dir", str(tmp_path), *words]).exit_code == 2
