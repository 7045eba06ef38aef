"""A sealed message is whole as it is, and with any one bit changed it is not."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from hypothesis import assume, given
from hypothesis import strategies as st

from edgewise.seal import is_whole, sealed
from edgewise.v1.profiles_pb2 import Snapshot, SyncResponse
from edgewise.v1.uplink_pb2 import ReportRequest, ReportResponse

requests = st.builds(
    ReportRequest,
    node_id=st.text(max_size=5),
    epoch=st.integers(0, 2**63),
    worker=st.integers(0, 300),
    records=st.lists(st.binary(max_size=20), max_size=3),
)
answers = st.builds(ReportResponse, epoch=st.integers(0, 2**63), stored_seq=st.integers(-1, 2**62))
news = st.builds(SyncResponse, subject=st.text(max_size=5), snapshot=st.builds(Snapshot, profile=st.binary(max_size=9)))


@given(st.one_of(requests, answers, news))
def test_what_was_not_changed_is_whole(message: ReportRequest | ReportResponse | SyncResponse) -> None:
    again = type(message).FromString(sealed(message).SerializeToString())
    assert is_whole(again)
    assert again == message


@given(st.one_of(requests, answers, news), st.data())
def test_no_bit_changes_unseen(message: ReportRequest | ReportResponse | SyncResponse, data: st.DataObject) -> None:
    wire = bytearray(sealed(message).SerializeToString())
    assume(wire)
    wire[data.draw(st.integers(0, len(wire) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        changed = type(message).FromString(bytes(wire))
    except DecodeError:
        return
    assert changed == message or not is_whole(changed)
