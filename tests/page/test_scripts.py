"""How a node sends its scripts: packed, kept by browsers as long as their name says, sent again only when changed."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator

import pytest
from edge_world import STRANGER, node
from starlette.testclient import TestClient

from edge.browser.script import SCRIPTS, script
from edgewise.cli import main


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Somebody from elsewhere, without any key."""
    with node(tmp_path_factory.mktemp("node"), bundle=False, peer=STRANGER, auth=None) as (asking, _):
        yield asking


@pytest.mark.parametrize("name", SCRIPTS)
def test_anybody_gets_the_script_packed_or_plain(client: TestClient, name: str) -> None:
    packed = client.get(f"/{name}", headers={"accept-encoding": "br, gzip"})
    plain = client.get(f"/{name}", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(script(name).packed)
    assert gzip.decompress(script(name).packed) == plain.content == packed.content
    assert "content-encoding" not in plain.headers
    for answer in (packed, plain):
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["vary"] == "accept-encoding"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert packed.headers["etag"] != plain.headers["etag"], "different bytes"


def test_what_a_browser_has_is_not_sent_again(client: TestClient) -> None:
    tag = client.get("/edgewise.js").headers["etag"]
    again = client.get("/edgewise.js", headers={"if-none-match": f'"other", W/{tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert "content-length" not in again.headers
    assert client.get("/edgewise.js", headers={"if-none-match": '"other"'}).status_code == 200


def test_a_name_with_the_digest_is_kept_for_good_and_a_wrong_one_is_not(client: TestClient) -> None:
    digest = script("edgewise.js").digest
    assert hashlib.sha256(script("edgewise.js").small).hexdigest().startswith(digest)
    assert "immutable" in client.get(f"/edgewise.js?v={digest}").headers["cache-control"]
    for query in ("", "?v=0123", f"?v={digest}&x=1", f"?w={digest}"):
        kept = client.get(f"/edgewise.js{query}").headers["cache-control"]
        assert kept == "public, max-age=300, stale-while-revalidate=86400"


def test_the_command_prints_the_script_and_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["edge", "script"])
    assert capsys.readouterr().out.strip().encode() == script("edgewise.js").small
    with pytest.raises(SystemExit):
        main(["edge", "script", "--size", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["gzipBytes"] == len(script("edgewise.js").packed) < 3_000
    assert told["digest"] == script("edgewise.js").digest
