from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ReportRequest(_message.Message):
    __slots__ = ("node_id", "epoch", "worker", "records", "checksum")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    epoch: int
    worker: int
    records: _containers.RepeatedScalarFieldContainer[bytes]
    checksum: int
    def __init__(self, node_id: _Optional[str] = ..., epoch: _Optional[int] = ..., worker: _Optional[int] = ..., records: _Optional[_Iterable[bytes]] = ..., checksum: _Optional[int] = ...) -> None: ...

class ReportResponse(_message.Message):
    __slots__ = ("epoch", "worker", "stored_seq", "checksum")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STORED_SEQ_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    worker: int
    stored_seq: int
    checksum: int
    def __init__(self, epoch: _Optional[int] = ..., worker: _Optional[int] = ..., stored_seq: _Optional[int] = ..., checksum: _Optional[int] = ...) -> None: ...
