"""Models run at the hub only in the edge's scorer, as a child under limits that survives what they do to it."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import onnx_corpus as corpus
import pytest
from boosters import booster, names, rows
from onnx import TensorProto
from onnx_corpus import graph, node, value

from edge.scoring.child import MOST_MODELS, Desk
from edge.scoring.scorer import OnnxScorer
from edgewise.errors import InputError, ModelRefused
from edgewise.score_job import Load, Loaded, Ran, Refused, Run, body_length, decode_answer, encode, to_tensor
from hub.export import export_booster
from hub.scoring_child import ROWS_PER_RUN, ScoringChild

pytestmark = pytest.mark.process

ROWS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


def test_scores_are_those_of_the_edge_to_the_bit() -> None:
    data = corpus.sound().SerializeToString()
    with ScoringChild() as child:
        np.testing.assert_array_equal(child.score(data, ROWS), OnnxScorer(data).score(ROWS))
        assert child.score(data, ROWS[:0]).shape == (0,)
        assert child.score(corpus.attribution().SerializeToString(), ROWS).shape == (50, 4)


def test_a_big_matrix_is_scored_in_parts_and_in_order() -> None:
    table = rows(np.random.default_rng(1), 2 * ROWS_PER_RUN + 7, numbers=3)
    data = corpus.sound().SerializeToString()
    with ScoringChild() as child:
        np.testing.assert_array_equal(child.score(data, table), OnnxScorer(data).score(table))


def test_many_matrices_go_through_one_process() -> None:
    data = corpus.sound().SerializeToString()
    with ScoringChild() as child:
        child.score(data, ROWS)
        process = child.process_id
        for _ in range(50):
            child.score(data, ROWS)
        assert child.process_id == process
    assert child.process_id is None


def test_latency_counts_the_runs_asked_for_and_says_the_memory() -> None:
    with ScoringChild() as child:
        latency = child.latency(corpus.sound().SerializeToString(), ROWS, repeat=20)
    assert 0 < latency.p50_ms <= latency.p99_ms
    assert latency.peak_memory_bytes > 10 << 20


def test_more_models_than_the_child_keeps_are_loaded_again_when_they_are_asked_for() -> None:
    table = rows(np.random.default_rng(2), 200, numbers=3)
    models = []
    for seed in range(MOST_MODELS + 3):
        model = booster(table, "regression", seed=seed, rounds=1, num_leaves=3)
        models.append(export_booster(model, feature_names=names(model), output="raw").SerializeToString())
    with ScoringChild() as child:
        for data in [*models, models[0]]:
            np.testing.assert_array_equal(child.score(data, table), OnnxScorer(data).score(table))


def test_named_columns_travel_with_their_words() -> None:
    model = graph(
        [
            node("LabelEncoder", "colour", "code", "ai.onnx.ml", keys_strings=["rot ü"], values_floats=[5.0]),
            node("Concat", "x code", "y", axis=1),
        ],
        inputs=[value("x", 3), value("colour", 1, dtype=TensorProto.STRING)],
        outputs=[value("y", 4)],
    )
    data = model.SerializeToString()
    colours = np.array([["rot ü"], [""]], dtype=object)
    with ScoringChild() as child:
        assert child.describe(data).inputs == {"x": "float32", "colour": "string"}
        answer, seconds = child.run_columns(data, {"x": np.ones((2, 3), np.float32), "colour": colours})
        with pytest.raises(ModelRefused, match="'colour'"):
            child.run_columns(data, {"x": np.ones((2, 3), np.float32)})
    assert answer["y"][:, 3].tolist() == [5.0, 0.0]
    assert seconds > 0


def test_the_gate_stands_before_the_runtime() -> None:
    with ScoringChild() as child:
        with pytest.raises(ModelRefused) as refused:
            child.score(graph([node("Loop", "x")]).SerializeToString(), ROWS)
        assert refused.value.code == "operator"
        with pytest.raises(ModelRefused) as refused:
            child.score(corpus.sound().SerializeToString(), ROWS[:, :2])
        assert refused.value.code == "arity"
        assert child.score(corpus.sound().SerializeToString(), ROWS).shape == (50,)


HUNGRY = graph(
    [node("MatMul", "x c", "w"), node("Add", "w d", "y")],
    constants={"c": np.ones((3, 200_000), np.float32), "d": np.ones((1, 200_000), np.float32)},
    outputs=[value("y", 200_000)],
).SerializeToString()
"""0.8 MB a row: passes the gate, and eats any memory with rows enough."""


def test_a_model_that_needs_too_much_memory_is_refused_and_the_hub_lives_on() -> None:
    with ScoringChild(memory_bytes=1 << 30) as child:
        with pytest.raises(ModelRefused) as refused:
            child.score(HUNGRY, np.zeros((2_000, 3), np.float32))
        assert refused.value.code in {"memory", "scorer-died"}
        assert child.score(corpus.sound().SerializeToString(), ROWS).shape == (50,)


def test_a_limit_that_is_too_small_to_start_says_so() -> None:
    with ScoringChild(memory_bytes=64 << 20) as child, pytest.raises(ModelRefused) as refused:
        child.score(corpus.sound().SerializeToString(), ROWS)
    assert refused.value.code in {"memory", "scorer-died"}


def slow_model() -> bytes:
    """About a thousand wide steps: seconds of work for a few hundred rows."""
    steps = ["w", *(f"s{index}" for index in range(1_000))]
    chain = [node("Exp", before, after) for before, after in pairwise(steps)]
    return graph(
        [node("MatMul", "x c", "w"), *chain],
        constants={"c": np.ones((3, 200_000), np.float32)},
        outputs=[value(steps[-1], 200_000)],
    ).SerializeToString()


def test_a_model_that_uses_up_its_processor_time_is_refused_by_that_name() -> None:
    with ScoringChild(cpu_seconds_per_job=1) as child:
        with pytest.raises(ModelRefused, match="processor time") as refused:
            child.score(slow_model(), np.zeros((200, 3), np.float32))
        assert refused.value.code == "scorer-died"
        assert child.score(corpus.sound().SerializeToString(), ROWS).shape == (50,)


def test_a_scorer_that_does_not_answer_in_time_is_ended() -> None:
    with ScoringChild(deadline_s=1.0) as child:
        with pytest.raises(ModelRefused) as refused:
            child.score(slow_model(), np.zeros((200, 3), np.float32))
        assert refused.value.code == "scorer-timeout"
        assert child.process_id is None


def test_the_child_alone_explains_how_it_is_called_and_ends_with_its_input() -> None:
    command = [sys.executable, "-m", "edge.scoring.child"]
    wrong = subprocess.run([*command, "lots"], capture_output=True, check=False)
    assert wrong.returncode == 2
    assert b"MEMORY_BYTES" in wrong.stderr
    job = encode(Load("k", b"noise", 3, 1 << 20)) + encode(Run("k", []))
    done = subprocess.run([*command, str(3 << 30), "10"], input=job, capture_output=True, check=True)
    answers = []
    rest = done.stdout
    while rest:
        length = body_length(rest[:4])
        answers.append(decode_answer(rest[4 : 4 + length]))
        rest = rest[4 + length :]
    assert [answer.code for answer in answers if isinstance(answer, Refused)] == ["unexpected-field", "not-loaded"]


def test_frames_that_are_no_jobs_end_the_child_with_one_line() -> None:
    command = [sys.executable, "-m", "edge.scoring.child", str(3 << 30), "10"]
    done = subprocess.run(command, input=b"\x00\x00\x00\x01\xc1", capture_output=True, check=False)
    assert done.returncode == 1
    assert b"not a scoring job" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_desk_answers_in_this_process_as_the_child_does() -> None:
    desk = Desk()
    data = corpus.sound().SerializeToString()
    assert isinstance(desk.answer(Load("a", data, 3, 1 << 20)), Loaded)
    ran = desk.answer(Run("a", [to_tensor("x", ROWS)], repeat=3))
    assert isinstance(ran, Ran)
    assert len(ran.seconds) == 4
    wrong = desk.answer(Run("a", [to_tensor("x", ROWS[:, :2])]))
    assert isinstance(wrong, Refused)
    assert wrong.code == "scorer"


def test_arrays_that_no_model_takes_are_not_sent() -> None:
    with pytest.raises(InputError, match="complex"):
        to_tensor("x", np.zeros(3, np.complex64))
