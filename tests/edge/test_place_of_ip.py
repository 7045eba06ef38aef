"""`edge.place_of_ip` and what a decision makes of it: a country and a word, and nowhere the address."""

from __future__ import annotations

import contextlib
import ipaddress
import zoneinfo
from pathlib import Path
from typing import Any

import maxminddb
import pytest
from edge_world import LOCAL, STRANGER, node, spooled
from hypothesis import given
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from edge.place_of_ip import NOWHERE, Place, Places, address_of, check_places, networks_of, open_places
from edge.settings import EdgeSettings
from edge.worker.surroundings import is_zone_name
from edgewise.errors import InputError
from edgewise.records import DecisionRecord
from edgewise.request import Context, Geo, Network

GERMAN = "198.51.100.7"
FRENCH = "2001:db8:f::9"
PROXY = ("10.1.2.3", 40_000)


def database(path: Path, entries: dict[str, Any], kind: str = "GeoLite2-Country") -> str:
    writer = MMDBWriter(6, kind, ipv4_compatible=True)
    for network, record in entries.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """As MaxMind writes countries, and as it writes kinds of connections."""
    countries = database(
        tmp_path / "country.mmdb",
        {
            "198.51.100.0/24": {"country": {"iso_code": "DE"}, "city": {"names": {"en": "Berlin"}}},
            "2001:db8:f::/48": {"country": {"iso_code": "FR"}},
        },
    )
    networks = database(
        tmp_path / "connection.mmdb",
        {"198.51.100.0/25": {"connection_type": "Cellular"}, "203.0.113.0/24": {"connection_type": "Cable/DSL"}},
        "GeoIP2-Connection-Type",
    )
    return [countries, networks]


def test_a_country_and_a_word_are_all_that_is_told(files: list[str]) -> None:
    places = open_places(files)
    of = {address: places.of(ipaddress.ip_address(address)) for address in (GERMAN, FRENCH, "203.0.113.7", "::1")}
    places.close()
    assert of == {GERMAN: Place("DE", "mobile"), FRENCH: Place("FR"), "203.0.113.7": Place("", "home"), "::1": NOWHERE}


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"country_code": "de", "asn": "AS64500"}, Place("DE")),
        ({"country": "DE"}, Place("DE")),
        ({"country": {"iso_code": 7}, "traits": {"user_type": "residential"}}, Place("", "home")),
        ({"country": "Germany", "traits": {"is_hosting_provider": True}}, Place("", "hosting")),
        ({"country_code": "AT", "network_type": "business"}, Place("AT", "business")),
        ({"network_type": "carrier pigeon"}, NOWHERE),
        ("not even a record", NOWHERE),
    ],
)
def test_every_vendor_is_read_in_his_own_way(tmp_path: Path, record: Any, place: Place) -> None:
    places = open_places([database(tmp_path / "any.mmdb", {"198.51.100.0/24": record})])
    assert places.of(ipaddress.ip_address(GERMAN)) == place
    places.close()


def test_a_place_that_is_damaged_is_nowhere(tmp_path: Path) -> None:
    """A key of a record has become a map; read without the extension, which not every machine has."""
    file = Path(
        database(tmp_path / "any.mmdb", {"198.51.100.0/24": {"Bab": "x"}, "2001:db8:f::/48": {"country": "FR"}})
    )
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"\x43Bab", b"\xe0Bab"))
    places = Places([maxminddb.open_database(file, maxminddb.MODE_MEMORY)])
    assert [places.of(ipaddress.ip_address(address)) for address in (GERMAN, FRENCH)] == [NOWHERE, Place("FR")]
    places.close()


