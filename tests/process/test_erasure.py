"""A person is erased: from the hub, from every node, from every file; and stays away."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from canary import BYSTANDER, NAMES, decision_log, declare_sources, exports, found_below, history, plant_on_node
from processes import Started, ask, until
from shop_process import ITEM, Shop, version

from edge.node.keys import load_site_keys
from edge.node.layout import NodePaths
from edge.profiles.cache import ProfileCache
from edgewise.ids import SubjectId
from edgewise.subjects import subject_of
from hub.ledger.erasing import NodeErasures
from hub.ledger.ledger import open_ledger
from hub.rights.certificate import Certificate, Certificates

pytestmark = pytest.mark.process
SERVER = "server-key-of-the-canary-test"


def shop_with_server_key(folder: Path) -> Shop:
    shop = Shop(folder)
    digest = hashlib.sha256(SERVER.encode()).hexdigest()
    shop.quick.write_text(f'reconnect_most_ms = 500\nsegment_most_ms = 300\nserver_keys_sha256 = ["{digest}"]\n')
    return shop


def erasures_confirmed(shop: Shop, certificate: str) -> bool:
    return bool(shop.run("profile", "erase", "--status", certificate)["complete"])


def pending(node: Started) -> int:
    return int(ask(f"{node.said['url']}/status")["spool"]["pending"])


def holds(folder: Path, subject: SubjectId) -> bool:
    cache = ProfileCache.open(folder / "profiles")
    try:
        return cache.profile(subject) is not None
    finally:
        cache.close()


@pytest.mark.slow  # each store erases under a test of its own
@pytest.mark.timeout(240)
def test_not_a_byte_of_an_erased_person_is_left_anywhere(tmp_path: Path) -> None:
    shop = shop_with_server_key(tmp_path)
    declare_sources(shop.site)
    shop.release()
    shop.run("release", "promote", "1")
    server = {"Authorization": f"Bearer {SERVER}"}
    data = [shop.hub_dir, tmp_path / "one", tmp_path / "two"]
    with shop.hub() as hub, shop.node("one", hub.said["hub"]) as one, shop.node("two", hub.said["hub"]) as two:
        until(lambda: version(one) == version(two) == 1)
        sent = sum(plant_on_node(node, ITEM, server) for node in (one, two))
        imported = shop.run("import", "events", str(history(tmp_path / "past.jsonl", ITEM)), "--consent", "granted")
        assert (imported["stored"], imported["rejected"]) == (3, 3)
        log, mapping = decision_log(tmp_path / "decisions.csv")
        assert shop.run("import", "decisions", str(log), "--map", str(mapping))["rejected"] == 1
        for source, file in exports(tmp_path, ITEM).items():
            assert shop.run("import", "source", source, str(file), "--site", str(shop.site))["rejected"] == 1
        until(lambda: sum(shop.stored().values()) == sent + 3 + 2 + 1)
        until(lambda: pending(one) == pending(two) == 0)
        key = load_site_keys(NodePaths(tmp_path / "one")).subject_key
        device = subject_of(key, "anonymousId", NAMES["anonymous id"])
        assert holds(tmp_path / "one", device)
        planted = found_below(*data)
        assert {line.rpartition(": ")[2] for line in planted} >= {"e-mail", "name", "address", "phone", "loyalty card"}
        export = json.loads((_exported(shop, tmp_path)).read_text())
        assert len(export["events"]) == sent - 2 + 2 + 1 + 1  # all but the bystander's
        assert NAMES["name"] in json.dumps(export["tables"]["contact_records"])
        assert export["tables"]["links"]

        certificate = shop.run("profile", "erase", NAMES["e-mail"], "--yes", "--by", "officer")
        removed = {line["store"]: line["rows"] for line in certificate["stores"]}
        assert removed["ledger: events"] == len(export["events"])
        assert removed["imported decisions"] == 1
        assert removed["rejected rows"] == 6
        assert removed["ledger: contact_records"] == 1
        assert set(certificate["subjects"]) == set(export["subjects"])
        until(lambda: erasures_confirmed(shop, certificate["id"]))
        until(lambda: not found_below(*data), most_s=60)
        assert not holds(tmp_path / "one", device)
        assert holds(tmp_path / "one", subject_of(key, "anonymousId", BYSTANDER))

        # What was imported before is imported again: nobody comes back.
        again = shop.run("import", "events", str(tmp_path / "past.jsonl"), "--consent", "granted")
        assert (again["stored"], again["erased"] + again["known"]) == (0, 3)
        for source, file in exports(tmp_path, ITEM).items():
            told = shop.run("import", "source", source, str(file), "--site", str(shop.site))
            assert (told["stored"], told["rejected"]) == (0, 1)
        for rejects in ("events/rejects/past.csv", "sources/rejects/crm.csv", "sources/rejects/till.csv"):
            (shop.hub_dir / rejects).unlink()
        assert found_below(*data) == []
        assert (one.stop(), two.stop(), hub.stop()) == (0, 0, 0)
    assert found_below(*data) == []
    assert found_below(tmp_path / "hub.log", *data) == []


def _exported(shop: Shop, folder: Path) -> Path:
    out = folder / "person.json"
    said = shop.run("profile", "export", NAMES["user id"], "--out", str(out))
    assert said["file"] == str(out)
    return out


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("in_sqlite")
@pytest.mark.usefixtures("in_sqlite")
def test_a_visitor_erases_himself_and_no_backup_brings_him_back(tmp_path: Path) -> None:
    shop = shop_with_server_key(tmp_path)
    shop.release()
    shop.run("release", "promote", "1")
    with shop.hub() as hub, shop.node("one", hub.said["hub"]) as one, shop.node("two", hub.said["hub"]) as two:
        until(lambda: version(one) == version(two) == 1)
        cookie = shop.cookie(one, None)
        until(lambda: shop.reason(one, None, cookie) != "OPTED_OUT")
        shop.send(one, "PUT", "/v1/preferences", {"dial": 3, "more": ["tea"]}, cookie)
        own = shop.send(one, "GET", "/v1/privacy/export", None, cookie)
        him = SubjectId(own["subject"])
        assert own["preferences"]["more"][1] == ["tea"]
        until(lambda: shop.reason(two, None, cookie) != "OPTED_OUT" and holds(tmp_path / "two", him))
        until(lambda: known(shop, him))
        backup = tmp_path / "backup.db"
        with (
            contextlib.closing(sqlite3.connect(shop.hub_dir / "ledger.db")) as live,
            contextlib.closing(sqlite3.connect(backup)) as copy,
        ):
            live.backup(copy)

        asked = shop.send(one, "POST", "/v1/privacy/erase", {}, cookie, status=202)
        assert not holds(tmp_path / "one", him)
        (certificate,) = until(lambda: of_request(shop, asked["id"]))
        assert (certificate.asked_by, certificate.subjects) == ("visitor", (him,))
        until(lambda: erasures_confirmed(shop, certificate.id))
        assert not known(shop, him)
        assert not holds(tmp_path / "two", him)

        hub.stop()
        for file in shop.hub_dir.glob("ledger.db*"):
            file.unlink()
        shutil.copy(backup, shop.hub_dir / "ledger.db")
        with shop.hub(grpc=hub.said["hub"]):
            assert not known(shop, him)
            assert "erased people back" in (tmp_path / "hub.log").read_text()
            until(lambda: {row.through for row in node_erasures(shop)} == {1} and len(node_erasures(shop)) == 2)
            # He comes back by himself, and begins anew.
            until(lambda: shop.reason(one, None, cookie) != "OPTED_OUT")
            assert shop.send(one, "GET", "/v1/privacy/export", None, cookie)["preferences"]["more"][1] == []


def known(shop: Shop, subject: SubjectId) -> bool:
    with open_ledger(shop.hub_dir) as ledger:
        return ledger.profile(subject) is not None


def node_erasures(shop: Shop) -> list[NodeErasures]:
    with open_ledger(shop.hub_dir) as ledger:
        return ledger.node_erasures()


def of_request(shop: Shop, request: str) -> list[Certificate]:
    return [one for one in Certificates(shop.hub_dir).readable() if one.request == request]
