"""Blocking and the model: what is looked at, what is learned, what is said about a pair."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import duckdb
import pytest
from linkage_world import population, write

from hub.linkage.blocking import block
from hub.linkage.records import Records, read_records, records
from hub.linkage.roles import Role
from hub.linkage.scoring import LEAST_TO_LEARN, Scorer


def blocked(of: Records, roles: set[Role]) -> set[tuple[int, int]]:
    with duckdb.connect() as connection:
        connection.register("people", of.table)
        count = block(connection, "people", "chosen", roles)
        found = connection.execute("SELECT * FROM chosen").fetchall()
    assert len(found) == count
    return {(left, right) for left, right in found}


def test_all_who_share_something_rare_are_looked_at_and_nobody_else() -> None:
    emails = ["a@x.example", "a@x.example", "b@x.example", None, None, "A@y.example"]
    rows = [{Role.EMAIL: email and email.lower()} for email in emails]
    of = records(rows, ids=[str(n) for n in range(6)], files=["f"] * 6)
    assert blocked(of, {Role.EMAIL}) == {(0, 1), (0, 5), (1, 5)}  # 5 by the name before the @


def test_a_junk_value_spends_nothing_of_the_budget() -> None:
    rows = [{Role.PHONE: "000000000" if n < 2_000 else str(10**8 + n // 2)} for n in range(3_000)]
    of = records(rows, ids=[str(n) for n in range(3_000)], files=["f"] * 3_000)
    assert blocked(of, {Role.PHONE}) == {(n, n + 1) for n in range(2_000, 3_000, 2)}


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Records:
    path: Path = tmp_path_factory.mktemp("people") / "people.csv"
    return read_records([write(path, population(160, seed=3))], key="id", truth="person")


@pytest.fixture(scope="module")
def scorer(of: Records) -> Iterator[Scorer]:
    with Scorer(of) as made:
        made.learn()
        yield made


def test_what_is_learned_speaks_for_sense(scorer: Scorer, of: Records) -> None:
    assert len(of.ids) > LEAST_TO_LEARN
    assert scorer.notes == []
    worth = {(each.field, each.words): each.weight for each in scorer.worths()}
    assert worth["email", "the same e-mail"] > worth["place", "the same place"] > 0
    assert worth["birth_date", "different birth dates"] < 0 > worth["email", "different e-mails"]


def test_pairs_within_groups_are_all_of_them_and_scored_as_candidates_are(scorer: Scorer) -> None:
    candidates = scorer.candidates(0.5)
    assert (candidates.probability >= 0.5).all()
    weights = dict(
        zip(zip(candidates.left.tolist(), candidates.right.tolist(), strict=True), candidates.weight, strict=True)
    )
    left, right = next(iter(weights))
    alone = next(n for n in range(len(scorer.records.ids)) if n not in (left, right))
    inside = scorer.within([sorted([left, right, alone])])
    assert Counter(zip(inside.left.tolist(), inside.right.tolist(), strict=True)) == Counter(
        combinations(sorted([left, right, alone]), 2)
    )
    at = [*zip(inside.left.tolist(), inside.right.tolist(), strict=True)].index((left, right))
    assert inside.weight[at] == weights[left, right]


def test_evidence_adds_up_and_speaks_of_what_is_there(scorer: Scorer, of: Records) -> None:
    candidates = scorer.candidates(0.9)
    chosen = list(zip(candidates.left.tolist(), candidates.right.tolist(), strict=True))[:40]
    rows = of.table.to_pylist()
    for (left, right), said in zip(chosen, scorer.evidence([(right, left) for left, right in chosen]), strict=True):
        told = {each.field: each for each in said}
        both = rows[left]["birth_date"] is not None and rows[right]["birth_date"] is not None
        assert ("birth_date" in told) == both
        if both and rows[left]["birth_date"] == rows[right]["birth_date"]:
            assert told["birth_date"].words == "the same birth date"
            assert told["birth_date"].weight > 0
    weights = candidates.weight[: len(chosen)]
    sums = [sum(each.weight for each in said) for said in scorer.evidence(chosen)]
    prior = weights[0] - sums[0]  # what is left is how rare a match is at all, the same for every pair
    assert sums == pytest.approx([weight - prior for weight in weights], abs=1e-6)
    assert prior < 0


def test_few_records_are_judged_by_what_was_measured_elsewhere() -> None:
    rows = [
        {Role.FIRST_NAME: "ada", Role.LAST_NAME: "brunner", Role.EMAIL: "ada@x.example"},
        {Role.FIRST_NAME: "ada", Role.LAST_NAME: "bruner", Role.EMAIL: "ada@x.example"},
        {Role.FIRST_NAME: "ada", Role.LAST_NAME: "castell", Role.EMAIL: "castell@y.example"},
    ]
    of = records(rows, ids=["0", "1", "2"], files=["f"] * 3)
    with Scorer(of) as few:
        few.learn()
        inside = few.within([[0, 1, 2]])
    assert "too few to learn from" in few.notes[0]
    probability = dict(
        zip(zip(inside.left.tolist(), inside.right.tolist(), strict=True), inside.probability, strict=True)
    )
    assert probability[0, 1] > 0.5 > probability[0, 2]
