"""The images and the compose file: linted, typed, and naming only what exists. No container engine is needed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
import yaml
from contract_nodes import Node
from msgspec import Meta

import edge.settings
import hub.settings
from edge.settings import EdgeSettings
from hub.admin.guard import Guard
from hub.settings import HubSettings, host_port, on_loopback

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

Duration = Annotated[str, Meta(pattern="^[0-9]+(ms|s|m)$")]


class Build(msgspec.Struct, forbid_unknown_fields=True):
    context: str
    dockerfile: str
    target: Literal["hub", "edge"]


class HealthCheck(msgspec.Struct, forbid_unknown_fields=True):
    test: list[str]
    interval: Duration
    timeout: Duration
    start_period: Duration
    retries: int


class Service(msgspec.Struct, forbid_unknown_fields=True):
    """As much of the Compose Specification as the file uses: a key that is misspelt is refused."""

    image: str
    build: Build
    init: bool
    read_only: bool
    restart: Literal["unless-stopped", "no"]
    tmpfs: list[str]
    cap_drop: list[str]
    security_opt: list[str]
    ulimits: dict[str, int]
    stop_grace_period: Duration
    environment: dict[str, str]
    volumes: list[Annotated[str, Meta(pattern="^[^:]+:/[^:]+(:ro)?$")]]
    ports: list[Annotated[str, Meta(pattern="^127[.]0[.]0[.]1:[0-9]+:[0-9]+$")]] = []
    healthcheck: HealthCheck | None = None
    profiles: list[str] = []


class ComposeFile(msgspec.Struct):
    """Beside these, only extensions (`x-…`)."""

    name: str
    services: dict[str, Service]
    volumes: dict[str, None]


def compose() -> ComposeFile:
    read = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert all(key in ComposeFile.__struct_fields__ or key.startswith("x-") for key in read)
    return msgspec.convert(read, ComposeFile)


def interpolated(environment: dict[str, str]) -> dict[str, str]:
    """With no variable of the operator's set: `${NAME:-default}` is its default."""
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in environment.items()}


def image_environment(target: str) -> dict[str, str]:
    stage = re.search(rf" AS {target}\n(.*?)(?=^FROM |\Z)", CONTAINERFILE, re.MULTILINE | re.DOTALL)
    assert stage is not None
    return dict(re.findall(r"(EDGEWISE_\w+)=(\S+)", stage[1]))


def edge_settings(service: Service) -> EdgeSettings:
    return edge.settings.load_settings(None, image_environment("edge") | interpolated(service.environment))


def hub_settings(service: Service) -> HubSettings:
    environment = image_environment("hub") | interpolated(service.environment)
    return hub.settings.load_settings(None, environment)


SERVICES = compose().services


