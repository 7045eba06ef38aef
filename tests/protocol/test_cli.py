"""The dispatcher: finds commands, and says what is wrong without a traceback."""

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

EDGEWISE = Path(sys.executable).parent / "edgewise"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([EDGEWISE, *words], capture_output=True, text=True, check=False, timeout=60)


def test_help_lists_the_commands_of_edge_and_hub() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    for word in ("edge", "hub", "site", "release", "train", "replay"):
        assert re.search(rf"^  edgewise {word} +\w.*\.$", shown.stdout, re.MULTILINE), "says what it is for"


def test_no_word_at_all_is_a_usage_error() -> None:
    assert run().returncode == 2


def test_an_unknown_word_names_the_known_ones() -> None:
    refused = run("frobnicate")
    assert refused.returncode == 2
    assert "no command 'frobnicate'" in refused.stderr
    assert "evaluate" in refused.stderr


def test_version_is_the_packages_own() -> None:
    assert run("--version").stdout.strip() == version("edgewise")


@pytest.mark.parametrize("flag", ["--json", "--quiet"])
def test_a_refusal_exits_1_without_a_traceback(flag: str, tmp_path: Path) -> None:
    refused = run("site", "check", str(tmp_path / "absent"), flag)
    assert refused.returncode == 1
    assert "absent" in refused.stderr
    assert "Traceback" not in refused.stderr
    if flag == "--json":
        assert json.loads(refused.stdout)["error"]["message"]
    else:
        assert not refused.stdout


def test_an_unknown_option_is_a_usage_error() -> None:
    assert run("site", "check", "--frobnicate").returncode == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "--policy", "uniform"], "--decisions"),
        (["release", "show", "x"], "VERSION"),
        (["edge", "serve", "--port", "x"], "--port"),
        (["release", "--nonsense"], "--nonsense"),
        (["nonsense"], "no command 'nonsense'"),
    ],
)
def test_a_program_is_told_of_a_usage_error_by_one_object(words: list[str], message: str) -> None:
    ended = run(*words, "--json")
    assert ended.returncode == 2
    (line,) = ended.stdout.splitlines()
    assert message in json.loads(line)["error"]["message"]
    assert message in ended.stderr


def test_what_the_machine_refuses_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    refused = run("keys", "init", "--data-dir", str(tmp_path / "file" / "hub"))
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert "file" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_an_output_that_takes_nothing_is_said_in_one_line(flags: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        words: list[str | Path] = [EDGEWISE, "experiment", "power", "--baseline", "0.1", "--lift", "0.1", *flags]
        ended = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert "No space left" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_reader_who_has_seen_enough_is_not_told_of_a_broken_pipe() -> None:
    with subprocess.Popen([EDGEWISE, "config", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as talking:
        assert talking.stdout is not None
        talking.stdout.close()
        assert talking.stderr is not None
        assert talking.stderr.read() == b""
