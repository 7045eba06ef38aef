"""`edgewise mail` and the keeper of a running hub, with a real mail server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_process import Finished, edgewise
from mail_post import Postman, serving
from mail_reports import delivery
from mail_world import AnyWriter, MailWorld, letter

from edgewise.clock import ManualClock
from edgewise.errors import InputError, RefusedError
from hub.keys import KeyFolder, make_keys
from hub.lease import held
from hub.ledger.ledger import open_ledger
from hub.log import start_log
from hub.mail.keeping import LEASE, MailKeeper, check_configured
from hub.mail.sending import address_hash
from hub.serve import Serving, serve_until_stopped
from hub.settings import HubSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with keys; each test's copy makes a ledger of its own, in whichever database."""
    made = tmp_path_factory.mktemp("hub")
    make_keys(made)
    return made


@pytest.fixture
def data_dir(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "data"))


@pytest.fixture(scope="module")
def post() -> Iterator[tuple[Postman, int]]:
    postman = Postman()
    with serving(postman) as port:
        yield postman, port


def settings(port: int, **changes: str) -> HubSettings:
    fields = {
        "mail_url": f"smtp://127.0.0.1:{port}",
        "mail_from": "Shop <news@shop.example>",
        "mail_links": "https://edge.shop.example",
    }
    return HubSettings(**{**fields, **changes})  # type: ignore[arg-type]


def mail(capsys: pytest.CaptureFixture[str], data_dir: Path, *words: str | Path) -> Finished:
    ended = edgewise(capsys, "mail", *words, "--data-dir", data_dir)
    assert "Traceback" not in ended.stderr
    return ended


def test_a_test_mail_arrives_with_its_links(
    capsys: pytest.CaptureFixture[str], data_dir: Path, post: tuple[Postman, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    postman, port = post
    for name, value in (
        ("URL", f"smtp://127.0.0.1:{port}"),
        ("FROM", "S <n@s.example>"),
        ("LINKS", "https://e.example"),
    ):
        monkeypatch.setenv(f"EDGEWISE_HUB_MAIL_{name}", value)
    postman.taken.clear()
    said = mail(capsys, data_dir, "send-test", "me@example.org", "--json").told
    assert said["to"] == "me@example.org"
    (envelope,) = postman.taken
    assert b"https://e.example/v1/mail/unsubscribe/" in envelope.content.replace(b"=\r\n", b"")
    postman.answers["RCPT"] = "550 5.1.1 nobody"
    refused = mail(capsys, data_dir, "send-test", "me@example.org")
    postman.answers.clear()
    assert refused.code != 0
    assert "it was not taken: NotAtAll 550 5.1.1 nobody" in refused.stderr
    monkeypatch.delenv("EDGEWISE_HUB_MAIL_URL")
    assert "no way to send mail; expected mail_url" in mail(capsys, data_dir, "send-test", "me@example.org").stderr


def test_the_outbox_tells_what_became_of_each(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    assert "no mail was ever put here" in mail(capsys, data_dir, "outbox").stdout
    with open_ledger(data_dir) as ledger:
        world = MailWorld(ledger)
        world.grant()
        world.put("cart-1")
        world.turn()
        world.put("cart-2", in_ms=60_000)
    told = mail(capsys, data_dir, "outbox", "--json").told
    assert {(each["state"], each["mails"]) for each in told["counts"]} == {("sent", 1), ("due", 1)}
    only = mail(capsys, data_dir, "outbox", "--state", "due", "--json").told["mails"]
    assert [each["key"] for each in only] == ["cart-2"]
    assert "ann@example.org" not in mail(capsys, data_dir, "outbox").stdout
    assert "expected one of due, writing" in mail(capsys, data_dir, "outbox", "--state", "lost").stderr


def test_operators_silence_an_address_and_take_it_back(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    address = address_hash(KeyFolder(data_dir).secrets().subject_key, "ann@example.org")
    assert mail(capsys, data_dir, "suppress", "Ann@Example.org", "--by", "officer", "--json").told == {
        "subject": address,
        "changed": True,
    }
    assert "as before" in mail(capsys, data_dir, "suppress", address, "--by", "officer").stdout
    (listed,) = mail(capsys, data_dir, "suppressed", "--json").told
    assert (listed["subject"], listed["reason"], listed["source"]) == (address, "stated", "officer")
    assert mail(capsys, data_dir, "unsuppress", address, "--by", "officer", "--json").told["changed"]
    assert mail(capsys, data_dir, "suppressed", "--json").told == []
    assert "expected NAME@DOMAIN" in mail(capsys, data_dir, "suppress", "ann", "--by", "officer").stderr
    with open_ledger(data_dir) as ledger:
        deeds = [row.what for row in ledger.audit()]
    assert sorted(deeds)[-2:] == ["mail suppress", "mail unsuppress"]


def test_bounces_are_read_from_files(capsys: pytest.CaptureFixture[str], data_dir: Path, tmp_path: Path) -> None:
    with open_ledger(data_dir) as ledger:
        world = MailWorld(ledger)
        world.grant()
        world.put()
        world.turn()
    (tmp_path / "bounce.eml").write_bytes(delivery("5.1.1"))
    (tmp_path / "answer.eml").write_bytes(b"Subject: Hello\r\n\r\nThank you!")
    told = mail(capsys, data_dir, "bounces", tmp_path / "bounce.eml", tmp_path / "answer.eml", "--json").told
    assert told == {"messages": 2, "reports": 1, "suppressed": 1}


def test_a_running_hub_sends_what_is_due_and_reads_what_comes_back(
    data_dir: Path, tmp_path: Path, post: tuple[Postman, int]
) -> None:
    postman, port = post
    postman.taken.clear()
    with open_ledger(data_dir) as ledger:
        world = MailWorld(ledger)
        world.grant()
        world.put()
        writer = AnyWriter()
        writer.write_as = lambda due, _: letter(due, why=("You left something.",))
        inbox = tmp_path / "inbox"
        (inbox / "new").mkdir(parents=True)
        keeper = MailKeeper(
            data_dir,
            ledger,
            lambda: writer,
            settings(port, mail_inbox=str(inbox)),
            environment={},
            clock=world.clock,
            log=start_log("critical"),
        )
        assert keeper.once().outcomes == {"sent": 1}
        (envelope,) = postman.taken
        assert envelope.rcpt_tos == ["ann@example.org"]
        (inbox / "new" / "1").write_bytes(delivery("5.1.1", own=world.row().message_id))
        assert keeper.once().outcomes == {}
        world.put("cart-2")
        assert keeper.once().outcomes == {"dropped": 1}
        assert world.row("cart-2").reason == "bounced"
        assert keeper.once().outcomes == {}  # nobody's place is taken where nothing is to be done
        world.put("cart-3")
        with held(ledger, "another", ManualClock(world.clock.now_ms()), name=LEASE), pytest.raises(RefusedError):
            keeper.once()


def test_a_hub_says_at_its_start_that_mail_cannot_be_sent(data_dir: Path) -> None:
    check_configured(HubSettings(), data_dir, os.environ)
    with pytest.raises(InputError, match="mail_links"):
        check_configured(settings(25, mail_links=""), data_dir, {})
    told: list[Serving] = []
    with pytest.raises(InputError, match="mail_links"):
        serve_until_stopped(data_dir, settings(25, mail_links=""), announce=told.append)
    assert not told