def test_the_linter_finds_nothing() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([linter, DEPLOY / "Containerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_base_is_pinned_and_every_image_is_run_by_nobody_special() -> None:
    bases = re.findall(r"^FROM (\S+) AS (\S+)$", CONTAINERFILE, re.MULTILINE)
    stages = [name for _, name in bases]
    assert {base for base, _ in bases} - set(stages) == {"python:${PYTHON}"}
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+$", CONTAINERFILE, re.MULTILINE)
    assert stages[-1] == "edge"
    assert len(re.findall(r"^USER 10001:10001$", CONTAINERFILE, re.MULTILINE)) == 2
    assert CONTAINERFILE.count("check-edge-image.py \\\n    /opt/edgewise/bin/python /mnt/check-edge-image.py") == 1


def test_what_the_images_copy_exists() -> None:
    for names in re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE):
        for name in names.split():
            assert (ROOT / name).exists(), name


def test_nothing_is_installed_but_by_hash() -> None:
    """Each installer is given the lock file and told to refuse what it does not name."""
    installs = re.findall(r"\bpip install(?:.|\\\n)*?(?=$|&&)", CONTAINERFILE.replace("\\\n", " "), re.MULTILINE)
    assert len(installs) == 4
    assert all("--require-hashes" in install for install in installs)


def test_the_lock_file_has_the_blocks_that_the_image_takes_from_it() -> None:
    """The Containerfile's own `sed` and `grep`: the installer's block must be whole, hashes and all."""
    script = re.search(r"sed -n ('.+?') requirements\.lock", CONTAINERFILE)
    assert script is not None
    taken = subprocess.run(
        ["sed", "-n", *shlex.split(script[1]), ROOT / "requirements.lock"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert re.fullmatch(r"uv==\S+ \\", taken[0])
    assert len(taken) > 1
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in taken[1:])
    assert re.search(r"^hatchling==\S+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


def test_the_check_refuses_a_place_that_holds_trainers() -> None:
    """This environment does; tests/process/test_wheel.py runs it where there are none."""
    command = [sys.executable, str(DEPLOY / "check-edge-image.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "lightgbm, sklearn" in done.stderr


def test_the_compose_file_runs_a_hub_and_two_edges() -> None:
    assert list(SERVICES) == ["hub", "edge-1", "edge-2", "tools"]
    assert SERVICES["tools"].profiles == ["tools"]
    named = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.volumes}
    assert {name for name in named if not name.startswith(".")} == set(compose().volumes)
    published = [port.rpartition(":")[0] for service in SERVICES.values() for port in service.ports]
    assert len(published) == len(set(published)) == 3


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined_and_of_this_version(name: str) -> None:
    service = SERVICES[name]
    assert (service.read_only, service.cap_drop, service.security_opt) == (True, ["ALL"], ["no-new-privileges:true"])
    assert service.image == f"edgewise-{service.build.target}:{VERSION}"
    assert (DEPLOY / service.build.context / service.build.dockerfile).resolve() == DEPLOY / "Containerfile"


@pytest.mark.parametrize("name", ["edge-1", "edge-2"])
def test_an_edge_finds_its_hub_and_is_found(name: str) -> None:
    service, settings = SERVICES[name], edge_settings(SERVICES[name])
    assert settings.hub is not None
    host, port = host_port(settings.hub)
    assert host in SERVICES
    assert port == host_port(hub_settings(SERVICES[host]).grpc)[1]
    assert not on_loopback(f"{settings.host}:{settings.port}")
    assert [int(port.rpartition(":")[2]) for port in service.ports] == [settings.port]
    mounted = dict(volume.split(":", 1) for volume in service.volumes)
    assert mounted[name] == settings.data_dir
    assert settings.trust == f"{mounted['enrolment'].removesuffix(':ro')}/enrolment.json"
    assert int(service.stop_grace_period.removesuffix("s")) * 1_000 > settings.drain_timeout_ms + 10_000


def test_the_hub_is_found_by_people_and_keeps_its_folder() -> None:
    service, settings = SERVICES["hub"], hub_settings(SERVICES["hub"])
    assert [int(port.rpartition(":")[2]) for port in service.ports] == [host_port(settings.admin)[1]]
    folder = image_environment("hub")["EDGEWISE_DATA_DIR"]
    assert f"hub:{folder}" in service.volumes
    assert f"hub:{folder}" in SERVICES["tools"].volumes
    assert "enrolment:/enrolment" in SERVICES["tools"].volumes


def probe(name: str, base: str) -> int:
    """Run a service's health check against what answers at `base`; its exit code."""
    check = SERVICES[name].healthcheck
    assert check is not None
    kind, _, *words = check.test
    assert kind == "CMD"
    port = SERVICES[name].ports[0].rpartition(":")[2]
    words[-1] = words[-1].replace(f"http://127.0.0.1:{port}", base)
    assert base in words[-1]
    return subprocess.run([sys.executable, *words], capture_output=True, timeout=30, check=False).returncode


@pytest.mark.process
def test_the_health_checks_tell_an_answer_from_none(node: Node, hub_url: str) -> None:
    edge_url = str(node.http.base_url).rstrip("/")
    assert probe("edge-1", edge_url) == probe("edge-2", edge_url) == probe("hub", hub_url) == 0
    assert probe("edge-1", f"{edge_url}/not-there") == 1
    assert probe("hub", "http://127.0.0.1:1") == 1


def test_the_hub_knows_the_name_by_which_its_health_check_calls() -> None:
    """On an address that other machines reach it answers 421 to any name that is not listed."""
    settings = hub_settings(SERVICES["hub"])

    async def answers(*_: Any) -> None:
        raise AssertionError

    guard = Guard(answers, holders=[], hosts=settings.admin_hosts, loopback_only=on_loopback(settings.admin))
    assert not on_loopback(settings.admin)
    check = SERVICES["hub"].healthcheck
    assert check is not None
    called = re.search(r"http://([\w.]+:\d+)/health/ready", check.test[-1])
    assert called is not None
    assert guard._is_ours(called[1])
    assert not guard._is_ours("stranger.example:8092")
