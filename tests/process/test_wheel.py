"""The built wheel, installed with each of its extras into an empty environment, runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from needs import lacking

from hub.ledger.place import VARIABLE

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]

CHECK_EDGE_IMAGE = ROOT / "deploy" / "check-edge-image.py"


def run(*command: str | Path, cwd: Path, timeout_s: float = 300) -> str:
    """Standard output of a command that must succeed; nothing of the checkout is on its path.

    Nor does it know of a database that the suite runs on: the extras have no driver for it.
    """
    ours = {"PYTHONPATH", "VIRTUAL_ENV", VARIABLE}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        if re.search(r"error sending request|failed to fetch|dns error|network", done.stderr, re.IGNORECASE):
            lacking(f"the package registry cannot be reached: {done.stderr.strip().splitlines()[-1]}")
        raise AssertionError(f"{command} exited {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def environment(request: pytest.FixtureRequest, wheel: Path, tmp_path: Path) -> Path:
    """The `bin` folder of an empty environment with the wheel and the extra that the test names, versions as locked."""
    extra: str = request.param
    locked = re.findall(r"^([\w.-]+==[^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("\n".join(locked))
    uv = Path(sys.executable).parent / "uv"
    run(uv, "venv", "-q", "-p", sys.executable, tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(uv, "pip", "install", "-q", "-p", python, "-c", constraints, f"{wheel}{extra}", cwd=tmp_path)
    return python.parent


@pytest.mark.parametrize("environment", [""], indirect=True)
def test_the_bare_wheel_says_which_extra_a_command_needs(environment: Path, tmp_path: Path) -> None:
    assert "edgewise edge" in run(environment / "edgewise", "--help", cwd=tmp_path)
    refused = subprocess.run(
        [environment / "edgewise", "edge", "serve"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "pip install 'edgewise[edge]'" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("environment", ["[edge]"], indirect=True)
def test_the_edge_holds_no_trainer_is_small_and_decides(environment: Path, tmp_path: Path) -> None:
    assert "no trainer" in run(environment / "python", CHECK_EDGE_IMAGE, cwd=tmp_path)
    installed_bytes = sum(path.stat().st_size for path in environment.parent.rglob("*") if path.is_file())
    assert installed_bytes < 300e6, f"edgewise[edge] takes {installed_bytes / 1e6:.0f} MB, the bound is 300 MB"
    heroes = [answer["placements"]["home_hero"] for answer in decide_often(environment, tmp_path)]
    hero = next(each for each in heroes if each["reason"] != "EXPLORE")  # about one decision in twenty tries something
    assert hero["items"]
    assert hero["reason"] in {"MODEL", "RULE"}


def decide_often(environment: Path, folder: Path) -> list[dict[str, Any]]:
    """Start an edge node from the wheel alone, ask it eight times, stop it."""
    command: list[str | Path] = [
        environment / "edgewise",
        "edge",
        "serve",
        "--port",
        "0",
        "--workers",
        "1",
        "--data-dir",
        folder / "edge",
        "--json",
    ]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as node:
        try:
            assert node.stdout is not None
            url = json.loads(node.stdout.readline())["url"]
            script = (
                "import json, sys, urllib.request as u\n"
                f"q = u.Request({url!r} + '/v1/decide', headers={{'content-type': 'application/json'}},\n"
                "  data=json.dumps({'anonymousId': 'a', 'placements': [{'name': 'home_hero'}]}).encode())\n"
                "print(json.dumps([json.load(u.urlopen(q, timeout=20)) for _ in range(8)]))\n"
            )
            answers: list[dict[str, Any]] = json.loads(run(environment / "python", "-c", script, cwd=folder))
        finally:
            node.terminate()
        assert node.wait(timeout=30) == 0
    return answers


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["[hub]"], indirect=True)
def test_the_hub_makes_a_site_and_checks_it(environment: Path, tmp_path: Path) -> None:
    run(environment / "edgewise", "site", "init", "shop", "--data-dir", "hub", cwd=tmp_path)
    run(environment / "edgewise", "site", "check", "shop", cwd=tmp_path)
    assert (
        json.loads(run(environment / "edgewise", "release", "list", "--data-dir", "hub", "--json", cwd=tmp_path))
        is not None
    )
