"""Which folder the hub keeps its things in."""

from pathlib import Path

from hub.data_dir import data_dir_of

HOME = Path("/home/ada")


def test_the_variable_wins() -> None:
    assert data_dir_of({"EDGEWISE_DATA_DIR": "/srv/hub", "XDG_DATA_HOME": "/data"}, HOME) == Path("/srv/hub")


def test_then_the_xdg_data_home() -> None:
    assert data_dir_of({"XDG_DATA_HOME": "/data"}, HOME) == Path("/data/edgewise/hub")


def test_a_relative_or_empty_setting_is_ignored() -> None:
    usual = HOME / ".local/share/edgewise/hub"
    assert data_dir_of({}, HOME) == usual
    assert data_dir_of({"XDG_DATA_HOME": "data", "EDGEWISE_DATA_DIR": ""}, HOME) == usual
