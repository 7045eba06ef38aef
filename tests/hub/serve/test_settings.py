"""The hub's settings: which source wins, and where a wrong one is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewise.errors import InputError
from hub.settings import HubSettings, Role, host_port, load_settings, on_loopback, schema


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text('grpc = "127.0.0.1:1"\nadmin = "127.0.0.1:2"\nmost_streams = 7\n')
    environment = {"EDGEWISE_HUB_ADMIN": "127.0.0.1:3", "EDGEWISE_HUB_GRPC": "127.0.0.1:4", "EDGEWISE_EDGE_PORT": "x"}
    settings = load_settings(file, environment, {"grpc": "127.0.0.1:5", "admin": None})
    assert (settings.grpc, settings.admin, settings.most_streams) == ("127.0.0.1:5", "127.0.0.1:3", 7)
    assert load_settings(None, {}) == HubSettings()


def test_keys_come_as_role_name_and_digest() -> None:
    keys = f"viewer:ann:{'a' * 64}, admin:bo:{'b' * 64}"
    settings = load_settings(None, {"EDGEWISE_HUB_ADMIN_KEYS": keys})
    assert [(holder.role, holder.name, holder.sha256[0]) for holder in settings.key_holders()] == [
        (Role.VIEWER, "ann", "a"),
        (Role.ADMIN, "bo", "b"),
    ]
    assert load_settings(None, {"EDGEWISE_HUB_ADMIN_KEYS": ""}).admin_keys == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("grpc = 8091", r"hub\.toml: \$\.grpc: Expected `str`, got `int`"),
        ('grpc = "nowhere"', r"hub\.toml: \$\.grpc: expected HOST:PORT$"),
        ("most_streams = 0", r"hub\.toml: \$\.most_streams"),
        (
            'admin_keys = ["viewer:ann:short"]',
            r"hub\.toml: \$\.admin_keys\[0\]: expected ROLE:NAME:SHA256 of",
        ),
        ("most_stream = 3", r"hub\.toml: .*most_stream"),
        ("grpc =", r"hub\.toml is not TOML"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(tmp_path: Path, text: str, found: str) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=found):
        load_settings(file, {})


def test_wrong_variables_and_flags_are_named() -> None:
    with pytest.raises(InputError, match="EDGEWISE_HUB_GRPCS: there is no such setting"):
        load_settings(None, {"EDGEWISE_HUB_GRPCS": "x"})
    with pytest.raises(InputError, match="EDGEWISE_HUB_MOST_STREAMS: Expected `int`"):
        load_settings(None, {"EDGEWISE_HUB_MOST_STREAMS": "many"})
    with pytest.raises(InputError, match=r"^EDGEWISE_HUB_ADMIN: expected HOST:PORT$"):
        load_settings(None, {"EDGEWISE_HUB_ADMIN": "8092"})
    with pytest.raises(InputError, match=r"^--grpc: expected HOST:PORT$"):
        load_settings(None, {}, {"grpc": "8091"})
    with pytest.raises(InputError, match="No such file"):
        load_settings(Path("/nowhere/hub.toml"), {})


def test_addresses_are_taken_apart() -> None:
    assert host_port("[::1]:0") == ("::1", 0)
    assert host_port("localhost:8091") == ("localhost", 8091)
    with pytest.raises(InputError, match="port 70000"):
        host_port("127.0.0.1:70000")
    for wrong in ("foo", "8091", ":8091", "http://host:1", "host:1\n"):
        with pytest.raises(InputError, match="expected HOST:PORT"):
            host_port(wrong)
    loopback = ["127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1"]
    assert all(map(on_loopback, loopback))
    assert not any(map(on_loopback, ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "hub.example:1", "127.example:1"]))


def test_the_schema_lists_every_setting() -> None:
    [definition] = schema()["$defs"].values()
    assert set(definition["properties"]) == set(HubSettings.__struct_fields__)
