from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EnrolRequest(_message.Message):
    __slots__ = ("node_id", "token")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    token: str
    def __init__(self, node_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class EnrolResponse(_message.Message):
    __slots__ = ("site", "root", "subject_key", "visitor_key")
    SITE_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_KEY_FIELD_NUMBER: _ClassVar[int]
    VISITOR_KEY_FIELD_NUMBER: _ClassVar[int]
    site: str
    root: bytes
    subject_key: bytes
    visitor_key: bytes
    def __init__(self, site: _Optional[str] = ..., root: _Optional[bytes] = ..., subject_key: _Optional[bytes] = ..., visitor_key: _Optional[bytes] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("hello", "ack", "nack", "heartbeat", "facts")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    NACK_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    ack: Ack
    nack: Nack
    heartbeat: Heartbeat
    facts: FactsAnswer
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., nack: _Optional[_Union[Nack, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., facts: _Optional[_Union[FactsAnswer, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("node_id", "protocol_version", "bundle_version", "bundle_digest", "hub_incarnation")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    HUB_INCARNATION_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    protocol_version: int
    bundle_version: int
    bundle_digest: str
    hub_incarnation: str
    def __init__(self, node_id: _Optional[str] = ..., protocol_version: _Optional[int] = ..., bundle_version: _Optional[int] = ..., bundle_digest: _Optional[str] = ..., hub_incarnation: _Optional[str] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("nonce", "bundle_version", "bundle_digest")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    nonce: str
    bundle_version: int
    bundle_digest: str
    def __init__(self, nonce: _Optional[str] = ..., bundle_version: _Optional[int] = ..., bundle_digest: _Optional[str] = ...) -> None: ...

class Nack(_message.Message):
    __slots__ = ("nonce", "code", "detail", "still_version")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    STILL_VERSION_FIELD_NUMBER: _ClassVar[int]
    nonce: str
    code: str
    detail: str
    still_version: int
    def __init__(self, nonce: _Optional[str] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ..., still_version: _Optional[int] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("state", "bundle_version", "bundle_digest", "spool_bytes", "decisions")
    STATE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SPOOL_BYTES_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    state: str
    bundle_version: int
    bundle_digest: str
    spool_bytes: int
    decisions: int
    def __init__(self, state: _Optional[str] = ..., bundle_version: _Optional[int] = ..., bundle_digest: _Optional[str] = ..., spool_bytes: _Optional[int] = ..., decisions: _Optional[int] = ...) -> None: ...

class FactsAnswer(_message.Message):
    __slots__ = ("version", "code", "detail")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    version: int
    code: str
    detail: str
    def __init__(self, version: _Optional[int] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("hub_incarnation", "offer", "facts")
    HUB_INCARNATION_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    hub_incarnation: str
    offer: Offer
    facts: FactsNotice
    def __init__(self, hub_incarnation: _Optional[str] = ..., offer: _Optional[_Union[Offer, _Mapping]] = ..., facts: _Optional[_Union[FactsNotice, _Mapping]] = ...) -> None: ...

class FactsNotice(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class Offer(_message.Message):
    __slots__ = ("nonce", "bundle_version")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    nonce: str
    bundle_version: int
    def __init__(self, nonce: _Optional[str] = ..., bundle_version: _Optional[int] = ...) -> None: ...

class FetchRequest(_message.Message):
    __slots__ = ("path", "offset")
    PATH_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    path: str
    offset: int
    def __init__(self, path: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class FetchResponse(_message.Message):
    __slots__ = ("data", "total_bytes")
    DATA_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    total_bytes: int
    def __init__(self, data: _Optional[bytes] = ..., total_bytes: _Optional[int] = ...) -> None: ...
