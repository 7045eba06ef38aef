"""`edgewise train scoring` and `edgewise score onnx`, as an analyst runs them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx_corpus as corpus
import pyarrow as pa
import pytest
import typer
from numpy.typing import NDArray
from pyarrow import csv
from shop_visits import visits, with_column, written

from edge.scoring.onnx_gate import check_model
from edge.scoring.scorer import OnnxScorer
from edgewise.errors import EdgewiseError, InputError, ModelRefused
from edgewise.terminal import Terminal
from hub.commands.score import app as score_app
from hub.commands.train_scoring import scoring
from hub.score_table import Scored, score_table
from hub.scoring_child import ScoringChild
from hub.train.scoring.choices import ModelName, ScoreKind
from hub.train.scoring.columns import cells, choose_features
from hub.train.scoring.pipelines import Examples, fit_pipeline, predict
from hub.train.scoring.settings import Setting, settings_of
from hub.train.scoring.trial import Plan, Trained, train_scoring

pytestmark = pytest.mark.process

FEATURES = ("pages", "seconds", "place", "weekend", "code", "day")
QUICK: dict[str, Setting] = {"n_estimators": 20, "num_leaves": 7}


def run(capsys: pytest.CaptureFixture[str], command: typer.Typer, *words: object) -> tuple[int, str, str]:
    """Exit code, standard output and error, as the dispatcher makes them."""
    code = 0
    try:
        command([str(word) for word in words])
    except SystemExit as left:
        code = int(left.code or 0)
    except EdgewiseError as refused:
        Terminal(json="--json" in words).problem(refused)
        code = 1
    said = capsys.readouterr()
    return code, said.out, said.err


def train_app() -> typer.Typer:
    app = typer.Typer()
    app.command()(scoring)
    return app


@pytest.fixture(scope="module")
def child() -> Iterator[ScoringChild]:
    """One scorer for all: starting it costs more than most of these tests."""
    with ScoringChild() as running:
        yield running


class Bench(NamedTuple):
    """A folder and a scorer, and what these tests do with them."""

    folder: Path
    child: ScoringChild

    def learn(self, target: str = "bought", *, table: pa.Table | None = None, **options: Any) -> Trained:
        path = written(self.folder, visits() if table is None else table)
        chosen: dict[str, Any] = {"features": FEATURES, "cv": 3, "settings": QUICK}
        return train_scoring(Plan(table=path, target=target, **chosen | options), child=self.child)

    def score(self, model: bytes, table: Path, **options: Any) -> Scored:
        path = self.folder / "m.onnx"
        path.write_bytes(model)
        return score_table(path, table, self.scores_file, child=self.child, **options)

    @property
    def scores_file(self) -> Path:
        return self.folder / "p.csv"

    def scores(self) -> NDArray[np.float64]:
        column: NDArray[np.float64] = csv.read_csv(self.scores_file).column("score").to_numpy()
        return column


@pytest.fixture
def bench(tmp_path: Path, child: ScoringChild) -> Bench:
    return Bench(tmp_path, child)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, child: ScoringChild) -> Trained:
    """The default: whether a visit ended in a purchase."""
    return Bench(tmp_path_factory.mktemp("plain"), child).learn()


def test_the_commands_learn_report_export_and_score(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table = written(tmp_path, visits())
    report, model, out = (tmp_path / name for name in ("r.json", "m.onnx", "p.csv"))
    words = ["--table", table, "--target", "bought", "--drop", "orders,spent,mood", "--json", "--report", report]
    code, printed, _ = run(capsys, train_app(), *words, "--export", model, "--set", "n_estimators=30")
    assert code == 0
    found = json.loads(printed)
    assert json.loads(report.read_text()) == found
    assert set(found["metrics"]) == {"auc", "average_precision", "log_loss", "brier"}
    assert found["metrics"]["auc"]["ci_low"] < found["metrics"]["auc"]["mean"] < found["metrics"]["auc"]["ci_high"]
    assert found["metrics"]["auc"]["mean"] > 0.75
    assert found["parity"]["rows"] >= 10_000
    assert found["parity"]["max_abs_error"] < 1e-5
    assert found["warnings"] == []
    assert found["judged_by"].startswith("5 random folds")
    assert found["features"][0]["name"] == "pages"
    code, printed, _ = run(capsys, score_app, "onnx", model, "--table", table, "--out", out, "--json")
    assert code == 0
    said = json.loads(printed)
    assert said["rows"] == 600
    assert 0 < said["p50_ms"] <= said["p99_ms"]
    scores = csv.read_csv(out).column("score").to_numpy()
    bought = visits().column("bought").to_numpy(zero_copy_only=False)
    assert len(scores) == 600
    assert scores[bought].mean() > scores[~bought].mean() + 0.3


def test_people_get_a_table_and_warnings_on_standard_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table = written(tmp_path, with_column(visits(), "seven", [7] * 600))
    model = tmp_path / "m.onnx"
    words = ["--table", table, "--target", "bought", "--features", "pages,place,seven", "--cv", "2"]
    code, out, err = run(capsys, train_app(), *words, "--export", model)
    assert code == 0
    assert "auc" in out
    assert "parity" in out
    assert "warning: column 'seven' is constant" in err
    code, out, _ = run(capsys, score_app, "onnx", model, "--table", table, "--out", tmp_path / "p.csv", "--batch", "7")
    assert code == 0
    assert "7 rows" in out
    assert "600" in out


@pytest.mark.parametrize(
    ("target", "kind", "metric"),
    [
        ("bought", "binary", "auc"),
        ("mood", "multiclass", "accuracy"),
        ("spent", "regression", "r2"),
        ("orders", "count", "poisson_deviance"),
    ],
)
def test_each_kind_is_learned_exported_and_equal(bench: Bench, target: str, kind: str, metric: str) -> None:
    trained = bench.learn(target)
    report = trained.report
    assert (report.kind, report.kind_guessed) == (kind, True)
    assert metric in report.metrics
    assert report.parity.rows >= 10_000
    assert report.parity.thresholds > 0
    assert report.parity.mismatches == 0
    names = {declared.name for declared in check_model(trained.onnx, features=None).inputs}
    assert names <= set(FEATURES)
    scored = bench.score(trained.onnx, bench.folder / "visits.csv")
    expected = ["score_bad", "score_fair", "score_good"] if kind == "multiclass" else ["score"]
    assert scored.columns == expected


def test_the_file_scores_are_those_of_the_trained_pipeline(bench: Bench, plain: Trained) -> None:
    found = choose_features(visits(), target="bought", wanted=FEATURES, dropped=(), categorical=())
    columns = [column for column in found.columns if column.name in {use.name for use in plain.report.features}]
    target = visits().column("bought").to_numpy(zero_copy_only=False).astype(np.int64)
    examples = Examples(ScoreKind.BINARY, columns, cells(visits(), columns), target)
    again = fit_pipeline(ModelName.LIGHTGBM, examples, settings=QUICK, seed=0)
    fresh = visits(300, seed=9)
    bench.score(plain.onnx, written(bench.folder, fresh, "fresh.parquet"))
    np.testing.assert_allclose(bench.scores(), predict(again, ScoreKind.BINARY, cells(fresh, columns)), atol=1e-6)


def test_the_logistic_pipeline_is_exported_with_its_imputer_scaler_and_words(bench: Bench) -> None:
    years = np.random.default_rng(0).integers(2009, 2013, size=600)  # far from 0 for their spread
    table = with_column(visits(), "year", years)
    trained = bench.learn(table=table, model=ModelName.LOGISTIC, settings={}, features=(*FEATURES, "year"))
    assert trained.report.metrics["auc"].mean > 0.75
    assert trained.report.parity.max_abs_error < 1e-5
    assert trained.report.features[0].importance is None
    odd = with_column(table, "place", ["never seen"] * 600)
    odd = with_column(odd, "pages", pa.nulls(600, pa.int64()))
    assert bench.score(trained.onnx, written(bench.folder, odd, "odd.csv")).rows == 600


def test_codes_that_are_names_are_read_digit_for_digit(bench: Bench) -> None:
    rng = np.random.default_rng(1)
    codes = np.array(["007", "7", "70"])[rng.integers(0, 3, 600)]
    bought = (codes == "007") ^ (rng.random(600) < 0.2)
    table = pa.table({"agent": codes, "noise": rng.random(600), "bought": bought})
    trained = bench.learn(table=table, features=None, categorical=("agent",))
    assert (trained.report.features[0].name, trained.report.features[0].kind) == ("agent", "text")
    agents = bench.folder / "agents.csv"
    agents.write_text("agent,noise\n007,0.5\n7,0.5\n70,0.5\n8,0.5\n")
    assert bench.score(trained.onnx, agents, keep=["agent"]).columns == ["agent", "score"]
    assert bench.scores()[0] > 0.6
    assert bench.scores()[1:3].max() < 0.4


def test_columns_may_be_called_like_anything(bench: Bench) -> None:
    table = visits().select(["pages", "seconds", "place", "weekend", "code", "bought"])
    table = table.rename_columns(["score", "probabilities", "x y, z", "größe", "internal_x", "label"])
    trained = bench.learn("label", table=table, features=None)
    assert bench.score(trained.onnx, bench.folder / "visits.csv").columns == ["score"]


def test_the_same_seed_gives_the_same_model_and_another_seed_other_folds(bench: Bench, plain: Trained) -> None:
    again = bench.learn()
    assert again.onnx == plain.onnx
    assert again.report == plain.report
    assert bench.learn(seed=1).report.metrics != plain.report.metrics


def test_a_test_file_is_judged_by_bootstrap(bench: Bench) -> None:
    other = written(bench.folder, visits(400, seed=5), "test.csv")
    report = bench.learn(test=other).report
    assert "400 rows of test.csv; intervals: bootstrap" in report.judged_by
    assert report.metrics["auc"].ci_low < report.metrics["auc"].mean < report.metrics["auc"].ci_high


@pytest.mark.parametrize("kind", ["numbers", "dates", "words"])
def test_by_time_the_time_column_orders_and_is_no_feature(bench: Bench, kind: str) -> None:
    seconds = np.random.default_rng(6).permutation(600) * 3_600
    times = {
        "numbers": pa.array(seconds),
        "dates": pa.array(seconds, type=pa.timestamp("s")).cast(pa.date32()),
        "words": pa.array(seconds, type=pa.timestamp("s")).cast(pa.string()),
    }
    table = with_column(visits(), "when", times[kind]).drop_columns(["orders", "spent", "mood"])
    report = bench.learn(table=table, features=None, time="when").report
    assert "stretches of time" in report.judged_by
    assert "when" not in {use.name for use in report.features}


def test_gzip_semicolons_and_jsonl_are_read(bench: Bench) -> None:
    paths = [bench.folder / name for name in ("visits.csv", "semi.csv.gz", "visits.jsonl")]
    table = visits().select(["pages", "place", "bought"])
    csv.write_csv(table, paths[0])
    with gzip.open(paths[1], "wb") as packed:
        csv.write_csv(table, packed, csv.WriteOptions(delimiter=";"))
    paths[2].write_text("\n".join(json.dumps(row) for row in table.to_pylist()))
    plans = [Plan(table=path, target="bought", cv=2, settings=QUICK) for path in paths]
    found = [train_scoring(plan, child=bench.child) for plan in plans]
    assert found[0].onnx == found[1].onnx == found[2].onnx


BAD_PLANS: dict[str, tuple[dict[str, Any], str]] = {
    "no such target": ({"target": "buyed"}, "no column 'buyed'"),
    "no such feature": ({"features": ("pages", "page")}, "no column 'page'"),
    "no such time": ({"time": "whn"}, "no column 'whn'"),
    "no such column to drop": ({"drop": ("plaice",)}, "no column 'plaice'"),
    "one fold": ({"cv": 1}, "1 folds; expected at least 2"),
    "a logistic count": ({"target": "orders", "model": ModelName.LOGISTIC}, "needs --model lightgbm"),
    "a value of no use": ({"settings": {"num_leaves": 0}}, "^num_leaves=0; expected a whole number from 2 to 131072$"),
    "a word as a value": ({"settings": {"learning_rate": "fast"}}, "^learning_rate=fast; expected a number above 0$"),
    "another kind's objective": ({"settings": {"objective": "poisson"}}, "objective poisson for a binary"),
    "a time that is a word": ({"time": "place"}, "'place'"),
}


@pytest.mark.parametrize("flaw", BAD_PLANS)
def test_a_plan_with_a_flaw_is_an_input_error(bench: Bench, capfd: pytest.CaptureFixture[str], flaw: str) -> None:
    plan, said = BAD_PLANS[flaw]
    with pytest.raises(InputError, match=said):
        bench.learn(**{"target": "bought"} | plan)
    assert capfd.readouterr() == ("", "")


def test_a_missing_test_column_and_a_missing_file_are_input_errors(bench: Bench) -> None:
    short = written(bench.folder, visits().drop_columns(["pages"]), "short.csv")
    with pytest.raises(InputError, match="no column 'pages'"):
        bench.learn(test=short)
    with pytest.raises(InputError, match="no such file"):
        train_scoring(Plan(table=bench.folder / "nowhere.csv", target="bought"))


@pytest.mark.parametrize(
    ("assignment", "code"),
    [
        ("linear_tree=true", "linear-tree"),
        ("zero_as_missing=true", "zero-as-missing"),
        ("boosting_type=rf", "random-forest"),
        ("boosting=rf", "random-forest"),
    ],
)
def test_settings_whose_models_cannot_be_exported_are_refused_by_name(assignment: str, code: str) -> None:
    with pytest.raises(ModelRefused) as refused:
        settings_of(ModelName.LIGHTGBM, [assignment])
    assert refused.value.code == code


def test_settings_are_read_by_type_and_unknown_ones_are_named() -> None:
    found = settings_of(ModelName.LIGHTGBM, ["num_leaves=15", "learning_rate=0.05", "extra_trees=true"])
    assert found == {"num_leaves": 15, "learning_rate": 0.05, "extra_trees": True}
    with pytest.raises(InputError, match="did you mean num_leaves"):
        settings_of(ModelName.LIGHTGBM, ["num_leafs=3"])
    with pytest.raises(InputError, match="there are: C,"):
        settings_of(ModelName.LOGISTIC, ["num_leaves=3"])
    with pytest.raises(InputError, match="KEY=VALUE"):
        settings_of(ModelName.LIGHTGBM, ["num_leaves"])


def test_usage_errors_exit_2_and_name_the_option(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table = written(tmp_path, visits())
    words = ["--table", table, "--target", "bought"]
    for extra, said in (
        (["--cv", "3", "--test", table], "not both"),
        (["--set", "leaves"], "--set"),
        (["--set", "num_leaves=0"], "num_leaves=0"),
        (["--kind", "ranking"], "--kind"),
        (["--delimiter", ";;"], "--delimiter"),
    ):
        code, _, err = run(capsys, train_app(), *words, *extra)
        assert code == 2
        assert said in err


def test_errors_are_shown_without_a_traceback_and_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table = written(tmp_path, with_column(visits(), "bought", [True] * 600))
    code, out, err = run(capsys, train_app(), "--table", table, "--target", "bought", "--json")
    assert code == 1
    assert "nothing to learn" in json.loads(out)["error"]["message"]
    assert "Traceback" not in err
    words = ["--table", table, "--target", "bought", "--export", tmp_path / "no" / "m.onnx"]
    code, _, err = run(capsys, train_app(), *words)
    assert code == 1
    assert "there is no folder" in err


def test_scoring_a_table_that_lacks_a_column_or_holds_a_word_is_an_input_error(bench: Bench, plain: Trained) -> None:
    table = written(bench.folder, visits())
    with pytest.raises(InputError, match="no column 'pages'"):
        bench.score(plain.onnx, written(bench.folder, visits().drop_columns(["pages"]), "a.csv"))
    many = with_column(visits(), "pages", ["many", *map(str, range(599))])
    with pytest.raises(InputError, match="no numbers") as wrong:
        bench.score(plain.onnx, written(bench.folder, many, "b.csv"))
    assert wrong.value.problems[0].path == "row 2, column pages"
    assert "b.csv" in str(wrong.value)
    with pytest.raises(InputError, match="no column 'who'"):
        bench.score(plain.onnx, table, keep=["who"])
    with pytest.raises(InputError, match="batches of 0"):
        bench.score(plain.onnx, table, batch_rows=0)
    assert not bench.scores_file.exists()


def test_what_is_no_model_of_a_table_is_refused(bench: Bench) -> None:
    table = written(bench.folder, visits())
    with pytest.raises(ModelRefused):
        bench.score(b"this is no model", table)
    with pytest.raises(ModelRefused, match=r"edgewise\.features"):
        bench.score(corpus.tree().SerializeToString(), table)


def test_an_exported_booster_is_scored_from_its_feature_names(bench: Bench) -> None:
    table = bench.folder / "t.csv"
    table.write_text("f2,f0,f1\n1.0,0.5,\n2.0,0.1,3\n")
    model = corpus.sound().SerializeToString()
    bench.score(model, table)
    rows = np.array([[0.5, np.nan, 1.0], [0.1, 3.0, 2.0]], np.float32)
    np.testing.assert_allclose(bench.scores(), OnnxScorer(model).score(rows), rtol=1e-6)
