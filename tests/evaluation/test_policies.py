"""Target policies on a log: their probabilities, and what the log cannot see of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.evaluation.logged import LoggedDecisions, in_order
from hub.evaluation.policies import Target, is_policy, target_policy


def log_of(rows: list[tuple[str, int, str]], actions: tuple[str, ...] = ("a", "b", "c")) -> LoggedDecisions:
    """A log of (decision, position, action)."""
    ids = tuple(dict.fromkeys(decision for decision, _, _ in rows))
    return LoggedDecisions(
        name="log",
        actions=actions,
        action=np.array([actions.index(action) for _, _, action in rows]),
        propensity=np.full(len(rows), 0.5),
        reward=np.ones(len(rows)),
        position=np.array([position for _, position, _ in rows]),
        decision=np.array([ids.index(decision) for decision, _, _ in rows]),
        decision_ids=ids,
        context=pa.table({}),
        action_features=None,
    )


LOG = log_of([("d1", 1, "a"), ("d1", 2, "b"), ("d2", 1, "c"), ("d2", 2, "a")])


def target(text: str, log: LoggedDecisions = LOG) -> Target:
    found = target_policy(text, log)
    assert found is not None
    return found


def from_text(folder: Path, text: str, log: LoggedDecisions = LOG) -> Target:
    path = folder / "p.csv"
    path.write_text(text)
    return target(f"probabilities:{path}", log)


def test_logged_needs_no_probabilities() -> None:
    assert target_policy("logged", LOG) is None


def test_uniform_is_over_every_known_action() -> None:
    found = target("uniform", log_of([("d", 0, "a")], actions=("a", "b", "c", "d")))
    assert found.of_logged(log_of([("d", 0, "a")])).tolist() == [0.25]
    assert found.unsupported(log_of([("d", 0, "a")], actions=("a", "b", "c", "d"))).tolist() == [0.75]


def test_constant_shows_one_action() -> None:
    found = target("constant:a")
    assert found.of_logged(LOG).tolist() == [1, 0, 0, 1]
    assert found.unsupported(LOG).tolist() == [0, 0, 0, 0]
    assert target("constant:b").unsupported(LOG).tolist() == [1, 0, 1, 0]  # never shown in position 1
    assert target("constant:zzz").unsupported(LOG).tolist() == [1, 1, 1, 1]
    assert target("constant:a:b").of_logged(LOG).tolist() == [0, 0, 0, 0]


def test_probabilities_for_all(tmp_path: Path) -> None:
    found = from_text(tmp_path, "action,probability\na,0.2\nb,0.5\nnew,0.3\n")
    assert found.of_logged(LOG).tolist() == [0.2, 0.5, 0, 0.2]
    assert found.unsupported(LOG) == pytest.approx([0.8, 0.3, 0.8, 0.3])


def test_probabilities_by_position(tmp_path: Path) -> None:
    found = from_text(tmp_path, "position,action,probability\n1,a,1\n2,a,0.25\n2,b,0.75\n9,c,1\n")
    assert found.of_logged(LOG).tolist() == [1, 0.75, 0, 0.25]


def test_probabilities_by_decision_and_position(tmp_path: Path) -> None:
    text = "decision_id,position,action,probability\nd1,1,a,1\nd1,2,b,1\nd2,1,c,0.5\nd2,1,b,0.5\nd2,2,c,1\n"
    assert from_text(tmp_path, text).of_logged(LOG).tolist() == [1, 1, 0.5, 0]


def test_probabilities_by_decision_from_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    log = log_of([("7", 0, "1"), ("8", 0, "2")], actions=("1", "2"))
    table = {"decision_id": [7, 7, 8], "action": [1, 2, 1], "probability": [0.25, 0.75, 1.0]}
    pq.write_table(pa.table(table), tmp_path / "p.parquet")
    assert target(f"probabilities:{tmp_path / 'p.parquet'}", log).of_logged(log).tolist() == [0.25, 0]


@pytest.mark.parametrize(
    ("text", "message", "places"),
    [
        ("action,p\na,1\n", "no column 'probability'", ["column probability"]),
        ("action,probability\n", "no rows", []),
        ("action,probability\na,1.5\nb,x\n", "not a table", ["row 2, column probability", "row 3, column probability"]),
        ("action,probability\na,NaN\n", "not a table", ["row 2, column probability"]),
        (
            "action,probability\na,-0.1\nb,1.1\n",
            "not a table",
            ["row 2, column probability", "row 3, column probability"],
        ),
        ("action,probability\na,1\n,0\n", "not a table", ["row 3, column action"]),
        ("action,probability,position\na,1,left\n", "not a table", ["row 2, column position"]),
        ("action,probability,decision_id\na,1,\n", "not a table", ["row 2, column decision_id"]),
        ("action,probability\na,0.5\na,0.5\n", "more than one probability", ["row 3"]),
        ("action,probability\na,0.5\nb,0.3\n", "do not add up to 1", ["every decision"]),
        ("action,probability,position\na,1,1\na,0.9,2\n", "do not add up to 1", ["position 2"]),
        ("action,probability,position\na,1,1\n", "no probabilities for 1 situations of the log, first: position 2", []),
        (
            "action,probability,decision_id\na,1,d1\n",
            "no probabilities for 1 situations of the log, first: decision d2$",
            [],
        ),
    ],
)
def test_a_file_that_is_no_policy_is_refused(tmp_path: Path, text: str, message: str, places: list[str]) -> None:
    with pytest.raises(InputError, match=message) as refused:
        from_text(tmp_path, text)
    assert [problem.path for problem in refused.value.problems] == places


def test_what_came_is_said_beside_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        from_text(tmp_path, "action,probability\na,1.5\nb,x\n")
    assert [problem.message.partition(",")[0] for problem in refused.value.problems] == ["'1.5'", "'x'"]


def test_a_file_may_be_delimited_by_any_character(tmp_path: Path) -> None:
    path = tmp_path / "policy.csv"
    path.write_text("action|probability\na|0.75\nb|0.25\n", encoding="utf-8")
    found = target_policy(f"probabilities:{path}", LOG, "|")
    assert found is not None
    assert found.table.tolist() == [[0.75, 0.25, 0.0]]


def test_probabilities_rounded_to_four_digits_still_add_up(tmp_path: Path) -> None:
    lines = "".join(f"{action},0.0125\n" for action in range(79)) + "79,0.0124\n"
    log = log_of([("d", 0, "3")], actions=tuple(str(action) for action in range(80)))
    assert from_text(tmp_path, "action,probability\n" + lines, log).of_logged(log).tolist() == [0.0125]


@pytest.mark.parametrize(
    "text", ["", "best", "uniform:x", "logged:", "constant:", "constant", "probabilities:", "model:"]
)
def test_what_is_no_policy(text: str) -> None:
    assert not is_policy(text)
    with pytest.raises(InputError, match="expected logged, uniform"):
        target_policy(text, LOG)


@pytest.mark.parametrize("text", ["model:ranker", "bundle:3"])
def test_models_are_refused_by_name(text: str) -> None:
    assert is_policy(text)
    with pytest.raises(InputError, match=f"policy '{text}': an imported log does not say what a model would have seen"):
        target_policy(text, LOG)


@given(st.data())
def test_unsupported_mass_as_counted_by_hand(data: st.DataObject) -> None:
    rows = data.draw(
        st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 2), st.sampled_from("abc")), min_size=1, max_size=12)
    )
    log = log_of(rows)
    groups = data.draw(st.integers(1, 3))
    table = np.array(
        data.draw(st.lists(st.lists(st.floats(0, 0.3), min_size=3, max_size=3), min_size=groups, max_size=groups))
    )
    group = np.array(data.draw(st.lists(st.integers(0, groups - 1), min_size=len(rows), max_size=len(rows))))
    found = Target("some", group, table, 1 - table.sum(axis=1)).unsupported(log)
    for row, (_, position, _) in enumerate(rows):
        seen = {action for _, where, action in rows if where == position}
        known = sum(table[group[row], place] for place, action in enumerate(log.actions) if action in seen)
        assert found[row] == pytest.approx(1 - known)


def test_actions_are_in_order_of_their_numbers() -> None:
    assert in_order({"10", "9", "1"}) == ("1", "9", "10")
    assert in_order({"10", "9", "b"}) == ("10", "9", "b")
