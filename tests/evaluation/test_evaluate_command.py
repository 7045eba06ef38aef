"""`edgewise import decisions` and `edgewise evaluate` as an analyst or a script runs them."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_process import Finished, edgewise
from processes import run_edgewise

pytestmark = pytest.mark.process

BAD_DELIMITERS = ("||", "", "é", '"', "\n")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a log of 4,000 decisions among four actions, a: .1, b: .2, c: .3, d: .4 rewarded."""
    folder = tmp_path_factory.mktemp("analyst")
    rng = np.random.default_rng(1)
    with (folder / "log.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["when", "arm", "p", "click"])
        for number in range(4_000):
            action = rng.choice(4, p=[0.4, 0.3, 0.2, 0.1])
            click = int(rng.random() < (action + 1) / 10)
            writer.writerow([1_700_000_000 + number, "abcd"[action], [0.4, 0.3, 0.2, 0.1][action], click])
        writer.writerow([1_700_009_999, "a", 0, 1])
        file.write("torn\n")
    (folder / "map.toml").write_text(
        '[columns]\ntimestamp = "when"\naction = "arm"\npropensity = "p"\nreward = "click"\n'
    )
    given = ("--map", folder / "map.toml", "--data-dir", folder / "hub")
    done = run_edgewise("import", "decisions", *map(str, (folder / "log.csv", *given)), "--json")
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stdout)
    assert (imported["name"], imported["rows"], imported["rejected"]) == ("log", 4_000, 2)
    assert "2 rows were refused" in done.stderr
    return folder / "hub"


