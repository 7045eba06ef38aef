"""Handing over, to a real mail server over TCP and to a platform over HTTP: what each answer means."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dkim
import msgspec
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from certificates import make_certificate
from mail_post import Postman, free_port, serving
from mail_world import ANN, KEY, letter
from typing_extensions import override

from edgewise.errors import InputError
from edgewise.mail_links import MailSeal
from hub.learning.alerts import signed
from hub.mail.composing import House, MessageComposer
from hub.mail.configured import post_office
from hub.mail.dkim import Signer
from hub.mail.letters import Due
from hub.mail.platform import ByPlatform
from hub.mail.smtp import BySmtp, SmtpServer, server_of
from hub.mail.ways import Answer, Handed, NotAtAll, NotNow, Prepared, Unknown
from hub.settings import HubSettings

SECRET = b"a secret of at least 24 bytes"
DUE = Due(key="cart-1", journey="abandoned-cart", person=ANN, due_ms=0, not_after_ms=9)


@pytest.fixture(scope="module")
def mail() -> Prepared:
    composer = MessageComposer(House("news@shop.example", "Shop", "https://edge.shop.example"), MailSeal(KEY), KEY)
    said = letter(DUE, text=".a line that begins with a dot\n..two\n\nFrom me", subject="Größe")
    return composer.compose(DUE, said, "0" * 32, 1_700_000_000_000)


@pytest.fixture(scope="module")
def post() -> Iterator[tuple[Postman, BySmtp]]:
    postman = Postman()
    with serving(postman) as port:
        yield postman, BySmtp(SmtpServer("127.0.0.1", port, is_tls=False))


@pytest.fixture
def postman(post: tuple[Postman, BySmtp]) -> Postman:
    post[0].taken, post[0].answers = [], {}
    return post[0]


def test_a_server_gets_the_message_byte_by_byte(post: tuple[Postman, BySmtp], postman: Postman, mail: Prepared) -> None:
    assert isinstance(post[1].hand(mail, 0), Handed)
    (envelope,) = postman.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == ("news@shop.example", ["ann@example.org"])
    assert envelope.content == mail.data


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("MAIL", "451 later"), NotNow("sender-refused", "451 later")),
        (("RCPT", "450 4.2.0 greylisted"), NotNow("greylisted", "450 4.2.0 greylisted")),
        (("RCPT", "550 5.1.1 nobody"), NotAtAll("rejected", "550 5.1.1 nobody", is_bad_address=True)),
        (("RCPT", "550 nobody"), NotAtAll("rejected", "550 nobody", is_bad_address=True)),
        (("RCPT", "550 5.7.1 policy"), NotAtAll("rejected", "550 5.7.1 policy")),
        (("DATA", "451 4.3.0 disk"), NotAtAll("content-refused", "451 4.3.0 disk")),
        (("DATA", "554 spam"), NotAtAll("content-refused", "554 spam")),
    ],
)
def test_what_a_server_answers_says_whether_it_left(
    post: tuple[Postman, BySmtp], postman: Postman, mail: Prepared, said: tuple[str, str], expected: Answer
) -> None:
    step, answer = said
    postman.answers[step] = answer
    assert post[1].hand(mail, 0) == expected
    assert postman.taken == []


def test_a_server_that_hangs_up_after_the_content_leaves_it_uncertain(
    post: tuple[Postman, BySmtp], postman: Postman, mail: Prepared
) -> None:
    postman.answers["DATA"] = "hang up"
    assert isinstance(post[1].hand(mail, 0), Unknown)


def test_a_server_that_is_not_there_got_nothing(mail: Prepared) -> None:
    port = free_port()
    answer = BySmtp(SmtpServer("127.0.0.1", port, is_tls=False)).hand(mail, 0)
    assert isinstance(answer, NotNow)
    assert answer.reason == "unreachable"


def test_passwords_and_mail_go_over_tls_only(tmp_path: Path, mail: Prepared) -> None:
    postman = Postman()
    made = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.certificate, made.key)
    believed = ssl.create_default_context(cafile=str(made.certificate))
    logins: list[str] = []

    def login(_server: SMTP, _session: Any, _envelope: Any, _how: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        logins.append(data.login.decode())
        return AuthResult(success=data.password == b"secret", handled=False)

    with serving(postman) as port:
        plain = BySmtp(SmtpServer("127.0.0.1", port, is_tls=False, user="shop", password="secret"))
        assert plain.hand(mail, 0) == NotNow(
            "no-tls", f"127.0.0.1:{port} offers no STARTTLS; mail and passwords do not go there in the clear"
        )
    with serving(postman, tls_context=tls, authenticator=login, auth_required=True) as port:
        server = SmtpServer("127.0.0.1", port, is_tls=False, user="shop", password="secret")
        assert isinstance(BySmtp(server, context=believed).hand(mail, 0), Handed)
        wrong = BySmtp(server._replace(password="other"), context=believed).hand(mail, 0)
        assert isinstance(wrong, NotNow)
        assert wrong.reason == "turned-away"
        stranger = BySmtp(server).hand(mail, 0)
        assert isinstance(stranger, NotNow)
        assert "certificate verify failed" in stranger.words
    assert set(logins) == {"shop"}
    assert len(postman.taken) == 1


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", SmtpServer("mail.example", 587, is_tls=False)),
        ("smtps://shop%40x@mail.example", SmtpServer("mail.example", 465, is_tls=True, user="shop@x")),
        ("smtp://[::1]:25", SmtpServer("::1", 25, is_tls=False)),
    ],
)
def test_servers_are_named_by_url(url: str, server: SmtpServer) -> None:
    assert server_of(url) == server


@pytest.mark.parametrize(
    ("url", "cure"),
    [
        ("mail.example", "expected smtp://"),
        ("smtp://", "expected smtp://"),
        ("smtp://x:notaport", "expected smtp://"),
        ("smtp://a:secret@x", "a password does not belong"),
    ],
)
def test_urls_that_name_none(url: str, cure: str) -> None:
    with pytest.raises(InputError, match=cure) as refused:
        server_of(url)
    assert "secret" not in str(refused.value).replace("EDGEWISE_MAIL_SECRET", "")


def test_a_signature_covers_what_ends_the_mail(mail: Prepared, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    path = tmp_path / "mail-dkim.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    data = Signer.of("edge", "shop.example", path).signed(mail.data)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    from base64 import b64encode

    record = b"v=DKIM1; k=rsa; p=" + b64encode(public)

    def dns(name: bytes, timeout: int = 5) -> bytes:  # noqa: ARG001
        assert name == b"edge._domainkey.shop.example."
        return record

    assert dkim.verify(data, dnsfunc=dns)
    assert not dkim.verify(data.replace(b"One-Click", b"Two-Click"), dnsfunc=dns)
    with pytest.raises(InputError, match="openssl genrsa"):
        Signer.of("edge", "shop.example", tmp_path / "none.pem")


class Platform(BaseHTTPRequestHandler):
    """Answers with the status that its server was told."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        server: Any = self.server
        server.got.append((dict(self.headers), body))
        if server.status == 0:
            self.connection.close()
            return
        self.send_response(server.status)
        self.send_header("location", "http://127.0.0.1:1/")
        self.send_header("content-length", "0")
        self.end_headers()

    @override
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def platform() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Platform)
    server.got, server.status = [], 200
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(202, Handed), (429, NotNow), (503, NotNow), (400, NotAtAll), (302, NotAtAll), (500, Unknown), (0, Unknown)],
)
def test_what_a_platform_answers_says_whether_it_has_it(
    platform: Any, mail: Prepared, status: int, kind: type[Answer]
) -> None:
    platform.status, platform.got[:] = status, []
    way = ByPlatform(f"http://127.0.0.1:{platform.server_port}/send", SECRET)
    assert isinstance(way.hand(mail, 1_700_000_000_000), kind)
    ((headers, body),) = platform.got
    lower = {name.lower(): value for name, value in headers.items()}
    assert lower["webhook-id"] == f"mail-{'0' * 32}"
    expected = signed(lower["webhook-id"], 1_700_000_000, body, SECRET)
    assert lower["webhook-signature"] == expected["webhook-signature"]
    said = msgspec.json.decode(body)
    assert (said["to"], said["subject"]) == ("ann@example.org", "Größe")
    assert said["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_platform_that_is_not_there_got_nothing(mail: Prepared) -> None:
    port = free_port()
    assert isinstance(ByPlatform(f"http://127.0.0.1:{port}/", SECRET).hand(mail, 0), NotNow)


@pytest.mark.parametrize(
    ("changes", "secret", "cure"),
    [
        ({"mail_url": ""}, "", "no way to send mail"),
        ({"mail_from": "nobody"}, "", "mail_from"),
        ({"mail_links": ""}, "", "mail_links"),
        ({"mail_url": "https://x.example"}, "short", "at least 24"),
        ({"mail_url": "smtp://u@x.example"}, "", "no password for u"),
        ({"mail_url": "ftp://x.example"}, "", "expected smtp://"),
    ],
)
def test_what_cannot_be_used_is_said_at_the_start(
    tmp_path: Path, changes: dict[str, str], secret: str, cure: str
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    for name in ("subject", "visitor"):
        (keys / f"{name}.key").write_text("ab" * 32)
    fields = {"mail_url": "smtp://127.0.0.1:25", "mail_from": "S <n@shop.example>", "mail_links": "https://e.example"}
    environment = {"EDGEWISE_MAIL_SECRET": secret} if secret else {}
    post_office(HubSettings(**fields), tmp_path, environment)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=cure):
        post_office(HubSettings(**{**fields, **changes}), tmp_path, environment)  # type: ignore[arg-type]
