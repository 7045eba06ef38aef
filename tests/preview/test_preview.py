"""A preview: the decision and the HTML of a node, for somebody known or made up, of a site that nobody has approved."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import world
from typer.testing import CliRunner

from edgewise.admission.load import Bundle
from edgewise.consent import Grants
from edgewise.errors import InputError
from edgewise.ids import ArmName, ItemId
from edgewise.profile.read import history
from edgewise.request import Context
from hub.commands.imports import app as imports
from hub.commands.site import app
from hub.preview.deciding import Asked, Seen, see
from hub.preview.page import Look, preview_page
from hub.preview.serving import preview_server
from hub.preview.visitors import Visitor, context_of, invented_visitor
from hub.site.loading import load_site

ENTROPY = bytes(10)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The film shop."""
    return world.bundle()


def seen(bundle: Bundle, visitor: Visitor, **changes: object) -> tuple[Asked, Seen]:
    """What he would see in the list."""
    asked = Asked(world.LIST, visitor, Context(), "en")._replace(**changes)  # type: ignore[arg-type]
    return asked, see(
        bundle, asked, lambda _, rows: world.score(world.RANKER, rows), now_ms=world.NOW_MS, entropy=ENTROPY
    )


def test_made_up_by_what_he_looked_at(bundle: Bundle) -> None:
    """He has a profile as if he had been there, and is not shown what he looked at."""
    visitor = invented_visitor(bundle, world.NOW_MS, viewed=[world.FILMS[3], world.FILMS[5]])
    assert set(history(visitor.profile, 5)) == {world.FILMS[3], world.FILMS[5]}
    _, known = seen(bundle, visitor)
    assert known.items
    assert not {item.id for item in known.items} & {world.FILMS[3], world.FILMS[5]}
    assert all(f'data-edgewise-item="{item.id}"' in known.html for item in known.items)


def test_made_up_by_events(bundle: Bundle) -> None:
    """Any Segment call counts; one that is none is named by its number."""
    call = {"type": "track", "event": "Product Added", "properties": {"product_id": world.FILMS[2]}}
    visitor = invented_visitor(bundle, world.NOW_MS, calls=[json.dumps(call).encode()])
    assert history(visitor.profile, 5) == [world.FILMS[2]]
    with pytest.raises(InputError, match="event 2"):
        invented_visitor(bundle, world.NOW_MS, calls=[json.dumps(call).encode(), b'{"type": "trak"}'])
    with pytest.raises(InputError, match="no item 'film-none'"):
        invented_visitor(bundle, world.NOW_MS, viewed=[ItemId("film-none")])


def test_who_opted_out_is_previewed_so(bundle: Bundle) -> None:
    """A preview is no way around a visitor's will."""
    visitor = invented_visitor(bundle, world.NOW_MS, viewed=[world.FILMS[3]])
    _, told = seen(bundle, visitor._replace(grants=Grants()))
    assert told.reason == "OPTED_OUT"
    assert told.arm == world.CHAMPION


def test_every_arm_can_be_looked_at(bundle: Bundle) -> None:
    """A forced one says so."""
    visitor = invented_visitor(bundle, world.NOW_MS)
    for arm in (world.CHAMPION, world.CHALLENGER):
        _, told = seen(bundle, visitor, placement=world.HERO, arm=arm)
        assert told.arm == arm
        assert told.reason == "FORCED" or told.experiment is not None
    with pytest.raises(InputError):
        seen(bundle, visitor, placement=world.HERO, arm=ArmName("none"))


def test_context_from_pairs() -> None:
    """Parts that a context has, and the site's own attributes."""
    made = context_of({"device.type": "mobile", "geo.country": "DE", "timezone": "Europe/Berlin", "degrees": "3"}, "de")
    assert (made.device.type, made.geo.country, made.timezone, made.locale) == ("mobile", "DE", "Europe/Berlin", "de")
    assert made.attributes == {"degrees": 3}
    with pytest.raises(InputError):
        context_of({"device.type": "x" * 3_000}, "")