class Evaluate:
    """Runs the command in this process, to save its start: code, JSON, standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, hub: Path, policy: str, *more: str | Path) -> tuple[int, dict[str, Any], str]:
        done = self.shown(hub, policy, "--json", *more)
        found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
        return done.code, found, done.stderr

    def shown(self, hub: Path, policy: str, *more: str | Path) -> Finished:
        words = ("evaluate", "--decisions", "log", "--policy", policy, "--data-dir", hub)
        return edgewise(self._capsys, *words, *more)


@pytest.fixture
def evaluate(capsys: pytest.CaptureFixture[str]) -> Evaluate:
    return Evaluate(capsys)


def test_the_json_has_exactly_the_promised_keys(evaluate: Evaluate, hub: Path) -> None:
    code, found, _ = evaluate(hub, "uniform")
    assert code == 0
    assert list(found) == ["logged_value", "n", "verdict", "warnings", "estimators"]
    assert list(found["estimators"]) == ["ips", "snips"]
    for estimate in found["estimators"].values():
        assert list(estimate) == ["estimate", "ci_low", "ci_high", "stderr", "ess", "max_weight"]
        assert estimate["estimate"] == pytest.approx(0.25, abs=5 * estimate["stderr"])
        assert estimate["ci_low"] < estimate["estimate"] < estimate["ci_high"]
    assert (found["n"], found["verdict"], found["warnings"]) == (4_000, "ok", [])
    assert found["estimators"]["ips"]["max_weight"] == pytest.approx(2.5)


def test_estimators_can_be_chosen_and_the_seed_decides(evaluate: Evaluate, hub: Path) -> None:
    _, first, _ = evaluate(hub, "constant:d", "--estimator", "snips,dr", "--seed", "3")
    words = ("evaluate", "--decisions", "log", "--policy", "constant:d", "--data-dir", str(hub), "--json")
    elsewhere = run_edgewise(*words, "--estimator", "snips,dr", "--seed", "3")
    assert list(first["estimators"]) == ["snips", "dr"]
    assert json.loads(elsewhere.stdout) == first
    assert first["estimators"]["snips"]["estimate"] == pytest.approx(0.4, abs=0.1)


def test_every_promised_estimator_answers(evaluate: Evaluate, hub: Path) -> None:
    names = "ips,snips,dm,dr,sndr,switch-dr,dros"
    code, found, _ = evaluate(hub, "uniform", "--estimator", f"{names},iips,rips,sips", "--interval", "bernstein")
    assert (code, list(found["estimators"])) == (0, [*names.split(","), "iips", "rips", "sips"])
    for name, estimate in found["estimators"].items():
        assert estimate["estimate"] == pytest.approx(0.25, abs=0.05)
        if name != "dm":
            assert estimate["ci_low"] < 0.25 < estimate["ci_high"]
    assert found["estimators"]["dros"]["tuning"] > 0
    assert "tuning" not in found["estimators"]["dr"]


def test_a_refusal_exits_1_and_says_why(evaluate: Evaluate, hub: Path, tmp_path: Path) -> None:
    code, found, said = evaluate(hub, "constant:z", "--html", tmp_path / "page.html")
    assert code == 1
    assert found["verdict"] == "refused"
    assert "none of the 4,000 logged actions would ever be shown" in found["warnings"][0]
    assert found["warnings"][0] in said
    assert "refused" in (tmp_path / "page.html").read_text()


def test_an_interval_that_is_not_known_is_null_and_a_dash(evaluate: Evaluate, hub: Path) -> None:
    code, found, _ = evaluate(hub, "uniform", "--estimator", "dm")
    assert (code, found["verdict"]) == (0, "warn")
    direct = found["estimators"]["dm"]
    assert (direct["ci_low"], direct["ci_high"], direct["stderr"]) == (None, None, None)
    assert direct["estimate"] == pytest.approx(0.25, abs=0.05)
    done = evaluate.shown(hub, "uniform", "--estimator", "dm")
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("dm "))
    assert row[2:4] == ["-", "-"]
    assert "dm has no interval" in done.stdout


def test_a_log_of_a_retired_service_moves_in_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "history.json"
    log.write_text(
        '{"_label_cost":-1.0,"_label_probability":0.5,"_label_Action":2,"_labelIndex":1,"EventId":"e1","a":[2,1],'
        '"c":{"_multi":[{"_tag":"x"},{"_tag":"y"}]},"p":[0.5,0.5],"pdrop":0.9}\n{"EventId":"e2"}\n'
    )
    command = ("import", "decisions", log, "--format", "dsjson", "--data-dir", tmp_path / "hub")
    done = edgewise(capsys, *command)
    assert done.code == 0, done.stderr
    assert "10 decisions" in done.stdout
    assert "1 rows were refused" in done.stderr
    found = edgewise(capsys, *command, "--json").told
    assert (found["unchanged"], found["rows"], found["rejects"]) == (True, 1, {"c": 1})
    assert (found["dsjson"]["events"], found["dsjson"]["sum_of_cost"]) == (1, -1)


def test_people_get_a_table(evaluate: Evaluate, hub: Path) -> None:
    done = evaluate.shown(hub, "logged")
    assert done.code == 0
    assert "95 % interval" in done.stdout
    assert "verdict: ok" in done.stdout
    assert evaluate.shown(hub, "logged", "--quiet") == Finished(0, "", "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["evaluate"], 2, "--decisions"),
        (["evaluate", "--decisions", "log", "--policy", "best"], 2, "expected logged, uniform"),
        (["evaluate", "--decisions", "log", "--policy", "uniform", "--estimator", "magic"], 2, "no estimator 'magic'"),
        (["evaluate", "--decisions", "log", "--policy", "uniform", "--interval", "guess"], 2, "'guess' is not one of"),
        (["evaluate", "--decisions", "gone", "--policy", "uniform"], 1, "no decisions 'gone'"),
        (["evaluate", "--decisions", "log", "--policy", "model:x"], 1, "an imported log does not say"),
        (["evaluate", "--decisions", "log", "--policy", "probabilities:gone.csv"], 1, "no such file"),
        (["import", "decisions"], 2, "file"),
        (["import", "decisions", "gone.csv"], 1, "no such file"),
        (["import", "decisions", "x.json", "--format", "dsjson"], 1, "no such file"),
        (["import", "decisions", "x.dsjson", "--delimiter", ";"], 2, "a dsjson log has none"),
        (["import", "decisions", "log.json"], 1, "no such file"),
        (["import", "decisions", "x.csv", "--format", "xls"], 2, "xls"),
        *(
            (["import", "decisions", "x.csv", "--delimiter", given], 2, "one ASCII character")
            for given in BAD_DELIMITERS
        ),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(
    hub: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    ended = edgewise(capsys, *words, "--data-dir", hub)
    assert (ended.code, ended.stdout) == (code, "")
    assert said in " ".join(ended.stderr.replace("│", " ").split())
