"""MAP.toml: what it may say, and what it is told when it says something else."""

from pathlib import Path

import pytest

from edgewise.errors import InputError
from hub.imports.maps import DecisionMap, load_map


def loaded(folder: Path, text: str) -> DecisionMap:
    path = folder / "map.toml"
    path.write_text(text, encoding="utf-8")
    return load_map(path)


def test_without_a_map_our_own_names_are_taken() -> None:
    mapping = load_map(None)
    assert mapping.source_name("action") == "action"
    assert not mapping.is_named("timestamp")
    assert mapping.context_columns == []
    assert mapping.action_context_file is None


def test_context_may_stand_on_top_or_under_columns(tmp_path: Path) -> None:
    on_top = loaded(tmp_path, 'context = ["x"]\naction_context = "i.csv"\n[columns]\naction = "item"\n')
    below = loaded(tmp_path, '[columns]\naction = "item"\ncontext = ["x"]\naction_context = "i.csv"\n')
    for mapping in (on_top, below):
        assert mapping.source_name("action") == "item"
        assert mapping.is_named("action")
        assert mapping.source_name("reward") == "reward"
        assert mapping.context_columns == ["x"]
        assert mapping.action_context_file == "i.csv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[columns]\npropensty = "p"\n', r"unknown field `propensty` - at `\$\.columns`"),
        ("[columns]\naction = 3\n", r"Expected `str \| null`, got `int` - at `\$\.columns\.action`"),
        ('columns = "action"\n', r"at `\$\.columns`"),
        ('context = "x"\n', r"at `\$\.context`"),
        ('[column]\naction = "a"\n', "unknown field `column`"),
        ("[columns\n", "line 1"),
        ('context = ["x"]\n[columns]\ncontext = ["x"]\n', "on top and again"),
        ("", "empty file"),
    ],
)
def test_a_wrong_map_names_the_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        loaded(tmp_path, text)
    assert "map.toml" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ('[columns]\naction = ""\n', "$.columns.action", "an empty name"),
        ('[columns]\naction = "x"\nreward = "x"\n', "$.columns.reward", "'x' is already the action"),
        ('context = ["a", "b", "a"]\n', "$.context", "'a' occurs more than once"),
        ('context = ["click"]\n[columns]\nreward = "click"\n', "$.context", "not known before the decision"),
        ('context = ["reward"]\n', "$.context", "not known before the decision"),
    ],
)
def test_a_map_that_contradicts_itself(tmp_path: Path, text: str, place: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        loaded(tmp_path, text)
    (problem,) = refused.value.problems
    assert problem.path == place
    assert message in problem.message


def test_an_absent_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_map(tmp_path / "map.toml")
