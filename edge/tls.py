"""The certificate with which visitors are met by https.

It is looked at before a worker gets it, so that a wrong one is refused in a sentence, and what serves goes on.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge.settings import EdgeSettings
from edgewise.errors import InputError

if TYPE_CHECKING:
    from cryptography import x509


class TlsFiles(NamedTuple):
    """Both in PEM; the certificate first, behind it those that vouch for it."""

    certificate: Path
    key: Path


class Validity(NamedTuple):
    """Between which moments a certificate is good, in milliseconds since the epoch."""

    begins_ms: int
    ends_ms: int


def tls_files(settings: EdgeSettings) -> TlsFiles | None:
    """The two files, None for plain HTTP. Whether they are any good, `check_tls` says.

    Raises:
        InputError: one is named without the other.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if not certificate and not key:
        return None
    if not certificate or not key:
        missing, given = ("tls_key", "tls_certificate") if certificate else ("tls_certificate", "tls_key")
        raise InputError(f"{given} without {missing}: https needs both")
    return TlsFiles(Path(certificate).expanduser(), Path(key).expanduser())


def check_tls(settings: EdgeSettings) -> Validity | None:
    """Read certificate and key as a server does; None for plain HTTP.

    Raises:
        InputError: a file cannot be read, holds something else, or the two do not belong together.
    """
    files = tls_files(settings)
    if files is None:
        return None
    certificates = _certificates(files.certificate)
    _read("tls_key", files.key)
    try:
        # An empty password, because OpenSSL would ask at the terminal for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key, password="")
    except ssl.SSLError as wrong:
        if wrong.reason == "KEY_VALUES_MISMATCH":
            raise InputError(f"tls_key {files.key} is not the key of tls_certificate {files.certificate}") from wrong
        raise InputError(f"tls_key {files.key} is no private key in PEM without a password") from wrong
    own = certificates[0]
    return Validity(int(own.not_valid_before_utc.timestamp() * 1_000), int(own.not_valid_after_utc.timestamp() * 1_000))


def _certificates(path: Path) -> list[x509.Certificate]:
    from cryptography import x509  # not above: a worker serves what others have looked at, and saves 6 MB

    content = _read("tls_certificate", path)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as wrong:
        raise InputError(f"tls_certificate {path} holds no certificate in PEM") from wrong


def _read(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as failed:
        raise InputError(f"{setting} {path}: {failed.strerror}") from failed
