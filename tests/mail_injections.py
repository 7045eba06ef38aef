"""Values that try to become header fields, further addresses, parts or commands of a mail; and where they are put."""

from __future__ import annotations

from base64 import b64encode
from typing import Final

_RAW: Final = (
    "hi\nBcc: evil@x.example",
    "hi\r\nBcc: evil@x.example",
    "hi\rBcc: evil@x.example",
    "hi\n\nBody",
    "hi\r\n\r\n<script>alert(1)</script>",
    "hi\r\n .\r\nMAIL FROM:<evil@x.example>",
    "hi\r\n.\r\nRCPT TO:<evil@x.example>\r\nDATA\r\n",
    "hi\x0bBcc: evil@x.example",
    "hi\x0cBcc: evil@x.example",
    "hi\x1cBcc: evil@x.example",
    "hi\x1dBcc: evil@x.example",
    "hi\x1eBcc: evil@x.example",
    "hi\x85Bcc: evil@x.example",
    "hi\u2028Bcc: evil@x.example",
    "hi\u2029Bcc: evil@x.example",
    "hi\x00Bcc: evil@x.example",
    "hi\tBcc: evil@x.example",
    "hi\n\tBcc: evil@x.example",
    "hi\n Bcc: evil@x.example",
    "\nBcc: evil@x.example",
    "\r\n\r\n",
    "hi\\nBcc: evil@x.example",
    "hi%0ABcc: evil@x.example",
    "hi%0D%0ABcc: evil@x.example",
    "hi&#10;Bcc: evil@x.example",
    "hi\u010aBcc: evil@x.example",  # its low byte is a line feed
    "hi\u560a\u560dBcc: evil@x.example",
    "hi\ud800\nBcc: evil@x.example",
    "hi\u202e\nBcc: evil@x.example",
    "a" * 990 + "\nBcc: evil@x.example",
    "a" * 75 + "\r\n b\r\nBcc: evil@x.example",
    "Content-Type: text/html",
    'hi"\nBcc: evil@x.example',
    "hi, evil@x.example",
    "hi <evil@x.example>",
    '"hi" <a@x.example>, evil@x.example',
    "evil@x.example\n",
    "a@x.example,evil@x.example",
    "a@x.example;evil@x.example",
    "a@x.example evil@x.example",
    "a@x.example>\r\nRCPT TO:<evil@x.example",
    "a@x.example(\n)",
    "group: a@x.example, evil@x.example;",
    "hi --=_boundary",
)
_INNER: Final = (
    "hi\nBcc: evil@x.example",
    "hi\r\nBcc: evil@x.example",
    "hi\r\n\r\nBody",
    "\nBcc:evil@x.example\n",
    "a@x.example\nBcc: evil@x.example",
)


def _encoded(text: str) -> list[str]:
    quoted = "".join(f"={byte:02X}" for byte in text.encode())
    base = b64encode(text.encode()).decode()
    return [
        f"=?utf-8?q?{quoted}?=",
        f"=?utf-8?b?{base}?=",
        f"=?UTF-8?Q?{quoted}?= and more",
        f"=?iso-8859-1?q?{quoted}?= =?iso-8859-1?q?{quoted}?=",
    ]


_NESTED: Final = tuple(
    f"=?utf-8?q?{''.join(f'={byte:02X}' for byte in once.encode())}?=" for once in _encoded(_INNER[0])
)
"""Encoded twice: whoever decodes once leaves the other."""

VALUES: Final = (
    *_RAW,
    *(each for text in _INNER for each in _encoded(text)),
    *_NESTED,
    "=?utf-8?q?hi=0ABcc:_evil@x.example",  # without an end
    "=?utf-8?q?=0A?==?utf-8?q?Bcc:_evil@x.example?=",
    "=?unknown-8bit?q?hi=0ABcc:_evil@x.example?=",
    "=?utf-7?q?hi+AAo-Bcc:_evil@x.example?=",
    "=?utf-16?b?CgBCAGMAYwA=?=",
)
PLACES: Final = ("to", "subject", "from name", "reply-to", "locale")
