"""Reporting over real gRPC: every record once, whatever is sent again, cut off or broken."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from hub_records import NODE, decision, event, gap, payloads, preference
from hub_server import first_of, hello, patiently, refusal_of, report, running_hub

from edgewise.ids import Producer, SubjectId
from edgewise.v1 import uplink_pb2

SUBJECT = SubjectId("5" * 32)


def test_batches_of_several_workers_are_answered_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            call = hub.uplink.Report()
            other = Producer("n-a/1/1")
            await call.write(report(*payloads(event(0), event(1))))
            await call.write(report(*payloads(event(0, producer=other)), worker=1))
            await call.write(report(*payloads(decision(2), preference(3))))
            answers = [await call.read() for _ in range(3)]
            assert [(answer.worker, answer.stored_seq) for answer in answers] == [(0, 1), (1, 0), (0, 3)]
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert await call.code() is grpc.StatusCode.OK
            assert hub.ledger.totals().events == 3

    patiently(story())


def test_a_node_asks_for_its_mark_and_resumes_after_a_lost_answer(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            first = hub.uplink.Report()
            await first.write(report())
            assert (await first.read()).stored_seq == -1
            await first.write(report(*payloads(event(0), event(1), event(2))))
            assert (await first.read()).stored_seq == 2
            first.cancel()
            again = hub.uplink.Report()
            await again.write(report(*payloads(event(1), event(2), event(3))))
            assert (await again.read()).stored_seq == 3
            await again.done_writing()
            assert [record.seq for record in hub.ledger.events_of(SUBJECT)] == [0, 1, 2, 3]

    patiently(story())


def test_a_hub_that_was_restarted_knows_the_mark(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            call = hub.uplink.Report()
            await call.write(report(*payloads(event(0), event(1))))
            await call.read()
        async with running_hub(tmp_path) as hub:
            call = hub.uplink.Report()
            await call.write(report())
            assert (await call.read()).stored_seq == 1
            await call.write(report(*payloads(event(1), event(2))))
            assert (await call.read()).stored_seq == 2
            assert hub.ledger.totals().events == 3

    patiently(story())


def test_a_hole_is_answered_by_the_mark_until_it_is_filled_or_declared(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            call = hub.uplink.Report()
            await call.write(report(*payloads(event(0), event(2))))
            assert (await call.read()).stored_seq == 0
            await call.write(report(*payloads(gap(1, 1), event(2))))
            assert (await call.read()).stored_seq == 2
            assert hub.ledger.totals().dropped == 1

    patiently(story())


def test_a_poison_record_is_kept_aside_and_the_stream_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            call = hub.uplink.Report()
            await call.write(report(payloads(event(0))[0], b"\xc1 no record", payloads(event(2))[0]))
            assert (await call.read()).stored_seq == 2
            [letter] = hub.ledger.dead_letters()
            assert (letter.producer, letter.seq, letter.payload) == (NODE, 1, b"\xc1 no record")
            assert [record.seq for record in hub.ledger.events_of(SUBJECT)] == [0, 2]

    patiently(story())


@pytest.mark.parametrize(
    ("request_", "detail"),
    [
        (report(node="import"), "node id 'import'"),
        (report(node="n a"), "node id 'n a'"),
        (report(node=""), "node id ''"),
        (report(epoch=2**63), "epoch 9223372036854775808"),
        (report(*[b"x"] * 10_001), "10001 records in one request"),
        (uplink_pb2.ReportRequest(node_id="n-a", epoch=1, records=[b"changed"], checksum=7), "changed on its way"),
        (uplink_pb2.ReportRequest(node_id="n-a", epoch=1, records=[b"not sealed"]), "changed on its way"),
    ],
    ids=["import", "a space", "no name", "epoch", "too many", "changed", "not sealed"],
)
def test_a_request_that_makes_no_sense_ends_the_stream(
    tmp_path: Path, request_: uplink_pb2.ReportRequest, detail: str
) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            call = hub.uplink.Report()
            await call.write(report(*payloads(event(0))))
            await call.write(request_)
            assert (await call.read()).stored_seq == 0
            with pytest.raises(grpc.aio.AioRpcError, match=detail) as ended:
                await call.read()
            assert ended.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    patiently(story())


def test_two_nodes_cannot_share_a_stream(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            call = hub.uplink.Report()
            await call.write(report())
            await call.write(report(node="n-b"))
            await call.read()
            with pytest.raises(grpc.aio.AioRpcError, match="a batch of node n-b on a stream of n-a"):
                await call.read()

    patiently(story())


def test_more_streams_than_the_hub_bears_are_turned_away(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path, most_streams=1) as hub:
            call = hub.uplink.Report()
            await call.write(report())
            await call.read()
            refusal = await refusal_of(lambda: first_of(hub.distribution.Watch(), hello()))
            assert "1 streams are open" in str(refusal.details())
            assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            watch = hub.distribution.Watch()
            await watch.write(hello())
            assert (await watch.read()).hub_incarnation == "i" * 32

    patiently(story())


def test_a_hub_that_stops_answers_what_has_come_and_ends_streams_well(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            call = hub.uplink.Report()
            for seq in range(20):
                await call.write(report(*payloads(event(seq))))
            assert (await call.read()).stored_seq == 0
            await hub.server.stop()
            marks = []
            while (answer := await call.read()) is not grpc.aio.EOF:
                marks.append(answer.stored_seq)
            assert await call.code() is grpc.StatusCode.OK
            assert marks == list(range(1, len(marks) + 1))
            assert hub.ledger.stored_seq(NODE) >= len(marks)

    patiently(story())
