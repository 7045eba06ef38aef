"""Settings: file, environment and flags in their order, each error naming where it is; the commands around them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge import settings as edge_settings
from edge.commands.config import app, explained, settings_of
from edge.commands.edge import app as edge_app
from edge.settings import EdgeSettings, decode_settings, encode_settings, load_settings, schema
from edgewise.errors import InputError


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('port = 1\nworkers = 3\nhost = "0.0.0.0"\n')
    environment = {"EDGEWISE_EDGE_PORT": "2", "EDGEWISE_EDGE_WORKERS": "4", "UNRELATED": "x"}
    settings = load_settings(file, environment, {"port": 5, "workers": None})
    assert (settings.port, settings.workers, settings.host, settings.server) == (5, 4, "0.0.0.0", "edgewise")


def test_lists_come_with_commas_and_nothing_means_not_set() -> None:
    digests = ["a" * 64, "b" * 64]
    environment = {"EDGEWISE_EDGE_OPERATOR_KEYS_SHA256": ", ".join(digests), "EDGEWISE_EDGE_HUB": ""}
    settings = load_settings(None, environment)
    assert (settings.operator_keys_sha256, settings.hub) == (digests, None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("port = 70000", r"edge.toml: \$.port: Expected `int` <= 65535"),
        ("x = " + "[" * 5_000 + "]" * 5_000, r"edge.toml is not TOML"),
        ('port = "8090"', r"edge.toml: \$.port: Expected `int`, got `str`"),
        ("prt = 1", "unknown field `prt`"),
        ('hub = "somewhere"', r"\$.hub: "),
        ('server = "gunicorn"', r"\$.server: "),
        ("operator_keys_sha256 = ['secret']", r"\$.operator_keys_sha256\[0\]"),
        ("port =", "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_path(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(content)
    with pytest.raises(InputError, match=said):
        load_settings(file, {})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"EDGEWISE_EDGE_PORT": "many"}, "EDGEWISE_EDGE_PORT: Expected `int`"),
        ({"EDGEWISE_EDGE_PROT": "1"}, "EDGEWISE_EDGE_PROT: there is no such setting"),
        ({"EDGEWISE_EDGE_WORKERS": "0"}, "EDGEWISE_EDGE_WORKERS: Expected `int` >= 1"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(environment: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_settings(None, environment)


def test_a_wrong_flag_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="--worker-swap-timeout-ms: Expected"):
        load_settings(None, {}, {"worker_swap_timeout_ms": 1})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml: No such file"):
        load_settings(tmp_path / "nowhere.toml", {})


def test_children_get_what_the_supervisor_decided() -> None:
    settings = load_settings(None, {}, {"port": 7, "hub": "[::1]:8091", "data_dir": "/tmp/näher"})
    assert decode_settings(encode_settings(settings)) == settings
    with pytest.raises(InputError, match="--settings"):
        decode_settings("{")


def test_the_schema_describes_every_setting() -> None:
    described = schema()["$defs"]["EdgeSettings"]
    assert set(described["properties"]) == set(EdgeSettings.__struct_fields__)
    assert described["additionalProperties"] is False


def test_every_value_is_shown_with_its_source(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('workers = 3\nenrol_token = "secret"\n')
    shown = {
        name: (value, source) for name, value, source in explained(edge_settings, file, {"EDGEWISE_EDGE_PORT": "7"})
    }
    assert shown["workers"] == (3, str(file))
    assert shown["port"] == (7, "environment")
    assert shown["host"] == ("127.0.0.1", "default")
    assert shown["enrol_token"] == ("(hidden)", str(file))


def test_a_password_inside_of_a_url_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text('database = "postgresql://ann:s3cret@db:5432/shop?password=s3cret&sslmode=require"')
    ((value, _),) = [(value, of) for name, value, of in explained(settings_of("hub"), file, {}) if name == "database"]
    assert value == "postgresql://ann:(hidden)@db:5432/shop?password=(hidden)&sslmode=require"


def test_config_show_check_and_schema(tmp_path: Path) -> None:
    run = CliRunner().invoke
    file = tmp_path / "edge.toml"
    file.write_text("workers = 3")
    shown = run(app, ["show", "--config", str(file), "--json"], catch_exceptions=False)
    assert json.loads(shown.stdout)["workers"] == {"value": 3, "source": str(file)}
    assert "workers" in run(app, ["show"]).stdout
    assert json.loads(run(app, ["check", str(file), "--json"]).stdout) == {"ok": True, "file": str(file)}
    assert json.loads(run(app, ["schema"]).stdout) == schema()
    file.write_text("workers = 0")
    assert isinstance(run(app, ["check", str(file)]).exception, InputError)
    assert run(app, ["show", "--of", "nobody"]).exit_code == 2


def test_edge_serve_refuses_what_cannot_be(tmp_path: Path) -> None:
    run = CliRunner().invoke
    data = ["--data-dir", str(tmp_path / "node"), "--port", "0"]
    both = run(edge_app, ["serve", *data, "--hub", "127.0.0.1:1", "--bundle", str(tmp_path)])
    assert "exclude one another" in str(both.exception)
    remote = run(edge_app, ["serve", *data, "--hub", "hub.example:8091"])
    assert "--trust FILE" in str(remote.exception)
    nowhere = run(edge_app, ["serve", *data, "--bundle", str(tmp_path / "nowhere")])
    assert "manifest.json: No such file" in str(nowhere.exception)
    (tmp_path / "node" / "epoch").write_text("17")
    assert "delete it together with node.json" in str(run(edge_app, ["serve", *data]).exception)
    assert run(edge_app, ["serve", "--port", "many"]).exit_code == 2
