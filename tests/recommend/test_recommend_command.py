"""`edgewise train recommend` as an analyst runs it."""

import json
import re
from pathlib import Path

import pytest
import typer
from real_data import movielens_100k

from edgewise.errors import EdgewiseError
from edgewise.terminal import Terminal
from hub.commands.train_recommend import recommend
from hub.datasets.world import simulate


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ratings = simulate(visitors=80, films=60, events=1_500).ratings
    rows = zip(ratings.user, ratings.item, ratings.time_s, strict=True)
    place = tmp_path_factory.mktemp("shop") / "log.csv"
    place.write_text("who,what,when\n" + "".join(f"{u},{i},{t}\n" for u, i, t in rows))
    return place


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, standard output and error, as the dispatcher makes them."""
    app = typer.Typer()
    app.command()(recommend)
    code = 0
    try:
        app([str(word) for word in words])
    except SystemExit as left:
        code = int(left.code or 0)
    except EdgewiseError as refused:
        Terminal(json="--json" in words).problem(refused)
        code = 1
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_row_of_movielens_from_a_fresh_clone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    movielens_100k()
    place = tmp_path / "r.json"
    words = ["--method", "ease", "--set", "lambda=300", "--split", "random:0.2:3", "--k", "10", "--json", "--report"]
    code, out, _ = run(capsys, *words, place)
    assert code == 0
    found = json.loads(out)
    keys = ("precision@10", "recall@10", "ndcg_cut@10", "ndcg_uncut@10")
    assert [round(found[key], 4) for key in keys] == [0.3669, 0.2401, 0.4444, 0.2882]
    assert json.loads(place.read_text()) == found


def test_the_report_has_the_promised_keys(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    code, out, _ = run(
        capsys, "--interactions", log, "--user", "who", "--item", "what", "--json", "--k", "10,5", "--set", "lambda=20"
    )
    assert code == 0
    found = json.loads(out)
    measures = ("precision", "recall", "hit_rate", "mrr", "ndcg_cut", "ndcg_uncut", "coverage")
    keys = {f"{measure}@{k}" for measure in measures for k in (5, 10)}
    assert keys == set(found["metrics"])
    assert all(found[key] == value for key, value in found["metrics"].items())
    assert set(found["intervals"]) == {key for key in keys if not key.startswith("coverage")}
    for key, (low, high) in found["intervals"].items():
        assert low <= found[key] <= high
    assert (found["method"], found["settings"]) == ("ease", {"lambda": 20.0})


@pytest.mark.parametrize("split", ["random:0.2", "per-user:0.25:1", "per-user:0.1,0.1", "leave-one-out", "time:0.8"])
@pytest.mark.parametrize("method", ["ease", "popular"])
def test_every_split_and_method_shows_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, log: Path, split: str, method: str
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # no cell is broken in two
    words = ["--user", "who", "--item", "what", "--time", "when", "--split", split, "--method", method]
    code, out, _ = run(capsys, "--interactions", log, *words)
    assert code == 0
    assert "ndcg_uncut" in out
    assert "\\" not in out
    assert re.search(r"0\.\d{4} \[0\.\d{4}, 0\.\d{4}\]", out)
    assert f"split {split}" in out


@pytest.mark.parametrize("method", ["blend", "als", "bpr", "itemknn", "content", "popular", "auto"])
def test_every_method_writes_a_page_with_plots(
    capsys: pytest.CaptureFixture[str], log: Path, tmp_path: Path, method: str
) -> None:
    catalogue = tmp_path / "items.csv"
    catalogue.write_text("what,kind\n" + "".join(f"{item},kind {item % 3}\n" for item in range(1, 61)))
    page = tmp_path / "r.html"
    words = ["--user", "who", "--item", "what", "--time", "when", "--items", catalogue, "--method", method]
    code, out, _ = run(capsys, "--interactions", log, *words, "--k", "5", "--json", "--html", page)
    assert code == 0
    found = json.loads(out)
    assert found["method"] == method
    assert found["baseline"]["ndcg_cut@5"] > 0
    assert bool(found["chosen"]) is (method == "auto")
    text = page.read_text()
    assert f"{found['ndcg_cut@5']:.4f}" in text
    assert "<svg" in text


def test_content_without_a_catalogue_that_says_something_is_refused(
    capsys: pytest.CaptureFixture[str], log: Path, tmp_path: Path
) -> None:
    (tmp_path / "items.csv").write_text("what\n1\n2\n")
    words = ["--user", "who", "--item", "what", "--method", "content", "--items", tmp_path / "items.csv"]
    code, _, err = run(capsys, "--interactions", log, *words)
    assert code == 1
    assert "name a catalogue with columns that say it" in err


def test_the_same_command_gives_the_same_bytes(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    words = ["--interactions", log, "--user", "who", "--item", "what", "--json", "--seed", "4"]
    assert run(capsys, *words) == run(capsys, *words)


def test_a_test_file_and_a_catalogue(capsys: pytest.CaptureFixture[str], log: Path, tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text("who\twhat\n1\t2\n2\t1\n")
    (tmp_path / "items.csv").write_text("what\n1\n2\n999\n")
    words = ["--user", "who", "--item", "what", "--split", f"file:{tmp_path / 'test.tsv'}", "--json"]
    code, out, err = run(
        capsys, "--interactions", log, *words, "--items", tmp_path / "items.csv", "--method", "popular"
    )
    found = json.loads(out)
    assert code == 0
    assert found["interactions"]["test"] == 2
    assert any("not in" in warning for warning in found["warnings"])
    assert "warning:" in err


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    assert run(capsys, "--interactions", log, "--user", "who", "--item", "what", "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "random:2"], "is not a share between 0 and 1"),
        (["--split", "weekly"], "none of random:TEST"),
        (["--set", "alpha=1"], "there are: lambda"),
        (["--set", "lambda"], "expected a number"),
        (["--k", "0"], "lengths of 1 or more"),
        (["--k", "ten"], "lengths of 1 or more"),
        (["--method", "auto", "--set", "lambda=1"], "auto has no setting 'lambda'"),
        (["--method", "svd"], "no method 'svd'; there are: ease, blend"),
        (["--delimiter", ";;"], "expected one ASCII character"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_a_wrong_option_is_a_usage_error(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    log: Path,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    code, out, err = run(capsys, "--interactions", log, "--user", "who", "--item", "what", *words)
    assert (code, out) == (2, "")
    assert message in err


def test_an_unnamed_column_is_a_usage_error_that_lists_the_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, log: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    code, _, err = run(capsys, "--interactions", log, "--user", "who")
    assert code == 2
    assert "'who', 'what', 'when'" in err


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("", [], "an empty file"),
        ("who,what\n", [], "a header and no row"),
        ("who,thing\n1,2\n", [], "no column 'what'; there are: 'who', 'thing'"),
        ("who,what\n" + "".join(f"{n},{n}\n" for n in range(99)), [], "one item"),
        ("who,what\n1,2\n1,3\n", ["--split", "time:0.5"], "--time"),
        ("who,what\n1,2\n1,3\n", ["--set", "lambda=0"], "lambda is 0"),
        ("who,what\n1,2\n1,3\n", ["--report", "/nowhere/r.json"], "no folder /nowhere"),
    ],
)
def test_bad_data_is_refused_in_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, words: list[str], message: str
) -> None:
    place = tmp_path / "log.csv"
    place.write_text(text)
    split = [] if "--split" in words else ["--split", "leave-one-out" if "one item" not in message else "random:0.3"]
    code, out, err = run(capsys, "--interactions", place, "--user", "who", "--item", "what", "--json", *split, *words)
    assert code == 1
    assert message in json.loads(out)["error"]["message"]
    assert "Traceback" not in err
