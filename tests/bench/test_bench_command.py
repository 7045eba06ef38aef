"""`edgewise bench` as it is typed: exit codes, what it prints, what it refuses; against small servers."""

from __future__ import annotations

import itertools
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from bench_server import Asked, answer_right, decision, http, right, serving
from typing_extensions import override

from edgewise.cli import main

QUICK = ("--duration", "0.4", "--warm-up", "0.1", "--rate", "300", "--connections", "8")


def bench(*words: str) -> int:
    """The exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["bench", *words])
    return 0 if ended.value.code is None else int(ended.value.code)


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


async def half_refused(asked: Asked) -> bytes:
    """The first requests of each kind are taken, so that the bench begins."""
    return http(b"{}", 503) if asked.number > 50 and asked.number % 2 else right(asked)


async def falling_back(asked: Asked) -> bytes:
    return right(asked, "FALLBACK_OVERLOAD")


def test_a_sound_server_gives_one_object_and_exit_0(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(answer_right) as url:
        assert bench(url, *QUICK, "--fail-if", "errors>0%", "--fail-if", "goodput<1/s", "--json") == 0
    told = printed(capsys)
    assert told["mode"] == "rate"
    assert told["requests"] > 0
    assert told["errors"] == 0
    assert told["goodput"] > 0
    assert set(told["reasons"]) == {"MODEL"}
    assert [each["crossed"] for each in told["thresholds"]] == [False, False]
    assert told["failed"] is False
    latency = told["latency_ms"]
    assert latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
    assert told["scheduling_lag_ms"]["p99"] >= 0
    assert told["machine"]["cores"] >= 1
    assert told["machine"]["versions"]["edgewise"]
    assert told["node"] is None


def test_each_crossed_threshold_is_told_and_the_exit_code_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(half_refused) as url:
        code = bench(url, *QUICK, "--fail-if", "errors>1%", "--fail-if", "max>=0ms", "--fail-if", "p50>1000s", "--json")
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert code == 1
    assert told["failed"] is True
    assert [each["crossed"] for each in told["thresholds"]] == [True, True, False]
    assert set(told["errors_by"]) == {"status 503"}
    assert "errors>1%: " in err
    assert "max>=0ms: " in err
    assert "p50" not in err


def test_an_item_is_watched_for(capsys: pytest.CaptureFixture[str]) -> None:
    """It is offered until it sells out; what is offered is read in the answers."""
    decided = itertools.count()

    async def selling_out(asked: Asked) -> bytes:
        if asked.path != "/v1/decide":
            return right(asked)
        return http(decision(item="last-one" if next(decided) < 60 else "another"))

    with serving(selling_out) as url:
        assert bench(url, *QUICK, "--watch-item", "last-one", "--json") == 0
        told = printed(capsys)
        assert bench(url, *QUICK, "--watch-item", "never-there") == 0
    watched = told["watched"]
    assert watched["item"] == "last-one"
    assert 0 < watched["offers"] <= 60
    assert told["machine"]["measured_ms"] <= watched["first_ms"] <= watched["last_ms"]
    assert "never-there was never offered" in capsys.readouterr().out


def test_people_get_a_table_and_their_thresholds(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(falling_back) as url:
        assert bench(url, *QUICK, "--fail-if", "fallback>50%") == 1
    out, err = capsys.readouterr()
    for part in ("from when due", "- decide", "generator's lag", "FALLBACK_OVERLOAD", "errors 0 (0.00%)"):
        assert part in out
    assert "fallback>50%: 100.00%, crossed" in out
    assert "100.00% of placements were answered by a fallback" in err


def test_quiet_prints_only_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(answer_right) as url:
        assert bench(url, *QUICK, "--quiet") == 0
        assert capsys.readouterr() == ("", "")
        assert bench(url, *QUICK, "--quiet", "--fail-if", "mean>=0ms") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: mean>=0ms: ")


def test_a_web_log_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "access.log"
    log.write_text("\n".join(str(1_790_000_000 + number * 0.1) for number in range(30)))
    with serving(answer_right) as url:
        words = ("--replay", str(log), "--speed", "10", "--warm-up", "0", "--connections", "4", "--json")
        assert bench(url, *words) == 0
    told = printed(capsys)
    assert (told["mode"], told["arrivals"]) == ("replay", "log")
    assert (told["requests"], told["errors"]) == (30, 0)


def test_the_knee_is_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Broken by errors, and not by time: the server refuses everything behind a number of requests."""

    async def until_150(asked: Asked) -> bytes:
        return http(b"{}", 503) if asked.number > 150 else right(asked)

    file = tmp_path / "mine.toml"
    file.write_text('[[requests]]\nask = "decide"\nshare = 1\nplacements = [{name = "home_hero"}]')
    report = tmp_path / "knee.html"
    with serving(until_150) as url:
        words = ("--find-knee", "--duration", "0.2", "--warm-up", "0", "--knee-p99", "100000", "--profile", str(file))
        assert bench(url, *words, "--report", str(report), "--fail-if", "knee>=0.1/s", "--json") == 1
    out, err = capsys.readouterr()
    told = json.loads(out)
    steps, knee = told["steps"], told["knee"]
    assert told["mode"] == "knee"
    assert steps[0]["rate"] == 100
    assert any("errors" in (step["broken_by"] or "") for step in steps)
    assert knee["broke_at"] in {step["rate"] for step in steps if not step["held"]}
    assert knee["rate"] == max((step["rate"] for step in steps if step["held"]), default=None)
    assert "100/s " in err
    assert "Where it breaks" in report.read_text("utf-8")


