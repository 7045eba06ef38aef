"""A running hub: what it has answered with 200 is there after it was killed in the next instant."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest
import vendor_samples as samples
import webhook_senders as senders
from hub_process import hub_process, make_site

from edgewise.subjects import subject_of
from hub.keys import KeyFolder
from hub.ledger.ledger import open_ledger
from hub.sources.document import SourceDocument, SourceName, merged
from hub.sources.kept import keep_sources
from hub.sources.shipped import preset

pytestmark = pytest.mark.process


def post(admin: str, name: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    request = urllib.request.Request(f"{admin}/api/v1/sources/{name}/webhook", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, msgspec.json.decode(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, msgspec.json.decode(refused.read())


def test_what_was_answered_outlives_a_hub_that_is_killed(tmp_path: Path) -> None:
    make_site(tmp_path)
    (tmp_path / "keys" / "webhook-shop.secret").write_bytes(senders.SECRET)
    over = {"consent": "granted"}
    keep_sources(tmp_path, {SourceName("shop"): msgspec.convert(merged(preset("shopify"), over), SourceDocument)})
    body = samples.body(samples.SHOPIFY_ORDER)
    with hub_process(tmp_path) as hub:
        status, answer = post(hub.admin, "shop", body, senders.shopify(body))
        hub.kill()
    assert (status, answer["stored"]) == (200, 1)
    mia = subject_of(KeyFolder(tmp_path).secrets().subject_key, "email", "mia.berg@post.example")
    with open_ledger(tmp_path) as ledger:
        [(_, event)] = list(ledger.events())
        assert event.name == "Order Completed"
        assert event.subject in ledger.members_of(mia)
    with hub_process(tmp_path) as hub:
        assert post(hub.admin, "shop", body, senders.shopify(body))[1]["known"] == 1
        assert post(hub.admin, "shop", body, {})[0] == 401
        assert hub.stop() == 0
