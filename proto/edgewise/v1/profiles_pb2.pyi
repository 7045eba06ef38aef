from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SyncRequest(_message.Message):
    __slots__ = ("node_id", "add", "remove", "erasure_list", "erased_through")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ADD_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    ERASURE_LIST_FIELD_NUMBER: _ClassVar[int]
    ERASED_THROUGH_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    add: _containers.RepeatedScalarFieldContainer[str]
    remove: _containers.RepeatedScalarFieldContainer[str]
    erasure_list: str
    erased_through: int
    def __init__(self, node_id: _Optional[str] = ..., add: _Optional[_Iterable[str]] = ..., remove: _Optional[_Iterable[str]] = ..., erasure_list: _Optional[str] = ..., erased_through: _Optional[int] = ...) -> None: ...

class SyncResponse(_message.Message):
    __slots__ = ("subject", "snapshot", "erasure", "unknown", "checksum")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    ERASURE_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    subject: str
    snapshot: Snapshot
    erasure: Erasure
    unknown: Unknown
    checksum: int
    def __init__(self, subject: _Optional[str] = ..., snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., erasure: _Optional[_Union[Erasure, _Mapping]] = ..., unknown: _Optional[_Union[Unknown, _Mapping]] = ..., checksum: _Optional[int] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("profile", "preferences")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    profile: bytes
    preferences: bytes
    def __init__(self, profile: _Optional[bytes] = ..., preferences: _Optional[bytes] = ...) -> None: ...

class Erasure(_message.Message):
    __slots__ = ("list", "number", "time_ms", "stored")
    LIST_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    list: str
    number: int
    time_ms: int
    stored: _containers.RepeatedCompositeFieldContainer[Mark]
    def __init__(self, list: _Optional[str] = ..., number: _Optional[int] = ..., time_ms: _Optional[int] = ..., stored: _Optional[_Iterable[_Union[Mark, _Mapping]]] = ...) -> None: ...

class Mark(_message.Message):
    __slots__ = ("producer", "stored_seq")
    PRODUCER_FIELD_NUMBER: _ClassVar[int]
    STORED_SEQ_FIELD_NUMBER: _ClassVar[int]
    producer: str
    stored_seq: int
    def __init__(self, producer: _Optional[str] = ..., stored_seq: _Optional[int] = ...) -> None: ...

class Unknown(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