class Seen(HTMLParser):
    """Tags and attributes of a page, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_is_one_page_without_script_or_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.html"
    with serving(answer_right) as url:
        assert bench(url, *QUICK, "--report", str(file), "--fail-if", "mean>=0ms", "--json") == 1
    page, told = file.read_text("utf-8"), printed(capsys)
    seen = Seen()
    seen.feed(page)
    assert not seen.open
    assert "svg" in seen.tags
    assert "polyline" in seen.tags
    assert not {"script", "link", "img", "iframe"} & set(seen.tags)
    assert not {"src", "href"} & {name for name, _ in seen.attributes}
    assert not any(name.startswith("on") for name, _ in seen.attributes)
    assert "mean&gt;=0ms" in page
    assert f"{told['latency_ms']['p99']:.2f}" in page
    assert "Where it breaks" not in page


def test_what_a_node_says_cannot_become_markup(tmp_path: Path) -> None:
    async def hostile(asked: Asked) -> bytes:
        if asked.path == "/status":
            return http(b'{"node":"<script>alert(1)</script>","state":"READY"}')
        return right(asked)

    file = tmp_path / "report.html"
    with serving(hostile) as url:
        assert bench(url, *QUICK, "--report", str(file), "--quiet") == 0
    assert "<script" not in file.read_text("utf-8")
    assert "&lt;script&gt;" in file.read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rate", "0"), "--rate: 0; expected more than 0"),
        (("--rate", "nan"), "--rate: nan"),
        (("--duration", "-1"), "--duration"),
        (("--connections", "0"), "--connections"),
        (("--connections", "1000000"), "at most 25,000"),
        (("--warm-up", "-1"), "--warm-up"),
        (("--timeout", "0"), "--timeout"),
        (("--speed", "2"), "--replay FILE is missing"),
        (("--rate", "5", "--find-knee"), "--find-knee"),
        (("--rate", "5", "--replay", "x.log"), "--replay"),
        (("--arrivals", "bursty"), "expected poisson or constant"),
        (("--fail-if", "p99>10"), "no unit for p99"),
        (("--fail-if", "knee<5/s"), "needs --find-knee"),
        (("--rate", "many"), "Invalid value for '--rate'"),
    ],
)
def test_a_wrong_option_is_usage(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("http://127.0.0.1:1", *words) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert "Traceback" not in out + err


def test_a_node_that_is_not_there_or_refuses_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    async def locked(_: Asked) -> bytes:
        return http(b'{"title":"Unauthorized","detail":"a write key is needed"}', 401)

    async def without(asked: Asked) -> bytes:
        if asked.path == "/status":
            return http(b'{"node":"n-1","state":"READY","placements":["shelf"]}')
        return http(b'{"detail":"there is no placement home_hero"}', 404)

    async def mute(_: Asked) -> None:
        return None

    said = {
        locked: "answers 401: a write key is needed; the site's write key is given with --write-key",
        without: "answers 404: there is no placement home_hero; the node has shelf: a profile that asks for these",
        mute: "connection lost",
    }
    for answer, expected in said.items():
        with serving(answer) as url:
            assert bench(url, *QUICK) == 1
        assert expected in capsys.readouterr().err


def test_a_node_that_is_gone_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(answer_right) as url:
        pass
    assert bench(url, *QUICK) == 1
    assert "cannot connect: Connection refused" in capsys.readouterr().err


def test_a_profile_that_is_wrong_or_missing_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("requests = 5")
    assert bench("http://127.0.0.1:1", "--profile", str(file)) == 1
    assert "mine.toml: $.requests: Expected `array`, got `int`" in capsys.readouterr().err
    assert bench("http://127.0.0.1:1", "--profile", "nowhere") == 1
    assert "nor one of the mixes" in capsys.readouterr().err


def test_the_write_key_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    async def keyed(asked: Asked) -> bytes:
        return right(asked) if asked.headers.get("authorization") == "Basic ZGVtbzo=" else http(b"{}", 401)

    with serving(keyed) as url:
        assert bench(url, *QUICK, "--write-key", "demo", "--fail-if", "errors>0%", "--json") == 0
    assert printed(capsys)["errors"] == 0
