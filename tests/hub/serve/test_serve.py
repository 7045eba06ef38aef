"""A hub as a process: starts, answers, resumes after kill -9, drains at SIGTERM; and the commands beside it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import grpc
import httpx2
import numpy as np
import pytest
from databases import is_sound
from hub_process import EDGEWISE, edgewise, hub_process, make_site
from hub_records import event, payloads
from hub_server import follow, hello, patiently, report

from edgewise.clock import ManualClock, SystemClock
from edgewise.ids import SubjectId
from edgewise.subjects import subject_of
from edgewise.v1 import distribution_pb2_grpc, profiles_pb2_grpc, uplink_pb2_grpc
from hub.keys import KeyFolder
from hub.ledger.ledger import open_ledger
from hub.release.repository import Repository

pytestmark = pytest.mark.process
SUBJECT = SubjectId("5" * 32)


def failed_serve(data_dir: Path) -> tuple[int, str]:
    words: list[str | Path] = [EDGEWISE, "hub", "serve", "--data-dir", data_dir, "--grpc", "127.0.0.1:0"]
    second = subprocess.run(words, capture_output=True, text=True, check=False)
    assert second.stdout == ""
    return second.returncode, second.stderr


def test_a_hub_answers_nodes_and_people_until_it_is_told_to_stop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_site(tmp_path)
    with hub_process(tmp_path) as hub:

        async def story() -> None:
            async with grpc.aio.insecure_channel(hub.hub) as channel:
                watch = distribution_pb2_grpc.DistributionStub(channel).Watch()  # type: ignore[no-untyped-call]
                await watch.write(hello())
                first = await watch.read()
                assert first.offer.nonce
                assert len(first.hub_incarnation) == 32
                summary = httpx2.get(f"{hub.admin}/api/v1/summary").json()
                assert (summary["site"], summary["incarnation"]) == ("film-shop", first.hub_incarnation)
                assert httpx2.get(f"{hub.admin}/health/ready").json()["state"] == "READY"
                # another process signs: the node is offered it
                later = ManualClock(SystemClock().now_ms() + 20 * 3_600_000)
                assert Repository(tmp_path, later).refresh()
                second = await watch.read()
                assert second.offer.nonce not in {"", first.offer.nonce}
                code, stderr = await asyncio.to_thread(failed_serve, tmp_path)
                assert (code, f"another hub serves {tmp_path}" in stderr) == (1, True)
                assert hub.stop() == 0
                assert await watch.read() is grpc.aio.EOF
                assert await watch.code() is grpc.StatusCode.OK

        patiently(story())
    [node] = edgewise(capsys, "nodes", "--json", "--data-dir", tmp_path).told["nodes"]
    assert (node["node"], node["connected"], node["bundle_version"]) == ("n-a", False, 3)
    assert "AWAY" in edgewise(capsys, "nodes", "--data-dir", tmp_path).stdout


def test_kill_9_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Rounds of reporting with a window of batches in flight, cut off by SIGKILL; the next hub resumes at its mark."""
    make_site(tmp_path)
    random = np.random.default_rng(20_251)
    records = payloads(*(event(seq) for seq in range(4_000)))
    acknowledged = -1
    for round_ in range(4):
        last = round_ == 3
        with hub_process(tmp_path) as hub:

            async def story(kill_after: int) -> int:
                async with grpc.aio.insecure_channel(hub.hub) as channel:  # runs inside the loop
                    stub = uplink_pb2_grpc.UplinkStub(channel)  # type: ignore[no-untyped-call]
                    call = stub.Report()
                    await call.write(report())
                    mark: int = (await call.read()).stored_seq
                    assert mark >= acknowledged  # noqa: B023
                    sent = mark + 1
                    for _ in range(kill_after):
                        while sent < len(records) and sent <= mark + 400:
                            await call.write(report(*records[sent : sent + 50]))
                            sent += 50
                        if mark == len(records) - 1:
                            break
                        mark = (await call.read()).stored_seq
                    if not last:  # noqa: B023
                        hub.kill()
                    return mark

            collected: list[int] = []

            async def collect(kill_after: int) -> None:
                collected.append(await story(kill_after))  # noqa: B023

            patiently(collect(10_000 if last else int(random.integers(2, 16))))
            acknowledged = collected[0]
            if last:
                assert hub.stop() == 0
    assert acknowledged == len(records) - 1
    with open_ledger(tmp_path) as ledger:
        assert [record.seq for record in ledger.events_of(SUBJECT)] == list(range(len(records)))
        assert ledger.totals().events == len(records)
        with ledger.storage.reading() as connection:
            assert is_sound(connection)


