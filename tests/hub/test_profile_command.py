"""`edgewise profile show|merge|unmerge|rules`: one story of a person, and merges that can be taken back to the byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hub_process import Finished, edgewise
from hub_records import ALL, NOW_MS, event, payloads, preference

from edgewise.ids import MessageId, Producer
from edgewise.intake import decode_call, record_of
from edgewise.records import EventRecord
from edgewise.subjects import subject_of
from hub.keys import KeyFolder, make_keys
from hub.ledger.batch import Batch
from hub.ledger.ledger import open_ledger
from hub.site.starting import invented_files, write_site

CRM = Producer("import/crm")
NODE = Producer("n-a/1/0")


class World:
    """A hub's folder in which a shop's node, its CRM and its mailer each know Ann by another name."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        make_keys(folder)
        self.key = KeyFolder(folder).secrets().subject_key
        with open_ledger(folder) as ledger:
            ann = subject_of(self.key, "anonymousId", "ann-laptop")
            visits = (event(0, producer=NODE, subject=ann), preference(1, producer=NODE, subject=ann, dial=1))
            ledger.store([Batch(NODE, payloads(*visits))], NOW_MS)
            crm = [
                {"type": "identify", "userId": "7001", "anonymousId": "ann-laptop", "traits": {"plan": "gold"}},
                {
                    "type": "identify",
                    "userId": "7001",
                    "traits": {"email": "Ann@Example.org", "phone": "+44 20 7946 0958"},
                },
                {"type": "identify", "userId": "7002", "traits": {"plan": "free"}},
            ]
            ledger.append(CRM, [self._record(call, number) for number, call in enumerate(crm)], NOW_MS)
            opened = {
                "type": "track",
                "event": "Email Opened",
                "context": {
                    "externalIds": [
                        {"id": "ann@example.org", "type": "email"},
                        {"id": 9223372036854775807, "type": "crm_id"},
                    ]
                },
            }
            ledger.append(Producer("hook/mail"), [self._record(opened, 9)], NOW_MS)

    def _record(self, call: dict[str, Any], number: int) -> EventRecord:
        return record_of(
            decode_call(msgspec.json.encode(call), type=None),
            producer=Producer(""),
            seq=0,
            message_id=MessageId(f"m-{number}"),
            subject_key=self.key,
            grants=ALL,
            received_ms=NOW_MS + number,
            attributes_of=lambda _: None,
            vouched=True,
        )

    def __call__(self, *words: str | Path) -> Finished:
        ended = edgewise(self._capsys, "profile", *words, "--data-dir", self.folder)
        assert "Traceback" not in ended.stderr
        return ended

    def show(self, name: str) -> Any:
        return self("show", name, "--timeline", "--json").told


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("COLUMNS", "200")
    return World(tmp_path / "hub", capsys)


def test_a_person_is_found_by_each_of_his_names_and_the_story_is_the_same(world: World) -> None:
    names = [
        "ann-laptop",
        "7001",
        "ann@EXAMPLE.org ",
        "+442079460958",
        "crm_id:9223372036854775807",
        "9223372036854775807",
    ]
    stories = [world.show(name) for name in [*names, subject_of(world.key, "userId", "7001")]]
    assert len({json.dumps({**story, "subject": ""}, sort_keys=True) for story in stories}) == 1
    assert [(moment["what"], moment["says"], moment["identifier"].split()[0]) for moment in stories[0]["timeline"]] == [
        ("identify", "import crm", "userId"),
        ("Content Clicked", "node n-a", "anonymousId"),
        ("identify", "import crm", "userId"),
        ("preferences", "node n-a", "anonymousId"),
        ("Email Opened", "hook mail", "email"),
    ]
    assert {part["kind"] for part in stories[0]["parts"]} == {"anonymousId", "userId", "email", "phone", "crm_id"}


def test_each_fact_says_who_stated_it(world: World) -> None:
    story = world.show("7001")
    assert (story["facts"]["trait plan"]["value"], story["facts"]["trait plan"]["says"]) == ("gold", "import crm")
    assert (story["facts"]["dial"]["value"], story["facts"]["dial"]["says"]) == (1, "node n-a")
    assert story["facts"]["dial"]["identifier"].startswith("anonymousId ")
    shown = world("show", "7001", "--timeline").stdout
    for words in (
        "trait plan",
        "import crm",
        "node n-a #0",
        "hook mail",
        "why one person",
        "named with email",
        "5 identifiers",
    ):
        assert words in shown, shown
    assert "7001" not in shown
    assert "example.org" not in shown.lower()