@given(changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=8))
def test_no_damage_raises_on_a_request_or_ends_the_process(
    changes: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("damaged") / "any.mmdb"
    whole = bytearray(Path(database(file, {"198.51.100.0/24": {"country": {"iso_code": "DE"}}})).read_bytes())
    for place, byte in changes:
        whole[place % len(whole)] = byte
    file.write_bytes(whole)
    with contextlib.suppress(InputError):
        places = open_places([str(file)])
        for address in (GERMAN, FRENCH):
            places.of(ipaddress.ip_address(address))
        places.close()


def test_a_wrong_file_or_network_is_refused_in_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mmdb"
    broken.write_bytes(b"no database at all")
    for name in (str(broken), str(tmp_path / "absent.mmdb"), str(tmp_path)):
        with pytest.raises(InputError, match=r"place_databases: .*; expected a MaxMind DB file"):
            check_places(EdgeSettings(place_databases=[name]))
    with pytest.raises(InputError, match=r"trusted_proxies: .*; expected addresses, or networks such as 10"):
        check_places(EdgeSettings(trusted_proxies=["the-proxy"]))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        (GERMAN, "1.1.1.1", GERMAN),  # whoever is no proxy may write what he likes
        ("10.1.2.3", GERMAN, GERMAN),
        ("10.1.2.3", f"1.1.1.1, {GERMAN}, 10.9.9.9", GERMAN),
        ("10.1.2.3", f"{GERMAN}:4711", GERMAN),
        ("10.1.2.3", f"[{FRENCH}]:4711", FRENCH),
        ("10.1.2.3", "1.1.1.1, unknown", None),
        ("10.1.2.3", "", None),
        (f"::ffff:{GERMAN}", "", GERMAN),
        ("testclient", "", None),
    ],
)
def test_the_last_whom_no_trusted_proxy_is_has_asked(peer: str, forwarded: str, address: str | None) -> None:
    headers = {b"x-forwarded-for": forwarded.encode()} if forwarded else {}
    found = address_of(peer, headers, networks_of(["10.0.0.0/8"]))
    assert (None if found is None else str(found)) == address


@given(st.text(), st.text())
def test_whatever_is_written_there_raises_nothing(peer: str, forwarded: str) -> None:
    header = forwarded.encode("utf-8", "replace")
    address_of(peer, {b"x-forwarded-for": header}, networks_of(["0.0.0.0/0", "::/0"]))


def ask(folder: Path, files: list[str], peer: tuple[str, int], **more: Any) -> tuple[Context, bytes]:
    """The context in the record of one decision, and everything that the node has written down."""
    headers = more.pop("headers", {})
    options: dict[str, Any] = {"place_databases": files, "trusted_proxies": ["10.0.0.0/8"]}
    with node(folder, peer=peer, **options) as (client, desk):
        body = {"anonymousId": "a", "placements": [{"name": "home_list"}], **more}
        assert client.post("/v1/decide", json=body, headers=headers).status_code == 200
        records = [record for record in spooled(desk) if isinstance(record, DecisionRecord)]
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return records[0].context, written


def test_a_decision_knows_the_country_and_nothing_on_disk_knows_the_address(tmp_path: Path, files: list[str]) -> None:
    context, written = ask(tmp_path / "n", files, PROXY, headers={"X-Forwarded-For": GERMAN})
    assert (context.geo, context.network) == (Geo("DE"), Network("mobile"))
    packed = ipaddress.ip_address(GERMAN).packed
    assert GERMAN.encode() not in written
    assert packed not in written


def test_what_the_page_says_goes_before(tmp_path: Path, files: list[str]) -> None:
    stated = {"geo": {"country": "AT"}, "timezone": "Asia/Kathmandu"}
    context, _ = ask(tmp_path / "n", files, (GERMAN, 1), context=stated)
    assert (context.geo, context.network, context.utc_offset_minutes) == (Geo("AT"), Network("mobile"), 345)
    context, _ = ask(tmp_path / "m", files, (GERMAN, 1), context={"timezone": "../etc", "utcOffsetMinutes": -60})
    assert context.utc_offset_minutes == -60


@pytest.mark.parametrize("timezone", ["a/" * 900 + "b", "." * 100, "America", "Europe/Berlin/../Paris", "\0"])
def test_a_zone_that_is_none_costs_no_answer(tmp_path: Path, timezone: str) -> None:
    """Each part of a name that the system does not know would be imported as a package, inside the one before."""
    context, _ = ask(tmp_path / "n", [], STRANGER, context={"timezone": timezone})
    assert context == Context(timezone=timezone)


def test_every_zone_there_is_looks_like_one() -> None:
    assert [name for name in zoneinfo.available_timezones() if not is_zone_name(name)] == []


def test_a_proxy_may_add_a_line_instead_of_a_word(tmp_path: Path, files: list[str]) -> None:
    lines = [("X-Forwarded-For", f"1.1.1.1, {GERMAN}"), ("X-Forwarded-For", "10.9.9.9")]
    context, _ = ask(tmp_path / "n", files, PROXY, headers=lines)
    assert context.geo == Geo("DE")


def test_without_files_or_knowledge_a_visitor_comes_from_nowhere(tmp_path: Path, files: list[str]) -> None:
    context, _ = ask(tmp_path / "n", [], STRANGER)
    assert context == Context()
    context, _ = ask(tmp_path / "m", files, LOCAL)
    assert context == Context()
    context, _ = ask(tmp_path / "o", [str(tmp_path / "gone.mmdb")], STRANGER, context={"timezone": "no zone"})
    assert context == Context(timezone="no zone")