def test_history_imported_beside_a_running_hub_reaches_the_nodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_site(tmp_path)
    ann = subject_of(KeyFolder(tmp_path).secrets().subject_key, "anonymousId", "ann")
    history = tmp_path / "history.jsonl"
    call: dict[str, Any] = {
        "type": "track",
        "event": "Product Viewed",
        "messageId": "m",
        "anonymousId": "ann",
        "timestamp": "2024-03-01T10:00:00Z",
        "properties": {"product_id": "[/red] \x1b[2J", "category": "tea"},
    }
    history.write_text(json.dumps(call) + "\nnonsense\n")
    words = ("import", "events", history, "--data-dir", tmp_path, "--consent", "granted")
    with hub_process(tmp_path) as hub:

        async def story() -> None:
            async with grpc.aio.insecure_channel(hub.hub) as channel:
                sync = profiles_pb2_grpc.ProfilesStub(channel).Sync()  # type: ignore[no-untyped-call]
                await sync.write(follow(ann))
                assert (await sync.read()).WhichOneof("news") == "unknown"
                imported = await asyncio.to_thread(edgewise, capsys, *words, "--json")
                assert imported.told["stored"] == 1
                assert (await sync.read()).WhichOneof("news") == "snapshot"

        patiently(story())
        assert hub.stop() == 0
    shown = edgewise(capsys, *words)
    assert (shown.code, "history" in shown.stdout, "1 lines were refused" in shown.stderr) == (0, True, True)
    silent = edgewise(capsys, *words[:-2], "--json").told
    assert (silent["stored"], silent["without_consent"], silent["rejected"]) == (0, 1, 1)
    story_told = edgewise(capsys, "profile", "show", "ann", "--timeline", "--data-dir", tmp_path)
    assert "[/red] \ufffd[2J" in story_told.stdout
    assert "\x1b[2J" not in story_told.stdout
    told = edgewise(capsys, "profile", "show", "ann", "--timeline", "--data-dir", tmp_path, "--json").told
    assert (told["subject"], told["timeline"][0]["source"]) == (ann, "import/history")


def test_a_hub_that_others_could_reach_does_not_start_without_a_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_site(tmp_path)
    refused = edgewise(capsys, "hub", "serve", "--data-dir", tmp_path, "--grpc", "0.0.0.0:0")
    assert (refused.code, refused.stdout) == (1, "")
    assert "EDGEWISE_HUB_ENROL_TOKENS_SHA256" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_is_missing_is_said_with_what_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ("--data-dir", tmp_path)
    empty = edgewise(capsys, "hub", "serve", *folder)
    assert empty.code == 1
    assert f"run `edgewise site init DIR --data-dir {tmp_path}`" in empty.stderr
    assert edgewise(capsys, "keys", "init", *folder).code == 0
    unsigned = edgewise(capsys, "hub", "serve", *folder, "--json")
    assert unsigned.code == 1
    assert f"run `edgewise site apply DIR --data-dir {tmp_path}`" in json.loads(unsigned.stdout)["error"]["message"]
    unknown = edgewise(capsys, "profile", "show", "nobody", *folder)
    assert (unknown.code, unknown.stdout) == (1, "")
    assert "nothing is known of 'nobody'" in unknown.stderr
    assert "no node has connected" in edgewise(capsys, "nodes", *folder).stdout
    monkeypatch.setenv("EDGEWISE_HUB_GRPC", "nowhere")
    wrong = edgewise(capsys, "hub", "serve", *folder)
    assert (wrong.code, "EDGEWISE_HUB_GRPC" in wrong.stderr) == (1, True)


@pytest.mark.parametrize(
    ("option", "address", "said"),
    [("--grpc", "foo", "'foo', expected HOST:PORT"), ("--admin", "127.0.0.1:70000", "expected 0 to 65535")],
)
def test_an_option_that_is_no_address_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, address: str, said: str
) -> None:
    wrong = edgewise(capsys, "hub", "serve", "--data-dir", tmp_path, option, address)
    assert (wrong.code, wrong.stdout) == (2, "")
    assert option in wrong.stderr
    assert said in " ".join(wrong.stderr.replace("│", " ").split())
    assert "regex" not in wrong.stderr
