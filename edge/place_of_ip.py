"""Where an address is, and how it is connected, as coarse as a country and a word; the address itself goes no further.

Files are MaxMind DB (the format's specification 2.0), which several vendors fill in their own ways: MaxMind's Country,
City, Connection-Type, Enterprise and Anonymous IP, DB-IP's lite files, IPinfo's. What they know beyond these two words
is not even read. A site may as well make one of its own, with `country_code` and `network_type`.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edge.settings import EdgeSettings
from edgewise.errors import InputError

if TYPE_CHECKING:
    import maxminddb

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
FORWARDED: Final = b"x-forwarded-for"

NETWORK_TYPES: Final = (
    "mobile",
    "home",
    "business",
    "education",
    "government",
    "public",
    "hosting",
    "satellite",
)
"""All that is told of a network."""
_TYPE_OF: Final = {
    **{name: name for name in NETWORK_TYPES},
    **dict.fromkeys(("cellular",), "mobile"),
    **dict.fromkeys(("residential", "cable/dsl", "dialup", "isp"), "home"),
    **dict.fromkeys(("corporate",), "business"),
    **dict.fromkeys(("college", "school", "library"), "education"),
    **dict.fromkeys(("military",), "government"),
    **dict.fromkeys(("cafe", "traveler"), "public"),
    **dict.fromkeys(("content_delivery_network", "search_engine_spider"), "hosting"),
}
"""MaxMind's user types and connection types, in small letters -> ours."""
_COUNTRY_LETTERS: Final = 2
_DAMAGED: Final = (ValueError, TypeError, RuntimeError)
"""What the reader raises where bytes are not what they were: text that is none, keys that are maps, circles, and an
InvalidDatabaseError, which is a RuntimeError."""


class Place(NamedTuple):
    """Blank where nothing is known."""

    country: str = ""
    """ISO 3166-1, two capitals."""
    network: str = ""
    """One of NETWORK_TYPES."""


NOWHERE: Final = Place()


class Places:
    """Several files, asked in their order: the first one that knows tells."""

    def __init__(self, readers: Sequence[maxminddb.Reader]) -> None:
        self._readers = tuple(readers)

    def of(self, address: Address) -> Place:
        """Where an address is; NOWHERE where no file knows it, or one is damaged at just this place."""
        country = network = ""
        for reader in self._readers:
            try:
                found = reader.get(address)
            except _DAMAGED:  # also IPv6 in a file of IPv4 addresses
                continue
            if isinstance(found, Mapping):
                country = country or _country(found)
                network = network or _network(found)
        return Place(country, network) if country or network else NOWHERE

    @property
    def types(self) -> list[str]:
        """What each file calls itself, and when it was made."""
        told = [reader.metadata() for reader in self._readers]
        days = [dt.datetime.fromtimestamp(each.build_epoch, dt.UTC).date() for each in told]
        return [f"{each.database_type} of {day}" for each, day in zip(told, days, strict=True)]

    def close(self) -> None:
        """Let the files go."""
        for reader in self._readers:
            reader.close()


def open_places(files: Sequence[str]) -> Places:
    """Map the files into memory; replace one by renaming another over it, never by writing into it.

    Raises:
        InputError: a file cannot be read, or is no MaxMind DB.
    """
    import maxminddb  # only here: most nodes have no such file, and no use for what the library loads

    readers: list[maxminddb.Reader] = []
    for name in files:
        try:
            # The reader written in Python, some 70 us a look-up instead of 3: a damaged file can make the one in C end
            # the process, and with it every request that a worker answers.
            readers.append(maxminddb.open_database(Path(name).expanduser(), maxminddb.MODE_MMAP))
        except (OSError, *_DAMAGED) as wrong:
            for reader in readers:
                reader.close()
            raise InputError(f"place_databases: {name}: {wrong}; expected a MaxMind DB file (.mmdb)") from wrong
    return Places(readers)


def check_places(settings: EdgeSettings) -> list[str]:
    """Which databases there are, each with its type. Raises InputError as `open_places` and `networks_of`."""
    networks_of(settings.trusted_proxies)
    places = open_places(settings.place_databases)
    try:
        return [f"{name}: {kind}" for name, kind in zip(settings.place_databases, places.types, strict=True)]
    finally:
        places.close()


def networks_of(texts: Sequence[str]) -> Networks:
    """Addresses and networks such as `10.0.0.0/8`. Raises InputError for anything else."""
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as wrong:
        raise InputError(f"trusted_proxies: {wrong}; expected addresses, or networks such as 10.0.0.0/8") from wrong


def address_of(peer: str, headers: Mapping[bytes, bytes], proxies: Networks) -> Address | None:
    """Who asked: the peer, or the last of `X-Forwarded-For` that is no trusted proxy where the peer is one.

    What stands before that anybody may have written. None where there is no address to be had.
    """
    address = _address(peer)
    if address is None or not _is_in(address, proxies):
        return address
    for text in reversed(headers.get(FORWARDED, b"").decode("latin-1").split(",")):
        address = _address(text)
        if address is None or not _is_in(address, proxies):
            return address
    return None


def _address(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):  # [2001:db8::1]:443
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:443
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _is_in(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)


def _country(found: Mapping[str, Any]) -> str:
    stated = found.get("country")
    code = stated.get("iso_code") if isinstance(stated, Mapping) else found.get("country_code", stated)
    if not isinstance(code, str) or len(code) != _COUNTRY_LETTERS or not (code.isascii() and code.isalpha()):
        return ""
    return code.upper()


def _network(found: Mapping[str, Any]) -> str:
    traits = found.get("traits")
    for told in (found, traits if isinstance(traits, Mapping) else {}):
        if told.get("is_hosting_provider") is True:
            return "hosting"
        for name in ("network_type", "user_type", "connection_type"):
            word = told.get(name)
            if isinstance(word, str) and word.lower() in _TYPE_OF:
                return _TYPE_OF[word.lower()]
    return ""
