"""Suggested merges: found in the vault, shown with evidence, decided by people and remembered."""

from pathlib import Path
from typing import Any

import pytest
from hub_process import Finished, edgewise
from linkage_world import population

from edgewise.ids import SubjectId
from hub.ledger.ledger import Ledger, ledger_url
from hub.ledger.rows import ContactRow
from hub.linkage.suggest import strength

ANN, ANN_AGAIN, BO, CY = (SubjectId(f"{number:032x}") for number in range(1, 5))
CONTACTS = (
    ("crm", ANN, {"first_name": "Ann", "surname": "Ystwyth", "dob": "1990-02-03", "email": "ann@x.example"}),
    ("crm", BO, {"first_name": "Bo", "surname": "Uhland", "dob": "1971-05-06", "email": "bo@x.example"}),
    ("shop", ANN_AGAIN, {"name": "ann ystwith", "birthday": "03.02.1990", "mail": "ann@x.example"}),
    ("shop", CY, {"name": "Cy Castell", "birthday": "05.06.1971", "mail": "cy@x.example"}),
)


class Vault:
    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capsys = capsys
        self.folder = folder
        self.ledger = Ledger.open(ledger_url(folder))

    def keep(self, contacts: Any = CONTACTS) -> None:
        rows = [
            ContactRow(source, str(number), subject, fields, 1_000)
            for number, (source, subject, fields) in enumerate(contacts)
        ]
        self.ledger.keep_contacts(rows)

    def __call__(self, *words: str) -> Finished:
        ended = edgewise(self._capsys, "profile", "suggestions", *words, "--by", "eve", "--data-dir", self.folder)
        assert "Traceback" not in ended.stderr
        return ended

    def pairs(self, *words: str) -> list[tuple[str, str]]:
        told = self(*words, "--json").told["suggestions"]
        return [(each["left"]["subject"], each["right"]["subject"]) for each in told]


@pytest.fixture
def vault(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    made = Vault(capsys, tmp_path)
    yield made
    made.ledger.close()


def test_a_pair_is_suggested_with_its_evidence_in_words(vault: Vault) -> None:
    vault.keep()
    assert vault.pairs() == []
    (told,) = vault("--refresh", "--json").told["suggestions"]
    assert {told["left"]["subject"], told["right"]["subject"]} == {ANN, ANN_AGAIN}
    assert told["probability"] > 0.9
    words = {said["field"]: (said["words"], said["weight"]) for said in told["evidence"]}
    assert words["email"][0] == "the same e-mail"
    assert words["birth_date"][0] == "the same birth date"
    assert words["name"][0].startswith("almost the same")
    assert all(weight > 0 for _, weight in words.values())
    shown = vault().stdout
    assert "the same birth date" in shown
    assert "ann ystwith" in shown
    assert "strongly for it" in shown


def test_accepting_states_a_merge_that_can_be_taken_back(vault: Vault) -> None:
    vault.keep()
    (told,) = vault("--refresh", "--json").told["suggestions"]
    said = vault("--accept", str(told["number"]), "--json").told
    assert said["state"] == "accepted"
    assert set(vault.ledger.members_of(ANN)) == {ANN, ANN_AGAIN}
    (statement,) = vault.ledger.statements()
    assert statement.who == "eve"
    assert "the same e-mail" in statement.reason
    assert vault.pairs("--refresh") == []
    vault.ledger.state_unmerge(ANN, ANN_AGAIN, who="eve", reason="", now_ms=2)
    assert vault.ledger.members_of(ANN) == (ANN,)
    assert [entry.who for entry in vault.ledger.audit(what=["profile suggestion accept"])] == ["eve"]


def test_what_is_refused_is_never_shown_again(vault: Vault) -> None:
    vault.keep()
    (told,) = vault("--refresh", "--json").told["suggestions"]
    vault("--refuse", str(told["number"]))
    assert vault.ledger.members_of(ANN) == (ANN,)
    assert vault.pairs("--refresh") == []
    # also when it would be found between other records of the same two people
    again = ("mail", BO, CONTACTS[0][2])
    vault.keep((*CONTACTS[:1], again, *CONTACTS[2:]))
    vault.ledger.state_merge(ANN, BO, who="eve", reason="", now_ms=1)
    assert vault.pairs("--refresh") == []


def test_people_who_are_one_already_or_stated_to_be_two_are_not_suggested(vault: Vault) -> None:
    vault.keep()
    vault.ledger.state_merge(ANN, ANN_AGAIN, who="eve", reason="", now_ms=1)
    assert vault.pairs("--refresh") == []
    vault.ledger.state_unmerge(ANN, ANN_AGAIN, who="eve", reason="", now_ms=2)
    assert len(vault.pairs("--refresh")) == 1
    vault.ledger.state_unmerge(ANN, ANN_AGAIN, who="eve", reason="", now_ms=3)
    assert vault.pairs("--refresh") == []


def test_a_number_stays_with_its_pair(vault: Vault) -> None:
    vault.keep()
    (told,) = vault("--refresh", "--json").told["suggestions"]
    vault.keep((*CONTACTS, ("mail", SubjectId("f" * 32), CONTACTS[1][2])))
    later = vault("--refresh", "--json").told["suggestions"]
    numbers = {frozenset((each["left"]["subject"], each["right"]["subject"])): each["number"] for each in later}
    assert numbers[frozenset((ANN, ANN_AGAIN))] == told["number"]
    assert len(set(numbers.values())) == len(later) == 2


@pytest.mark.parametrize(("words", "code"), [(["--accept", "7"], 1), (["--accept", "1", "--refuse", "1"], 2)])
def test_what_cannot_be_decided_is_said(vault: Vault, words: list[str], code: int) -> None:
    vault.keep()
    vault("--refresh")
    assert vault(*words).code == code


def test_what_was_decided_stays_decided(vault: Vault) -> None:
    vault.keep()
    vault("--refresh")
    assert vault("--refuse", "1").code == 0
    ended = vault("--accept", "1")
    assert ended.code == 1
    assert "refused already, by eve" in ended.stderr
    assert vault.ledger.statements() == []


def test_an_empty_vault_has_nobody_to_compare(vault: Vault) -> None:
    ended = vault("--refresh")
    assert ended.code == 0
    assert "nobody to compare" in ended.stderr


@pytest.mark.slow
def test_many_records_are_learned_from(vault: Vault) -> None:
    rows = population(110, seed=4)
    truth = {SubjectId(f"{int(row['id']):032x}"): row["person"] for row in rows}
    vault.keep(
        (
            ("crm", "shop")[int(row["id"]) % 2],
            SubjectId(f"{int(row['id']):032x}"),
            {name: row[name] for name in ("first_name", "surname", "dob", "email", "city")},
        )
        for row in rows
    )
    found = vault.pairs("--refresh")
    right = sum(truth[SubjectId(left)] == truth[SubjectId(other)] for left, other in found)
    assert right >= 0.95 * len(found)
    assert len(found) > 100


def test_weights_are_told_in_words() -> None:
    assert strength(8.0) == "very strongly for it (256 times as likely of one person)"
    assert strength(-2.0) == "somewhat against it (4 times as likely of two)"
    assert strength(0.1) == "nothing either way"
