"""Certificate and key are looked at as a server does, and what is wrong with them is said in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import Made, make_certificate

from edge.settings import EdgeSettings
from edge.tls import Validity, check_tls, tls_files
from edgewise.clock import SystemClock
from edgewise.errors import InputError

DAY_MS = 86_400_000


def settings(made: Made) -> EdgeSettings:
    return EdgeSettings(tls_certificate=str(made.certificate), tls_key=str(made.key))


def test_a_sound_pair_says_how_long_it_holds(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, begins_days=-2, ends_days=3)
    validity, now_ms = check_tls(settings(made)), SystemClock().now_ms()
    assert isinstance(validity, Validity)
    assert validity.begins_ms // DAY_MS == (now_ms - 2 * DAY_MS) // DAY_MS
    assert validity.ends_ms - validity.begins_ms == 5 * DAY_MS


def test_neither_means_plain_http_and_one_alone_is_refused() -> None:
    assert check_tls(EdgeSettings()) is None
    assert tls_files(EdgeSettings(tls_certificate="", tls_key="")) is None
    with pytest.raises(InputError, match="tls_certificate without tls_key"):
        check_tls(EdgeSettings(tls_certificate="a.pem"))
    with pytest.raises(InputError, match="tls_key without tls_certificate"):
        check_tls(EdgeSettings(tls_key="a.pem"))


def no_certificate(made: Made) -> None:
    made.certificate.unlink()


def no_key(made: Made) -> None:
    made.key.unlink()


def a_folder(made: Made) -> None:
    made.key.unlink()
    made.key.mkdir()


def nothing(made: Made) -> None:
    made.certificate.write_bytes(b"")


def nonsense(made: Made) -> None:
    made.certificate.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")


def half_a_certificate(made: Made) -> None:
    content = made.certificate.read_bytes()
    made.certificate.write_bytes(content[: len(content) // 2])


def the_wrong_way_round(made: Made) -> None:
    certificate, key = made.certificate.read_bytes(), made.key.read_bytes()
    made.certificate.write_bytes(key)
    made.key.write_bytes(certificate)


def no_private_key(made: Made) -> None:
    made.key.write_bytes(b"\xff\x00")


def another_key(made: Made) -> None:
    made.key.write_bytes(make_certificate(made.key.parent / "other").key.read_bytes())


def a_locked_key(made: Made) -> None:
    make_certificate(made.key.parent, password=b"secret")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (no_certificate, r"tls_certificate .*certificate\.pem: No such file or directory$"),
        (no_key, r"tls_key .*key\.pem: No such file or directory$"),
        (a_folder, r"tls_key .*key\.pem: Is a directory$"),
        (nothing, r"certificate\.pem holds no certificate in PEM$"),
        (nonsense, r"certificate\.pem holds no certificate in PEM$"),
        (half_a_certificate, r"certificate\.pem holds no certificate in PEM$"),
        (the_wrong_way_round, r"certificate\.pem holds no certificate in PEM$"),
        (no_private_key, r"key\.pem is no private key in PEM without a password$"),
        (another_key, r"key\.pem is not the key of tls_certificate .*certificate\.pem$"),
        (a_locked_key, r"key\.pem is no private key in PEM without a password$"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, harm: Callable[[Made], None], said: str) -> None:
    made = make_certificate(tmp_path)
    harm(made)
    with pytest.raises(InputError, match=said):
        check_tls(settings(made))
