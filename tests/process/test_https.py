"""Visitors by https on both servers: a certificate of the test's own, renewed under running workers."""

from __future__ import annotations

import json
import signal
import socket
import ssl
from pathlib import Path

import pytest
from certificates import Made, make_certificate
from cryptography import x509
from processes import edgewise, run_edgewise, until

pytestmark = pytest.mark.process

BODY = json.dumps({"placements": [{"name": "home_hero"}]}).encode()


def words(folder: Path, made: Made) -> tuple[str, ...]:
    at = ("--port", "0", "--workers", "1", "--data-dir", str(folder / "node"))
    return ("edge", "serve", *at, "--tls-certificate", str(made.certificate), "--tls-key", str(made.key))


def ask(port: int, trusted: Path, *, version: ssl.TLSVersion | None = None) -> tuple[int, bytes]:
    """The serial number of the certificate that was shown, and the answer."""
    context = ssl.create_default_context(cafile=str(trusted))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        head = (
            f"POST /v1/decide HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {len(BODY)}\r\n\r\n"
        )
        secure.sendall(head.encode() + BODY)
        shown = secure.getpeercert(binary_form=True)
        assert shown is not None
        answer = b""
        while part := secure.recv(65_536):
            answer += part
        return x509.load_der_x509_certificate(shown).serial_number, answer


@pytest.mark.parametrize("server", ["edgewise", pytest.param("granian", marks=pytest.mark.slow)])
def test_https_is_served_and_a_renewed_certificate_taken_over(tmp_path: Path, server: str) -> None:
    first = make_certificate(tmp_path / "tls")
    with edgewise(*words(tmp_path, first), "--server", server, log=tmp_path / "log") as node:
        scheme, _, port_text = node.said["url"].rpartition(":")
        port = int(port_text)
        assert scheme == "https://127.0.0.1"
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            serial, answer = ask(port, first.certificate, version=version)
            assert serial == first.serial
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"; Secure" in answer.partition(b"\r\n\r\n")[0]  # the visitor's cookie

        def reload(logged: str) -> None:
            before = node.log.read_text().count(logged)
            node.process.send_signal(signal.SIGHUP)
            until(lambda: node.log.read_text().count(logged) > before)

        sound = first.key.read_bytes()
        first.key.write_bytes(b"nonsense")
        reload("is no private key in PEM")
        assert ask(port, first.certificate)[0] == first.serial
        first.key.write_bytes(sound)

        second = make_certificate(tmp_path / "tls")
        reload('"reloaded"')
        assert ask(port, second.certificate)[0] == second.serial
        assert node.stop() == 0


def test_wrong_files_are_refused_in_one_line(tmp_path: Path) -> None:
    made = make_certificate(tmp_path / "tls")
    made.key.write_bytes(make_certificate(tmp_path / "other").key.read_bytes())
    refused = run_edgewise(*words(tmp_path, made))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "key.pem is not the key of tls_certificate" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_an_expired_certificate_is_warned_of(tmp_path: Path) -> None:
    made = make_certificate(tmp_path / "tls", begins_days=-9, ends_days=-1)
    with edgewise(*words(tmp_path, made), log=tmp_path / "log") as node:
        assert "the certificate has expired" in node.log.read_text()
        assert node.stop() == 0
