"""`edgewise data audit`: planted faults are named first, and mending them does what was said."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from audit_world import AS_OF, PEOPLE, AuditWorld

from hub.data_audit.needs import BUILT_IN


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> AuditWorld:
    return AuditWorld(capsys, tmp_path)


def another(capsys: pytest.CaptureFixture[str], folder: Path) -> AuditWorld:
    folder.mkdir()
    return AuditWorld(capsys, folder)


def without_zeros(number: str) -> str:
    return number.lstrip("0")


def source(told: Any, name: str) -> Any:
    return next(each for each in told["sources"] if each["name"] == name)


def test_planted_faults_are_named_first_and_mending_raises_the_join_rate(
    world: AuditWorld, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    late = AS_OF - dt.timedelta(days=40)
    world.fill(in_shop=without_zeros, newsletter_until=late)
    told: Any = world.audit()
    assert {(fix["kind"], fix["about"]) for fix in told["first"][:2]} == {
        ("join", "crm and shop"),
        ("stale", "newsletter"),
    }
    join = next(fix for fix in told["first"] if fix["kind"] == "join")
    assert join["people"] == PEOPLE
    assert "leading zeros" in join["sentence"]
    assert source(told, "shop")["join_rate"] == 0.0
    assert source(told, "newsletter")["rhythm"]["stale"] is True
    assert source(told, "newsletter")["rhythm"]["silent_days"] > 39

    mended = another(capsys, tmp_path / "mended")
    mended.fill()
    after: Any = mended.audit()
    assert [fix["kind"] for fix in after["fixes"] if fix["kind"] != "absent"] == []
    assert source(after, "shop")["join_rate"] == 1.0
    # what was promised came true
    assert (join["join_rate_of"], join["join_rate_before"]) == ("shop", 0.0)
    assert source(after, "shop")["join_rate"] == join["join_rate_after"] == 1.0
    assert source(after, "shop")["joined_with"]["crm"] == 1.0
    assert after["join_rate"] > told["join_rate"]
    points = {(point["kind"], point["name"]): point for point in after["points"]}
    before = {(point["kind"], point["name"]): point for point in told["points"]}
    assert points["contact", "email"]["coverage"] > before["contact", "email"]["coverage"]
    assert sum(point["lost"] for point in after["points"]) < sum(point["lost"] for point in told["points"])


@pytest.mark.parametrize(
    ("in_crm", "in_shop", "difference"),
    [
        (str, lambda number: f"0{number}", "leading zeros"),
        (lambda number: f"KD{number}", lambda number: f"KD{number.lstrip('0')}", "leading zeros"),
        (lambda number: f"KD{number}", lambda number: f"kd{number}", "capitals and small letters"),
        (lambda number: f"{number[:2]}-{number[2:]}", str, "blanks and dashes"),
    ],
)
def test_other_ways_to_write_a_key_are_seen(world: AuditWorld, in_crm: Any, in_shop: Any, difference: str) -> None:
    world.fill(in_crm=in_crm, in_shop=in_shop)
    first: Any = world.audit()["first"]
    assert (first[0]["kind"], first[0]["about"]) == ("join", "crm and shop")
    assert difference in first[0]["sentence"]


def test_a_mistyped_mail_domain_is_seen(world: AuditWorld) -> None:
    world.fill(on_list=lambda mail: mail.replace("gmail.com", "gmial.com"))
    first: Any = world.audit()["first"]
    assert (first[0]["kind"], first[0]["about"]) == ("join", "crm and newsletter")
    assert first[0]["people"] == PEOPLE // 2
    assert "a mistyped mail domain" in first[0]["sentence"]


def test_what_is_absent_is_ranked_by_what_it_is_worth(world: AuditWorld) -> None:
    world.fill()
    told: Any = world.audit()
    absent = [fix for fix in told["fixes"] if fix["kind"] == "absent"]
    assert [fix["effect"] for fix in absent] == sorted((fix["effect"] for fix in absent), reverse=True)
    points = {f"{point['kind']} {point['name']}": point for point in told["points"]}
    ticket = points["event Ticket Opened"]
    assert (ticket["coverage"], ticket["sources"], ticket["lost"]) == (0.0, {}, ticket["worth"])
    viewed = points["event Product Viewed"]
    assert viewed["coverage"] == 1.0
    assert viewed["sources"] == {"shop": 1.0}
    added = points["event Product Added"]
    assert added["coverage"] == pytest.approx(2 / 3)
    assert added["lost"] == pytest.approx(added["worth"] / 3)
    assert "estimate" in told["estimate"].lower()


def test_a_site_says_what_its_journey_needs(world: AuditWorld) -> None:
    world.fill()
    (world.site / "journeys").mkdir()
    (world.site / "journeys" / "club.yaml").write_text(
        "needs:\n"
        "  - {kind: trait, name: job_title, worth: 0.5, why: trade decides}\n"
        "  - {kind: item, name: topic, worth: 0.5}\n",
        encoding="utf-8",
    )
    (world.site / "items" / "teas.yaml").write_text(
        "- {id: a, content: {title: A}, attributes: {topic: [tea]}}\n- {id: b, content: {title: B}}\n", encoding="utf-8"
    )
    told: Any = world.audit(journey="club")
    assert [(point["name"], point["coverage"]) for point in told["points"]] == [
        ("topic", 0.5),
        ("job_title", pytest.approx(2 / 3)),
    ]
    assert "trade decides" in told["first"][1]["sentence"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("needs: []\n", "journeys/club.yaml:1"),
        ("needs:\n  - {kind: evnt, name: x, worth: 1}\n", "journeys/club.yaml:2"),
        ("needs:\n  - {kind: event, name: x, worth: 2}\n", "journeys/club.yaml:2"),
        ("needs: [\n", "journeys/club.yaml"),
    ],
)
def test_a_journey_that_cannot_be_read_is_said_with_its_line(world: AuditWorld, text: str, said: str) -> None:
    (world.site / "journeys").mkdir()
    (world.site / "journeys" / "club.yaml").write_text(text, encoding="utf-8")
    ended = world.run("--journey", "club")
    assert ended.code == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_unknown_journey_is_refused_with_the_known_ones(world: AuditWorld) -> None:
    ended = world.run("--journey", "abandoned-card")
    assert ended.code == 1
    assert "did you mean 'abandoned-cart'?" in ended.stderr


def test_an_empty_ledger_has_everything_absent(world: AuditWorld) -> None:
    told: Any = world.audit(journey="content-hub")
    assert told["active_people"] == 0
    assert all(point["coverage"] == 0 for point in told["points"])
    assert {fix["kind"] for fix in told["fixes"]} == {"absent"}


def test_without_a_name_each_journey_of_the_site_is_audited(world: AuditWorld, tmp_path: Path) -> None:
    world.fill()
    page = tmp_path / "audit.html"
    told: Any = world.run("--json", "--report", page).told
    assert [told["journey"], *(one["journey"] for one in told["others"])] == sorted(BUILT_IN)
    alone: Any = world.audit(journey=told["others"][0]["journey"])
    assert alone == told["others"][0]
    assert page.read_text(encoding="utf-8").count("<h1>") == len(told["others"]) + 1
    (world.site / "journeys").mkdir()
    (world.site / "journeys" / "tea.yaml").write_text(
        "needs: [{kind: event, name: Product Viewed, worth: 1.0}]\n", encoding="utf-8"
    )
    told = world.run("--json").told
    assert (told["journey"], told["others"]) == ("tea", [])


def test_people_read_tables_and_a_page(world: AuditWorld, tmp_path: Path) -> None:
    world.fill(in_shop=without_zeros)
    page = tmp_path / "audit.html"
    ended = world.run("--journey", "abandoned-cart", "--report", page)
    assert ended.code == 0, ended.stderr
    assert "what to do first\n1. Make crm and shop write userId alike" in ended.stdout
    html = page.read_text(encoding="utf-8")
    assert "<svg" in html
    assert "leading zeros" in html
    assert world.run("--as-of", "yesterday").code == 2
