"""One invented person whose identifiers stand nowhere else: planted everywhere, then looked for byte by byte."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from processes import Started, ask, until

NAMES: Final[Mapping[str, str]] = {
    "anonymous id": "canary-device-7f3a91",
    "user id": "canary-user-880421",
    "e-mail": "canary.finch@erase-me.example",
    "phone": "+442079460990",
    "name": "Canary-Finchworth",
    "loyalty card": "CANARY-CARD-5512907",
    "address": "17 Canary-Yellow Lane",
}
BYSTANDER: Final = "bystander-device"


def traits() -> dict[str, Any]:
    return {
        "email": NAMES["e-mail"],
        "phone": NAMES["phone"],
        "name": NAMES["name"],
        "lastName": NAMES["name"],
        "address": {"street": NAMES["address"]},
        "plan": "gold",
    }


def calls(item: str) -> list[tuple[str, dict[str, Any]]]:
    """What his browser and the shop's server send: (path, body)."""
    who = {"anonymousId": NAMES["anonymous id"], "userId": NAMES["user id"]}
    card = {"externalIds": [{"id": NAMES["loyalty card"], "type": "loyaltyCard", "collection": "users"}]}
    bought = {
        "order_id": "o-1",
        "products": [{"product_id": item, "price": 7, "quantity": 1}],
        "email": NAMES["e-mail"],
        "shipping_address": NAMES["address"],
        "recipient": NAMES["name"],
    }
    return [
        ("/v1/identify", {**who, "traits": traits(), "context": card}),
        ("/v1/track", {**who, "event": "Product Viewed", "properties": {"product_id": item}}),
        ("/v1/track", {**who, "event": "Order Completed", "properties": bought, "context": card}),
        ("/v1/page", {**who, "name": "Account", "context": {"page": {"url": f"/a?mail={NAMES['e-mail']}"}}}),
        ("/v1/track", {"anonymousId": BYSTANDER, "event": "Product Viewed", "properties": {"product_id": item}}),
    ]


def decide_body() -> dict[str, Any]:
    return {
        "anonymousId": NAMES["anonymous id"],
        "userId": NAMES["user id"],
        "placements": [{"name": "home_hero"}],
        "context": {"page": {"path": "/account", "url": f"https://shop.example/?mail={NAMES['e-mail']}"}},
    }


def plant_on_node(node: Started, item: str, headers: Mapping[str, str]) -> int:
    """Send everything as a server; returns how many events that were."""
    bystander = {"anonymousId": BYSTANDER, "placements": [{"name": "home_hero"}]}
    for who in (decide_body(), bystander):
        # until the hub has said what they stated elsewhere, nothing counts as theirs
        until(functools.partial(_is_heard, node, who, headers))
    for path, body in calls(item):
        assert ask(f"{node.said['url']}{path}", body, headers=dict(headers)) == {"success": True}
    return len(calls(item))


def _is_heard(node: Started, who: dict[str, Any], headers: Mapping[str, str]) -> bool:
    answer = ask(f"{node.said['url']}/v1/decide", who, headers=dict(headers))
    return bool(answer["placements"]["home_hero"]["reason"] != "OPTED_OUT")


def history(path: Path, item: str) -> Path:
    """A file of past events, with lines that no import can take."""
    who = {"anonymousId": NAMES["anonymous id"], "userId": NAMES["user id"]}
    good: dict[str, Any] = {
        "type": "track",
        "event": "Product Viewed",
        "messageId": "past-1",
        "timestamp": "2024-03-01T10:00:00Z",
        "properties": {"product_id": item},
        **who,
    }
    lines = [
        json.dumps(good),
        json.dumps({**good, "type": "identify", "messageId": "past-2", "traits": traits()}),
        json.dumps({**good, "messageId": "past-3", "timestamp": f"yesterday, says {NAMES['name']}"}),
        json.dumps({"type": "track", "event": "Product Viewed", "userId": NAMES["e-mail"]}),
        f"{NAMES['phone']}; {NAMES['address']}; {NAMES['loyalty card']}: no JSON at all",
        json.dumps({**good, "messageId": "past-4", "anonymousId": BYSTANDER, "userId": None}),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def decision_log(path: Path) -> tuple[Path, Path]:
    """Somebody else's decisions, with users under their e-mail address; and the map that reads it."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["who", "action", "propensity", "reward"])
        writer.writerow([NAMES["e-mail"], "a", "0.5", "1"])
        writer.writerow(["someone@else.example", "b", "0.5", "0"])
        writer.writerow([NAMES["e-mail"], "b", NAMES["phone"], "0"])
    mapping = path.with_suffix(".toml")
    mapping.write_text('[columns]\nuser = "who"\naction = "action"\npropensity = "propensity"\nreward = "reward"\n')
    return path, mapping


def declare_sources(site: Path) -> None:
    """A CRM whose fields are kept in the vault, and a till that knows people by their card."""
    folder = site / "sources"
    folder.mkdir(exist_ok=True)
    (folder / "crm.yaml").write_text(
        "kind: crm\npreset: hubspot\nconsent: granted\nregion: GB\nvault:\n  address: {column: Street Address}\n"
    )
    (folder / "till.yaml").write_text(
        "kind: offline\nconsent: granted\nkey: [receipt]\nidentifiers: {loyaltyCard: card, email: mail}\nrecords:\n"
        "  - event: Offline Purchase\n    time: at\n    properties: {order_id: receipt}\n    products:\n"
        "      fields: {product_id: sku, quantity: {column: pieces, type: integer}}\n"
    )


def exports(folder: Path, item: str) -> dict[str, Path]:
    """A file of each of these sources, each with a row that no import can take."""
    crm, till = folder / "crm.csv", folder / "till.csv"
    name, mail, phone = NAMES["name"], NAMES["e-mail"], NAMES["phone"]
    with crm.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["Record ID", "First Name", "Last Name", "Email", "Phone Number", "Street Address", "Last Modified Date"]
        )
        writer.writerow(["1", "Ann", name, mail.upper(), phone, NAMES["address"], "2024-03-02"])
        writer.writerow(["2", "Bo", "Bystander", "bo@else.example", "", "", "2024-03-02"])
        writer.writerow(["3", "Ann", name, mail, phone, NAMES["address"], f"the day before {name} left"])
    with till.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["receipt", "at", "card", "mail", "sku", "pieces"])
        writer.writerow(["r-1", "2024-03-03", NAMES["loyalty card"], mail, item, "1"])
        writer.writerow(["r-2", "2024-03-03", NAMES["loyalty card"], mail, item, f"one for {name}"])
    return {"crm": crm, "till": till}


def spellings(name: str) -> set[bytes]:
    """How a name may stand in a file: as it is, in a URL, without its plus, in UTF-16; in any case of letters."""
    plain = {name, quote(name), name.removeprefix("+")}
    return {each.lower().encode(code) for each in plain for code in ("utf-8", "utf-16-le")}


def found_below(*folders: Path) -> list[str]:
    """`FILE: NAME` for every file below the folders that holds a name of his; Parquet is unpacked first."""
    return sorted(f"{path}: {what}" for folder in folders for path in _files(folder) for what in named_in(path))


def named_in(path: Path) -> Iterator[str]:
    contents = [path.read_bytes().lower()]
    if path.suffix == ".parquet":
        contents.append(_unpacked(path).lower())
    for what, name in NAMES.items():
        if any(spelled in content for spelled in spellings(name) for content in contents):
            yield what


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _unpacked(path: Path) -> bytes:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return "\n".join(str(row) for row in table.to_pylist()).encode()
