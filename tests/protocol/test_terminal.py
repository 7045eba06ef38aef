"""What commands print, and where."""

import json

import pytest

from edgewise.errors import BundleRefused, InputError, Problem, problem_of
from edgewise.terminal import Terminal, table


def test_json_is_the_only_thing_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(json=True)
    terminal.print("for people")
    terminal.note("progress")
    terminal.result({"n": 1}, "for people")
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"n": 1}
    assert "progress" in shown.err


def test_quiet_leaves_errors_only(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(quiet=True)
    terminal.print("for people")
    terminal.note("progress")
    terminal.error("it broke")
    shown = capsys.readouterr()
    assert not shown.out
    assert shown.err == "error: it broke\n"


def test_people_get_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().result({"n": 1}, table(["name", "n"], [["a", 1]]))
    assert "name  n" in capsys.readouterr().out


def test_problems_are_listed_with_their_places(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(json=True).problem(InputError("2 rows are wrong", tuple(Problem(f"row {n}", "[red]") for n in range(25))))
    shown = capsys.readouterr()
    assert "row 19: [red]" in shown.err
    assert "… and 5 more" in shown.err
    assert len(json.loads(shown.out)["error"]["problems"]) == 25


def test_one_problem_that_the_sentence_tells_already_is_not_told_twice(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().problem(InputError("a.toml: unknown field", (Problem("a.toml", "unknown field"),)))
    assert capsys.readouterr().err == "error: a.toml: unknown field\n"


def test_nothing_spins_where_nobody_looks_or_under_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        with Terminal(quiet=quiet).working("reading") as say:
            say("still reading")
    assert capsys.readouterr() == ("", "")


def test_a_refusal_carries_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(json=True).problem(BundleRefused("digest", "policy.json has another digest"))
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "digest"


def test_a_decoders_sentence_is_split_into_place_and_message() -> None:
    assert problem_of("Expected `str`, got `int` - at `$.a[0]`") == Problem("$.a[0]", "Expected `str`, got `int`")
    assert problem_of("Expected `object`") == Problem("$", "Expected `object`")
