"""Topics of texts: how they are cut, learned, exported and served, and what is refused."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx_corpus
import pytest
from hub_process import edgewise
from hypothesis import given
from hypothesis import strategies as st
from topics_world import WORDS, ticket, write_tickets

from edgewise.errors import InputError, ModelRefused
from hub.score_table import score_table
from hub.scoring_child import ScoringChild
from hub.topics.model import TopicModel, keep_topic_model, topic_model_path
from hub.topics.words import MOST_CHARACTERS, counts, cut
from hub.train.topics import TopicsPlan, TrainedTopics, train_topics

pytestmark = pytest.mark.process
FOUR = sorted(WORDS)


@pytest.fixture(scope="module")
def child() -> Iterator[ScoringChild]:
    with ScoringChild() as running:
        yield running


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, child: ScoringChild) -> TrainedTopics:
    folder = tmp_path_factory.mktemp("tickets")
    table = write_tickets(folder / "train.csv", FOUR, 40)
    test = write_tickets(folder / "test.csv", FOUR, 25, start=1_000)
    return train_topics(TopicsPlan(table=table, text="body", target="topic", test=test), child=child)


@given(text=st.text(max_size=60), more=st.text(max_size=60))
def test_a_matrix_of_counts_is_what_counting_by_hand_gives(text: str, more: str) -> None:
    columns = {part: column for column, part in enumerate(sorted(set(cut(more))))}
    matrix = counts([text, more], columns)
    for row, held in zip(matrix, (text, more), strict=True):
        counted = Counter(cut(held))
        assert [counted[part] for part in columns] == row.tolist()


def test_a_text_is_cut_alike_in_any_case_and_width_of_letters() -> None:
    assert list(cut("Lost CARD")) == list(cut("lost card"))
    assert list(cut("\N{FULLWIDTH LATIN CAPITAL LETTER C}ard")) == list(cut("card"))
    assert list(cut("no")) == ["no", "#<no", "#no>", "#<no>"]


def test_a_text_without_end_is_read_as_far_as_the_bound() -> None:
    assert sum(1 for part in cut("a b " * MOST_CHARACTERS) if part == "a") == MOST_CHARACTERS // 4


def test_topics_of_unseen_tickets_are_found_and_the_report_says_so(trained: TrainedTopics) -> None:
    report = trained.report
    assert report.classes == FOUR
    assert report.metrics["accuracy"].mean > 0.9  # a quarter would be chance; 100 texts: 0.06 is two deviations
    assert report.metrics["accuracy"].ci_low <= report.metrics["f1_macro"].mean
    assert report.parity.mismatches == 0
    assert report.judged_by.startswith("100 rows of test.csv")


def test_the_exported_model_says_by_itself_what_it_needs(trained: TrainedTopics, child: ScoringChild) -> None:
    model = TopicModel.read(trained.onnx, child)
    assert model.topics == tuple(FOUR)
    said = model.of([ticket("payment", 9_001), ticket("returns", 9_002)], child)
    assert [topic.name for topic in said] == ["payment", "returns"]
    assert all(0.25 < topic.probability <= 1 for topic in said)
    assert model.of([], child) == []


def test_a_text_that_holds_nothing_known_has_no_strong_topic(trained: TrainedTopics, child: ScoringChild) -> None:
    model = TopicModel.read(trained.onnx, child)
    [row] = model.probabilities(["\N{SNOWMAN}"], child)
    assert row.sum() == pytest.approx(1, abs=1e-5)
    assert row.max() < 0.6


@pytest.mark.slow
def test_two_topics_are_two_probabilities(tmp_path: Path, child: ScoringChild) -> None:
    table = write_tickets(tmp_path / "two.csv", ["delivery", "returns"], 30)
    trained = train_topics(TopicsPlan(table=table, text="body", target="topic", cv=2), child=child)
    model = TopicModel.read(trained.onnx, child)
    found = model.probabilities([ticket("delivery", 77), ticket("returns", 78)], child)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert found.argmax(axis=1).tolist() == [0, 1]


@pytest.mark.slow
def test_the_same_texts_give_the_same_bytes(tmp_path: Path, child: ScoringChild) -> None:
    table = write_tickets(tmp_path / "again.csv", FOUR, 12)
    plan = TopicsPlan(table=table, text="body", target="topic", cv=2)
    assert train_topics(plan, child=child).onnx == train_topics(plan, child=child).onnx


def test_score_onnx_reads_the_text_as_the_hub_does(trained: TrainedTopics, child: ScoringChild, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(trained.onnx)
    table = write_tickets(tmp_path / "new.csv", FOUR, 3, start=2_000)
    out = tmp_path / "scores.csv"
    scored = score_table(tmp_path / "model.onnx", table, out, keep=["body"], batch_rows=5, child=child)
    assert (scored.rows, scored.columns) == (12, ["body", *(f"score_{topic}" for topic in FOUR)])
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = TopicModel.read(trained.onnx, child).probabilities([row["body"] for row in rows], child)
    np.testing.assert_allclose([[float(row[f"score_{topic}"]) for topic in FOUR] for row in rows], expected, atol=1e-6)


def test_a_model_of_something_else_is_no_topic_model(child: ScoringChild) -> None:
    with pytest.raises(ModelRefused, match="expected a topic model"):
        TopicModel.read(onnx_corpus.sound().SerializeToString(), child)


def test_texts_that_share_nothing_teach_nothing(tmp_path: Path, child: ScoringChild) -> None:
    lines = "".join(f"{chr(0x4E00 + number)},{'ab'[number % 2]}\n" for number in range(40))
    table = tmp_path / "strange.csv"
    table.write_text(f"body,topic\n{lines}", "utf-8")
    with pytest.raises(InputError, match="no topics can be learned"):
        train_topics(TopicsPlan(table=table, text="body", target="topic"), child=child)


@pytest.mark.parametrize("name", ["", "../x", "Big", "a" * 65, "a.b"])
def test_a_name_that_is_none_names_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot name a topic model"):
        topic_model_path(tmp_path, name)


def test_a_kept_model_lies_where_sources_look(tmp_path: Path) -> None:
    assert keep_topic_model(tmp_path, "support", b"onnx").read_bytes() == b"onnx"
    assert topic_model_path(tmp_path, "support").exists()


def test_the_command_trains_keeps_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write_tickets(tmp_path / "train.csv", FOUR, 15)
    columns: list[str | Path] = ["--table", table, "--text", "body", "--target", "topic", "--cv", "2"]
    html = tmp_path / "topics.html"
    kept: list[str | Path] = ["--name", "support", "--data-dir", tmp_path, "--html", html]
    done = edgewise(capsys, "train", "topics", *columns, *kept, "--json")
    assert done.code == 0, done.stderr
    said = json.loads(done.stdout)
    assert sum(topic["texts"] for topic in said["by_topic"].values()) == 60
    right = sum(topic["texts"] * topic["recall"] for topic in said["by_topic"].values())
    assert right / 60 == pytest.approx(said["metrics"]["accuracy"]["mean"])
    assert all(name in html.read_text("utf-8") for name in said["by_topic"])
    assert said["rows"] == 60
    assert set(said["metrics"]) == {"accuracy", "f1_macro", "log_loss"}
    assert topic_model_path(tmp_path, "support").stat().st_size == said["model_bytes"]
    assert edgewise(capsys, "train", "topics", *columns, "--set", "strength=3").code == 2
    absent = edgewise(capsys, "train", "topics", "--table", table, "--text", "subject", "--target", "topic")
    assert absent.code == 1
    assert "no column 'subject'" in absent.stderr
