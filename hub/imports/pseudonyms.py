"""People in imported files: a keyed hash stands for each, the raw identifier is not stored.

The key belongs to the data folder. The same person has the same pseudonym in every import of that folder and
another one elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgewise.errors import UnavailableError
from edgewise.ids import SubjectId
from hub.ledger.suppression import SuppressionList

if TYPE_CHECKING:
    import pyarrow as pa

_KEY_BYTES: Final = 32
_KEY_FILE: Final = "import.key"


def import_key(data_dir: Path) -> bytes:
    """The folder's key, made when it is first needed; readable by its owner only.

    Raises UnavailableError when it cannot be read or written, or is damaged: another key would tell one person
    as two.
    """
    path = data_dir / _KEY_FILE
    try:
        if not path.exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=data_dir, prefix=".key-") as file:  # created 0600
                file.write(secrets.token_bytes(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
                with contextlib.suppress(FileExistsError):
                    os.link(file.name, path)  # unlike a rename it fails when another process was first
        key = path.read_bytes()
    except OSError as refused:
        raise UnavailableError(f"{path}: {refused.strerror}") from None
    if len(key) != _KEY_BYTES:
        raise UnavailableError(f"{path}: {len(key)} bytes, expected {_KEY_BYTES}; restore it from a backup")
    return key


def pseudonym(identifier: str, key: bytes) -> SubjectId:
    """Keyed BLAKE2b (RFC 7693) of an identifier, 32 hex digits."""
    return SubjectId(hashlib.blake2b(identifier.encode(), digest_size=16, key=key).hexdigest())


def pseudonyms(column: pa.ChunkedArray, key: bytes) -> pa.ChunkedArray:
    """A text column with each identifier replaced; null stays null."""
    import pyarrow as pa

    encoded = column.combine_chunks().dictionary_encode()
    hashed = pa.array([pseudonym(text, key) for text in encoded.dictionary.to_pylist()], pa.string())
    return pa.chunked_array([hashed.take(encoded.indices)])


def erased_pseudonyms(data_dir: Path) -> frozenset[str]:
    """People who were erased since: their rows stay away, however often a file is imported."""
    return frozenset(name for entry in SuppressionList(data_dir).listed().entries for name in entry.pseudonyms)
