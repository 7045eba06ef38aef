"""The units are sound to systemd, hardened by its own rating, and name only settings that exist."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from needs import lacking
from processes import until

import edge.settings
import hub.settings
from edge.settings import EdgeSettings
from hub.data_dir import VARIABLE
from hub.settings import HubSettings

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = ["edgewise-edge.service", "edgewise-hub.service"]
SOCKET = "edgewise-edge.socket"
MOST_EXPOSURE = 15
"""Tenths: systemd says OK below 4.0, and 9.6 of a unit that hardens nothing."""
INSTALLED = "/opt/edgewise/bin/edgewise"


def systemd(command: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    if shutil.which(command) is None:
        lacking(f"no {command} on PATH; `make tools` installs Debian's")
    return subprocess.run([command, *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def placed(tmp_path: Path) -> Path:
    """The units as an operator places them, but for the program, which systemd wants to find."""
    for unit in UNITS:
        (tmp_path / unit).write_text((SYSTEMD / unit).read_text().replace(INSTALLED, "/bin/true"))
    shutil.copy(SYSTEMD / SOCKET, tmp_path)
    drop_ins = tmp_path / "edgewise-edge.service.d"
    drop_ins.mkdir()
    shutil.copy(SYSTEMD / "edgewise-edge.hub.conf", drop_ins / "hub.conf")
    return tmp_path


@pytest.mark.parametrize("unit", [*UNITS, SOCKET])
def test_systemd_finds_nothing_wrong(placed: Path, unit: str) -> None:
    told = systemd("systemd-analyze", "verify", placed / unit)
    assert (told.returncode, told.stderr) == (0, "")


def test_systemd_would_find_a_slip_in_the_unit_or_beside_it(placed: Path) -> None:
    """Its exit code forgives unknown keys, and it might pass over drop-ins: what it says must be looked at."""
    for path in (placed / UNITS[0], placed / "edgewise-edge.service.d" / "hub.conf"):
        path.write_text(path.read_text().replace("[Service]", "[Service]\nProtectSytem=strict", 1))
    told = systemd("systemd-analyze", "verify", placed / UNITS[0]).stderr
    assert told.count("ProtectSytem") == 2


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_hardened(unit: str) -> None:
    told = systemd("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", SYSTEMD / unit)
    assert told.returncode == 0, told.stdout


def test_the_hubs_user_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    told = systemd("systemd-sysusers", f"--root={tmp_path}", SYSTEMD / "edgewise-hub.sysusers.conf")
    assert told.returncode == 0, told.stderr
    user = re.search(r"^User=(.+)$", (SYSTEMD / "edgewise-hub.service").read_text(), re.MULTILINE)
    assert user is not None
    assert (tmp_path / "etc" / "passwd").read_text().startswith(f"{user[1]}:")


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_waits_longer_than_a_program_takes_to_stop(unit: str) -> None:
    seconds = re.search(r"^TimeoutStopSec=(\d+)$", (SYSTEMD / unit).read_text(), re.MULTILINE)
    assert seconds is not None
    drain_ms = (EdgeSettings() if "edge" in unit else HubSettings()).drain_timeout_ms
    assert int(seconds[1]) * 1_000 > drain_ms + 10_000  # the agent's five seconds, and five to kill


def variables(text: str) -> dict[str, str]:
    """The settings that a unit or an environment file names, with what systemd would hand over."""
    found = re.findall(r"^(?:Environment=)?(EDGEWISE_\w+)=(.*)$", text, re.MULTILINE)
    return {name: value.replace("%S", "/var/lib").replace("%d", "/run/credentials") for name, value in found}


@pytest.mark.parametrize("name", ["edgewise-edge.service", "edgewise-edge.hub.conf", "edge.env.example"])
def test_the_edge_takes_what_its_files_set(name: str) -> None:
    named = variables((SYSTEMD / name).read_text())
    assert named
    edge.settings.load_settings(None, named)


def test_the_hub_takes_what_its_files_set() -> None:
    named = variables((SYSTEMD / "hub.env.example").read_text())
    assert len(named) == 5
    hub.settings.load_settings(None, named)
    assert variables((SYSTEMD / "edgewise-hub.service").read_text()) == {VARIABLE: "/var/lib/edgewise-hub"}


@pytest.mark.process
@pytest.mark.slow
def test_the_first_visitor_starts_the_node_as_its_unit_does(tmp_path: Path) -> None:
    """Under systemd's own socket activation, with the words and the environment of the unit; nobody is turned away."""
    if shutil.which("systemd-socket-activate") is None:
        lacking("no systemd-socket-activate on PATH; `make tools` installs Debian's systemd")
    service, listening = (SYSTEMD / UNITS[0]).read_text(), (SYSTEMD / SOCKET).read_text()
    start = re.search(r"^ExecStart=(.+)$", service, re.MULTILINE)
    listens = re.search(r"^ListenStream=(.+):8090$", listening, re.MULTILINE)
    assert start is not None
    assert listens is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    unit = {name: value.replace("/var/lib", str(tmp_path)) for name, value in variables(service).items()}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **unit}
    given = [word for name in environment for word in ("-E", name)]
    words = start[1].replace(INSTALLED, str(Path(sys.executable).parent / "edgewise")).split()
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            ["systemd-socket-activate", *given, "-l", f"{listens[1]}:{port}", *words],
            env=environment,
            stdout=log,
            stderr=log,
        ) as node,
    ):
        try:
            url = f"http://127.0.0.1:{port}/health/ready"
            until(lambda: b"Listening on" in (tmp_path / "log").read_bytes())
            with urlopen(url, timeout=60) as answer:  # it is not running yet
                assert answer.status == 200
            assert Path(f"/proc/{node.pid}/cmdline").read_bytes().split(b"\0")[1:-1][-2:] == [b"edge", b"serve"]
            assert (tmp_path / "edgewise-edge" / "spool").is_dir()
            node.terminate()
            assert node.wait(60) == 0, (tmp_path / "log").read_text()
        finally:
            node.kill()
