"""The edge's scorer: one thread, from bytes, and an error instead of a score that cannot be used."""

from __future__ import annotations

import threading

import numpy as np
import onnx
import onnx_corpus as corpus
import pytest
from boosters import booster, names, rows
from onnx import TensorProto
from onnx_corpus import graph, node, value

from edge.scoring.scorer import OnnxScorer, ScorerError, TableScorer, open_session
from edgewise.errors import EdgewiseError
from hub.export import export_booster
from hub.export.attribution import export_attribution


def scorer(model: onnx.ModelProto) -> OnnxScorer:
    return OnnxScorer(model.SerializeToString())


def test_scores_a_matrix_and_attributes_it() -> None:
    table = rows(np.random.default_rng(0), 400)
    model = booster(table, "binary")
    scores = scorer(export_booster(model, feature_names=names(model), output="raw")).score(table)
    credit = scorer(export_attribution(model, names(model))).attribute(table)
    assert scores.dtype == np.float32
    assert scores.shape == (400,)
    assert credit.shape == (400, 6)
    np.testing.assert_allclose(credit.sum(axis=1), scores, atol=1e-4)


def test_one_output_column_is_as_good_as_none() -> None:
    answer = scorer(corpus.tree()).score(np.zeros((2, 3), np.float32))
    assert answer.tolist() == [1.0, 1.0]


def test_no_row_no_score() -> None:
    assert scorer(corpus.sound()).score(np.zeros((0, 3), np.float32)).shape == (0,)
    assert scorer(corpus.attribution()).attribute(np.zeros((0, 3), np.float32)).shape == (0, 4)


def test_the_width_is_known() -> None:
    assert scorer(corpus.sound(features=5)).features == 5


@pytest.mark.parametrize("shape", [(2, 2), (2, 4), (3,), (1, 1, 3)])
def test_a_matrix_of_another_shape_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ScorerError, match="takes"):
        scorer(corpus.sound()).score(np.zeros(shape, np.float32))


def test_float64_is_an_error_because_it_would_be_rounded_unseen() -> None:
    with pytest.raises(ScorerError, match="float64"):
        scorer(corpus.sound()).score(np.zeros((1, 3)))  # type: ignore[arg-type]


def test_rows_that_lie_apart_in_memory_are_scored_the_same() -> None:
    table = rows(np.random.default_rng(1), 64, numbers=3)
    apart = np.asfortranarray(np.repeat(table, 2, axis=0))[::2]
    np.testing.assert_array_equal(scorer(corpus.sound()).score(apart), scorer(corpus.sound()).score(table))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_an_error(bad: float) -> None:
    model = graph([node("ReduceSum", "x axes", keepdims=0)], constants={"axes": np.array([1])}, outputs=[value("y")])
    with pytest.raises(ScorerError, match="finite"):
        scorer(model).score(np.array([[1, 2, bad]], np.float32))


def test_an_output_of_another_shape_is_an_error() -> None:
    wide = scorer(graph([node("Identity", "x")]))
    with pytest.raises(ScorerError, match=r"\(2, 3\)"):
        wide.score(np.zeros((2, 3), np.float32))
    with pytest.raises(ScorerError, match=r"\(n, 4\)"):
        wide.attribute(np.zeros((2, 3), np.float32))


@pytest.mark.parametrize(
    "model",
    [
        b"no model at all",
        b"",
        corpus.sound().SerializeToString()[:-200],
        graph([node("Add", "x z")], inputs=[value("x", 3), value("z", 3)]).SerializeToString(),
        graph([node("Identity", "x")], inputs=[value("x", 3, dtype=TensorProto.INT64)]).SerializeToString(),
        graph([node("NoSuchOperator", "x")]).SerializeToString(),
    ],
    ids=["noise", "nothing", "cut short", "two inputs", "int64", "unknown operator"],
)
def test_what_is_no_model_of_one_matrix_is_an_error(model: bytes) -> None:
    with pytest.raises(ScorerError):
        OnnxScorer(model)


def test_a_failure_inside_the_runtime_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    model = graph(
        [node("Cast", "x", "i", to=TensorProto.INT64), node("Gather", "c i", axis=0)],
        constants={"c": np.zeros(2, np.float32)},
    )
    with pytest.raises(ScorerError, match="failed"):
        scorer(model).score(np.full((1, 3), 99, np.float32))
    assert capfd.readouterr().out == ""


def test_a_scorer_error_is_shown_to_people_without_a_traceback() -> None:
    assert issubclass(ScorerError, EdgewiseError)


def test_a_session_starts_no_thread_and_keeps_no_arena() -> None:
    before = threading.active_count()
    options = open_session(corpus.sound().SerializeToString()).get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern
    assert options.log_severity_level == 3
    assert threading.active_count() == before


def test_named_columns_of_numbers_and_words() -> None:
    model = graph(
        [
            node("LabelEncoder", "colour", "code", "ai.onnx.ml", keys_strings=["red"], values_floats=[5.0]),
            node("Concat", "x code", "y", axis=1),
        ],
        inputs=[value("x", 3), value("colour", 1, dtype=TensorProto.STRING)],
        outputs=[value("y", 4)],
    )
    scores = TableScorer(model.SerializeToString())
    assert scores.inputs == {"x": "float32", "colour": "string"}
    colours = np.array([["red"], ["größe"]], dtype=object)
    answer = scores.run({"x": np.ones((2, 3), np.float32), "colour": colours, "unused": colours})["y"]
    assert answer[:, 3].tolist() == [5.0, -0.0]
    with pytest.raises(ScorerError, match="'colour'"):
        scores.run({"x": np.ones((2, 3), np.float32)})


def test_a_column_type_that_is_not_scored_here_is_an_error() -> None:
    model = graph([node("Cast", "x", to=1)], inputs=[value("x", 3, dtype=TensorProto.DOUBLE)])
    with pytest.raises(ScorerError, match="double"):
        TableScorer(model.SerializeToString())
