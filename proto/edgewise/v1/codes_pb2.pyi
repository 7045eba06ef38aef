from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExchangeRequest(_message.Message):
    __slots__ = ("node_id", "incarnation", "held", "wanted")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    incarnation: str
    held: _containers.RepeatedCompositeFieldContainer[HeldLease]
    wanted: _containers.RepeatedCompositeFieldContainer[WantedCodes]
    def __init__(self, node_id: _Optional[str] = ..., incarnation: _Optional[str] = ..., held: _Optional[_Iterable[_Union[HeldLease, _Mapping]]] = ..., wanted: _Optional[_Iterable[_Union[WantedCodes, _Mapping]]] = ...) -> None: ...

class HeldLease(_message.Message):
    __slots__ = ("id", "incarnation", "taken", "finished")
    ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    id: str
    incarnation: str
    taken: int
    finished: bool
    def __init__(self, id: _Optional[str] = ..., incarnation: _Optional[str] = ..., taken: _Optional[int] = ..., finished: _Optional[bool] = ...) -> None: ...

class WantedCodes(_message.Message):
    __slots__ = ("promotion", "count")
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    promotion: str
    count: int
    def __init__(self, promotion: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class ExchangeResponse(_message.Message):
    __slots__ = ("leases", "keys", "revoked")
    LEASES_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[CodeLease]
    keys: _containers.RepeatedCompositeFieldContainer[CodeKey]
    revoked: _containers.RepeatedCompositeFieldContainer[RevokedCode]
    def __init__(self, leases: _Optional[_Iterable[_Union[CodeLease, _Mapping]]] = ..., keys: _Optional[_Iterable[_Union[CodeKey, _Mapping]]] = ..., revoked: _Optional[_Iterable[_Union[RevokedCode, _Mapping]]] = ...) -> None: ...

class CodeLease(_message.Message):
    __slots__ = ("id", "promotion", "first", "last", "taken", "until_ms", "last_day")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_DAY_FIELD_NUMBER: _ClassVar[int]
    id: str
    promotion: str
    first: int
    last: int
    taken: int
    until_ms: int
    last_day: int
    def __init__(self, id: _Optional[str] = ..., promotion: _Optional[str] = ..., first: _Optional[int] = ..., last: _Optional[int] = ..., taken: _Optional[int] = ..., until_ms: _Optional[int] = ..., last_day: _Optional[int] = ...) -> None: ...

class CodeKey(_message.Message):
    __slots__ = ("promotion", "generation", "key")
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    promotion: str
    generation: int
    key: bytes
    def __init__(self, promotion: _Optional[str] = ..., generation: _Optional[int] = ..., key: _Optional[bytes] = ...) -> None: ...

class RevokedCode(_message.Message):
    __slots__ = ("promotion", "number")
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    promotion: str
    number: int
    def __init__(self, promotion: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...