def test_a_merge_joins_and_unmerge_takes_it_back_to_the_byte(world: World) -> None:
    before = world.show("ann-laptop"), world.show("7002")
    told = world("merge", "ann-laptop", "7002", "--reason", "same address", "--by", "bo", "--json").told
    assert (told["are_one"], told["changed"]) == (True, 6)
    both = world.show("7002")
    assert len(both["parts"]) == 6
    assert both["joints"][0]["says"] == "bo merged them: same address"
    assert "one person already" in world("merge", "7002", "7001", "--by", "bo").stdout
    assert "is taken back" in world("unmerge", "7001", "--by", "bo").stdout
    assert (world.show("ann-laptop"), world.show("7002")) == before
    with open_ledger(world.folder) as ledger:
        assert [(row.who, row.what) for row in ledger.audit()] == [("bo", "profile unmerge"), ("bo", "profile merge")]


def test_unmerge_by_other_names_finds_the_merge_that_joins_them(world: World) -> None:
    world("merge", "7001", "7002", "--by", "bo")
    told = world("unmerge", "ann@example.org", "7002", "--by", "bo", "--json").told
    assert not told["are_one"]
    assert "is taken back" in told["did"]
    assert len(world.show("7001")["parts"]) == 5


def test_whom_links_join_a_person_can_keep_apart(world: World) -> None:
    told = world("unmerge", "ann-laptop", "--by", "bo")
    assert (told.code, "no merge to take back" in told.stderr) == (1, True)
    told = world("unmerge", "ann-laptop", "7001", "--by", "bo", "--json").told
    assert (told["are_one"], "two people from now on" in told["did"]) == (False, True)
    world("merge", "ann-laptop", "7002", "--by", "bo")
    refused = world("merge", "7001", "7002", "--by", "bo")
    assert (refused.code, "cannot be one person" in refused.stderr) == (1, True)
    again = world("merge", "7001", "ann-laptop", "--by", "bo", "--json").told
    assert (again["are_one"], again["changed"]) == (True, 6)


def test_an_unmerge_that_links_undo_says_so(world: World) -> None:
    with open_ledger(world.folder) as ledger:
        user, device = (subject_of(world.key, *named) for named in (("userId", "7001"), ("anonymousId", "ann-laptop")))
        ledger.state_merge(user, device, who="bo", reason="", now_ms=NOW_MS)
    told = world("unmerge", "7001", "ann-laptop", "--by", "bo", "--json").told
    assert told["are_one"]
    assert "links join them as well" in told["did"]
    assert not world("unmerge", "7001", "ann-laptop", "--by", "bo", "--json").told["are_one"]


def test_who_is_not_known_is_said_in_one_line(world: World) -> None:
    for words in (("show", "nobody@example.org"), ("merge", "7001", "nobody"), ("unmerge", "nobody")):
        ended = world(*words)
        assert (ended.code, "nothing is known of" in ended.stderr) == (1, True)
    assert "are one subject" in world("merge", "7001", "7001", "--by", "bo").stderr


def test_rules_of_a_site_come_into_force_and_everybody_is_computed_again(world: World, tmp_path: Path) -> None:
    assert [each["kind"] for each in world("rules", "--json").told["rules"]["kinds"]][:2] == ["previousId", "userId"]
    site = tmp_path / "site"
    write_site(site, invented_files(), write_key="key", by="Ann")
    (site / "identity.yaml").write_text("kinds: [{kind: userId, limit: 1}]\nblocked: {email: [ANN@example.org]}\n")
    told = world("rules", "--site", site, "--by", "bo", "--json").told
    assert told["changed"] == 5, "the mailer only knew the address"
    assert {part["kind"] for part in world.show("7001")["parts"]} == {"anonymousId", "userId", "phone"}
    assert world("rules", "--site", site, "--by", "bo", "--json").told["changed"] == 0
    (site / "identity.yaml").write_text("kinds: [{kind: userId, limit: none}]\n")
    wrong = world("rules", "--site", site, "--by", "bo")
    assert (wrong.code, "identity.yaml:1" in wrong.stderr, "kinds[0].limit" in wrong.stderr) == (1, True, True)
