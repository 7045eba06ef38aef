"""The doctor finds each harm that is done to a node's folder, names a cure, and changes nothing."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent_world import enrolled
from certificates import Made, make_certificate
from typer.testing import CliRunner

from edge.commands.doctor import app
from edge.doctor import Finding, examine
from edge.node.bundles import BundleStore
from edge.node.claims import hold_folder
from edge.node.epochs import node_id
from edge.node.layout import NodePaths, segment_name
from edge.node.status import AgentStatus, Nacked, write_status
from edge.profiles.cache import ProfileCache
from edge.settings import EdgeSettings
from edge.spool.producers import hold
from edge.testing.signed_site import SignedSite
from edge.testing.small_bundle import small_bundle
from edgewise.bundle.manifest import CATALOGUE
from edgewise.clock import SystemClock
from edgewise.frames import frame
from edgewise.ids import SubjectId

BUNDLE = small_bundle("shop", version=1)


@pytest.fixture
def paths(tmp_path: Path) -> NodePaths:
    """A node that is well."""
    made = enrolled(tmp_path, SignedSite("shop"))
    store = BundleStore(made)
    store.activate(store.stage(BUNDLE.manifest_bytes, BUNDLE.resources))
    cache = ProfileCache.open(made.profiles, map_bytes=1 << 20)
    cache.want([SubjectId("aa" * 16)])
    cache.close()
    return made


def look(paths: NodePaths, **settings: Any) -> dict[str, Finding]:
    found = examine(EdgeSettings(data_dir=str(paths.root), **{"port": 0} | settings), SystemClock())
    return {finding.check: finding for finding in found}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_node_that_is_well_has_nothing_to_cure(paths: NodePaths) -> None:
    before = contents(paths.root)
    found = look(paths)
    assert {finding.verdict for finding in found.values()} == {"ok"}, found
    assert "site shop" in found["enrolment"].detail
    assert contents(paths.root) == before


def open_keys(paths: NodePaths) -> None:
    paths.site.chmod(0o644)


def damage_bundle(paths: NodePaths) -> None:
    file = paths.bundle(BUNDLE.digest) / CATALOGUE
    file.chmod(0o600)
    file.write_bytes(b"{}")


def lose_bundle(paths: NodePaths) -> None:
    paths.current.unlink()


def damage_cache(paths: NodePaths) -> None:
    data = paths.profiles / "data.mdb"
    data.write_bytes(b"\xff" * data.stat().st_size)


def turn_the_clock_back(paths: NodePaths) -> None:
    os.utime(paths.node if paths.node.exists() else paths.trust, (5e9, 5e9))


def put_in_quarantine(paths: NodePaths) -> None:
    BundleStore(paths).quarantine("f" * 64, code="crash", message="2 workers", now_ms=1)


def garble_the_quarantine(paths: NodePaths) -> None:
    (paths.quarantine / f"{'f' * 64}.json").write_bytes(b'{"digest":"\xff"}')


def refuse_an_offer(paths: NodePaths) -> None:
    status = AgentStatus(pid=1, written_ms=1, last_nack=Nacked(1, "untrusted", "a stranger signed it"))
    write_status(paths.agent_status, status)


def tear_a_tail(paths: NodePaths) -> None:
    held = hold(paths.producer(1, 0))
    (paths.producer(1, 0) / segment_name(0)).write_bytes(frame(b"whole") + frame(b"torn")[:-1])
    os.close(held)


def damage_the_counter(paths: NodePaths) -> None:
    node_id(paths)
    paths.epoch.write_text("17")


def forget_the_root(paths: NodePaths) -> None:
    paths.trusted_root.unlink()


HARMS: list[tuple[Callable[[NodePaths], None], str, str, str]] = [
    (open_keys, "folder", "failure", "site.json"),
    (damage_bundle, "bundle", "failure", CATALOGUE),
    (lose_bundle, "bundle", "warning", "none"),
    (damage_cache, "profiles", "failure", "damaged"),
    (turn_the_clock_back, "clock", "failure", "ahead of the clock"),
    (put_in_quarantine, "quarantine", "warning", "2 workers"),
    (garble_the_quarantine, "quarantine", "warning", "cannot be read"),
    (refuse_an_offer, "last refusal", "warning", "a stranger signed it"),
    (damage_the_counter, "identity", "failure", "delete it together with node.json"),
    (tear_a_tail, "spool", "warning", "11 bytes behind the last whole record"),
]


@pytest.mark.parametrize(("harm", "check", "verdict", "said"), HARMS, ids=[harm.__name__ for harm, *_ in HARMS])
def test_every_harm_is_found_with_its_cure(
    paths: NodePaths, harm: Callable[[NodePaths], None], check: str, verdict: str, said: str
) -> None:
    harm(paths)
    before = contents(paths.root)
    finding = look(paths)[check]
    assert finding.verdict == verdict, finding
    assert said in finding.detail
    assert finding.cure
    assert contents(paths.root) == before


def unreadable(made: Made) -> None:
    made.key.unlink()


def expired(made: Made) -> None:
    make_certificate(made.key.parent, begins_days=-90, ends_days=-2)


def not_yet(made: Made) -> None:
    make_certificate(made.key.parent, begins_days=2)


def not_for_long(made: Made) -> None:
    make_certificate(made.key.parent, ends_days=2.5)


@pytest.mark.parametrize(
    ("harm", "verdict", "said"),
    [
        (unreadable, "failure", "key.pem: No such file"),
        (expired, "failure", "expired 2 days ago"),
        (not_yet, "failure", "not valid for another 2.0 days"),
        (not_for_long, "warning", "expires in 2.5 days"),
        (lambda _: None, "ok", "valid for 90 days"),
    ],
)
def test_a_certificate_is_looked_at(
    paths: NodePaths, tmp_path: Path, harm: Callable[[Made], None], verdict: str, said: str
) -> None:
    made = make_certificate(tmp_path / "tls")
    harm(made)
    found = look(paths, tls_certificate=str(made.certificate), tls_key=str(made.key))["certificate"]
    assert (found.verdict, said in found.detail) == (verdict, True), found
    assert bool(found.cure) is (verdict != "ok")
    assert "certificate" not in look(paths)


def test_databases_of_places_are_looked_at(tmp_path: Path, paths: NodePaths) -> None:
    broken = tmp_path / "country.mmdb"
    broken.write_bytes(b"no database")
    found = look(paths, place_databases=[str(broken)])["places"]
    assert found.verdict == "failure"
    assert str(broken) in found.detail
    assert "no start" in found.cure
    assert "places" not in look(paths)


def test_who_counts_as_operator_is_said(paths: NodePaths) -> None:
    open_to_loopback = look(paths)["operators"]
    assert "every request from this machine" in open_to_loopback.detail
    assert "loopback_is_operator = false" in open_to_loopback.cure
    for settings in ({"operator_keys_sha256": ["0" * 64]}, {"loopback_is_operator": False}):
        closed = look(paths, **settings)["operators"]
        assert "no say" in closed.detail
        assert not closed.cure


def test_a_hub_that_is_not_there_and_one_that_is_none(paths: NodePaths) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        assert "refused" in look(paths, hub=address)["hub"].detail
        bound.listen()
        bound.settimeout(0)
        finding = look(paths, hub=address)["hub"]
        assert (finding.verdict, "does not answer as a hub" in finding.detail) == ("failure", True)


def test_without_a_root_a_remote_hub_needs_a_file(paths: NodePaths) -> None:
    forget_the_root(paths)
    assert look(paths)["enrolment"].verdict == "ok"
    assert "--trust" in look(paths, hub="192.0.2.1:1")["enrolment"].cure


def test_a_taken_port_is_named_and_a_running_node_is_left_alone(paths: NodePaths) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port}" in look(paths, port=port)["port"].detail
        with hold_folder(paths):
            found = look(paths, port=port)
            assert "port" not in found
            assert (found["supervisor"].verdict, found["supervisor"].detail) == (
                "failure",
                f"runs as process {os.getpid()}, 0 workers answer",
            )


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    found = look(NodePaths(tmp_path / "nowhere"))
    assert list(found) == ["folder"]
    assert found["folder"].verdict == "failure"


def test_the_command_exits_by_what_it_found(paths: NodePaths) -> None:
    run = CliRunner().invoke
    well = run(app, ["--data-dir", str(paths.root), "--port", "0", "--json"], catch_exceptions=False)
    assert (well.exit_code, json.loads(well.stdout)["ok"]) == (0, True)
    damage_bundle(paths)
    ill = run(app, ["--data-dir", str(paths.root), "--port", "0"])
    assert ill.exit_code == 1
    assert "failure  bundle" in ill.stdout
    assert "-> restart the node" in ill.stdout
    quiet = run(app, ["--data-dir", str(paths.root), "--port", "0", "--quiet"])
    assert (quiet.exit_code, quiet.stdout) == (1, "")