def test_a_page_that_runs_nothing(bundle: Bundle) -> None:
    """Titles, names and reasons are text, and what is seen stands in frames without scripts."""
    visitor = invented_visitor(bundle, world.NOW_MS)._replace(name="<script>alert(1)</script>")
    asked, told = seen(bundle, visitor)
    left = told._replace(left_out={ItemId("<i>"): "<b>"}, titles=dict.fromkeys(told.titles, "<script>x()</script>"))
    page = preview_page(asked, left, Look(("/a.css?b=1&c='\"",), 'https://shop.example/"'))
    assert "<script" not in page
    assert page.count("<iframe sandbox title=") == 3
    assert "default-src 'none'" in page
    assert "&lt;i&gt; is left out: &lt;b&gt;" in page


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A preview that says what it was asked."""

    def show(query: object) -> str:
        if query == {"placement": "none"}:
            raise InputError("no placement '<none>'")
        return f"<p>{query}</p>"

    with preview_server(0, show) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "host", "status", "says"),
    [
        ("/?locale=de&visitor=a%40b", "127.0.0.1:1", 200, "{'locale': 'de', 'visitor': 'a@b'}"),
        ("/", "localhost:1", 200, "{}"),
        ("/?placement=none", "localhost:1", 422, "&lt;none&gt;"),
        ("/other", "localhost:1", 404, "at /"),
        ("/", "evil.example:1", 403, "alone"),
        ("/", "", 403, "alone"),
    ],
)
def test_served_to_this_machine_alone(port: int, path: str, host: str, status: int, says: str) -> None:
    """By name too, so that no page of elsewhere reads it; and nobody keeps it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    assert answer.status == status
    assert says in answer.read().decode()
    assert answer.headers["Cache-Control"] == "no-store"
    connection.close()


def test_the_command_shows_what_waits(tmp_path: Path) -> None:
    """A template can be looked at before anybody approves it; check refuses it until then."""
    run, site, data = CliRunner(), tmp_path / "site", tmp_path / "data"
    there = ["--data-dir", str(data)]
    assert run.invoke(app, ["init", str(site), *there, "--by", "Ann", "--quiet"]).exit_code == 0
    (site / "templates").mkdir(exist_ok=True)
    (site / "templates/offer.yaml").write_text("variables: {title: {type: text, required: true}}\n")
    (site / "templates/offer.html").write_text("<h2>{{ title }}</h2>\n")
    hero = site / "placements/home_hero.yaml"
    hero.write_text(hero.read_text().replace("\ncount: 1", "\ncount: 1\ntemplate: offer", 1))
    checked = run.invoke(app, ["check", str(site)])
    assert checked.exit_code == 1
    asked = ["preview", str(site), *there, "--placement", "home_hero", "--viewed", "earl-grey"]
    shown = run.invoke(app, [*asked, "--locale", "de", "--out", str(tmp_path / "seen.html"), "--json"])
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.output)
    assert "<h2>" in told["html"]
    assert told["items"][0]["id"] in told["html"]
    assert "<h2>House Blend</h2>" in told["fallback"]
    assert "sandbox" in (tmp_path / "seen.html").read_text()
    assert run.invoke(app, ["approve", str(site), "--by", "Ann", "--template", "offer"]).exit_code == 0
    assert load_site(site).templates.templates["offer"].approved_by == "Ann"  # type: ignore[index]  # a name
    # Somebody the hub knows, by his own identifier, and nobody it does not.
    call = {
        "type": "track",
        "event": "Product Viewed",
        "anonymousId": "a-1",
        "messageId": "m-1",
        "timestamp": "2026-01-01T00:00:00Z",
        "properties": {"product_id": "sencha"},
    }
    (tmp_path / "history.jsonl").write_text(json.dumps(call) + "\n")
    imported = run.invoke(
        imports, ["events", str(tmp_path / "history.jsonl"), *there, "--consent", "granted", "--site", str(site)]
    )
    assert imported.exit_code == 0, imported.output
    known = run.invoke(app, [*asked[:-2], "--visitor", "a-1", "--json"])
    assert "a-1 (subject " in json.loads(known.output)["visitor"]
    with pytest.raises(InputError, match="nothing is known of 'a-2'"):
        run.invoke(app, [*asked[:-2], "--visitor", "a-2"], catch_exceptions=False)
    for wrong in (["--at", "tomorrow"], ["--at", "2026-01-01T00:00"], ["--attributes", "weather"]):
        assert run.invoke(app, [*asked, *wrong]).exit_code == 2
