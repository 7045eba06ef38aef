"""Alerts reach a real HTTP server, signed, and a real SMTP server; what fails is tried again."""

from __future__ import annotations

import base64
import hmac
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typing_extensions import override

from edgewise.errors import InputError, UnavailableError
from edgewise.ids import BundleVersion, ModelName, PlacementName
from hub.learning.alerts import MOST_TRIES, Alert, Alerts, by_mail, by_webhook, need_of
from hub.learning.configured import SMTP_PASSWORD, WEBHOOK_SECRET, alerts_of, plan_of
from hub.ledger.learning import Step, StepName, StepState, Turn, TurnState
from hub.ledger.ledger import Ledger, open_ledger
from hub.settings import HubSettings

SECRET = b"a secret of some twenty-four bytes"
ALERT = Alert(
    id="turn-1-approval-9",
    type="learning.approval",
    time_ms=1_793_491_200_000,
    turn=1,
    model="hero",
    placement="home_hero",
    state="waiting",
    release=2,
    text="release 2 waits",
)
TURN = Turn(
    number=1,
    model=ModelName("hero"),
    registered=ModelName("ranker"),
    placement=PlacementName("home_hero"),
    state=TurnState.WAITING,
    began_ms=1,
    changed_ms=9,
    version=2,
    release=BundleVersion(2),
    reason="it waits",
)


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def receiver(status: int) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    came: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers["content-length"]))
            came.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", came


@contextmanager
def mail_server(refuse: str = "") -> Iterator[tuple[tuple[str, int], list[Message], list[str]]]:
    """RFC 5321 as far as a client without extensions speaks it."""
    messages: list[Message] = []
    receivers: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        @override
        def handle(self) -> None:
            self.wfile.write(b"220 test\r\n")
            while line := self.rfile.readline().decode().strip():
                word = line.partition(" ")[0].upper()
                if word == refuse:
                    self.wfile.write(b"550 no\r\n")
                elif word == "RCPT":
                    receivers.append(line.partition("<")[2].partition(">")[0])
                    self.wfile.write(b"250 ok\r\n")
                elif word == "DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = []
                    while (said := self.rfile.readline()) != b".\r\n":
                        lines.append(said)
                    messages.append(message_from_bytes(b"".join(lines)))
                    self.wfile.write(b"250 ok\r\n")
                elif word == "QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 ok\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        host, port = server.server_address[:2]
        yield (str(host), int(port)), messages, receivers


def test_a_webhook_is_signed_as_standard_webhooks_says() -> None:
    with receiver(204) as (url, came):
        by_webhook(url, SECRET)(ALERT)
    ((headers, body),) = came
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(SECRET, content, "sha256").digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (ALERT.id, "1793491200")
    assert msgspec.json.decode(body, type=Alert) == ALERT


def test_a_mail_says_what_to_run() -> None:
    with mail_server() as (server, messages, receivers):
        by_mail(server, "hub@shop.example", ["ann@shop.example", "bo@shop.example"], login=None, starttls=False)(ALERT)
    (message,) = messages
    assert receivers == ["ann@shop.example", "bo@shop.example"]
    assert message["Subject"] == "Edgewise: hero in home_hero: approval"
    assert message["Message-ID"] == "<turn-1-approval-9@shop.example>"
    assert "release 2 waits" in str(message.get_payload())


def test_who_does_not_take_it_is_said() -> None:
    with receiver(500) as (url, _), pytest.raises(UnavailableError, match="answered 500"):
        by_webhook(url, SECRET)(ALERT)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        by_webhook(url, SECRET)(ALERT)
    with mail_server("RCPT") as (server, _, _), pytest.raises(UnavailableError, match="did not take it"):
        by_mail(server, "hub@shop.example", ["ann@shop.example"], login=None, starttls=False)(ALERT)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (HubSettings(learn_webhook="ftp://x"), "expected an http or https URL"),
        (HubSettings(learn_mail_to=["ann"], learn_mail_from="hub@x"), "'ann' is no mail address"),
        (HubSettings(learn_mail_to=["a@x\r\nBcc: b@y"], learn_mail_from="hub@x"), "is no mail address"),
        (HubSettings(learn_mail_to=["a@x"], learn_mail_from="h@x", learn_smtp_user="u"), "only over TLS"),
    ],
)
def test_what_cannot_work_is_found_out_before_it_is_needed(settings: HubSettings, said: str, tmp_path: Path) -> None:
    environment = {WEBHOOK_SECRET: SECRET.decode(), SMTP_PASSWORD: "p"}
    with pytest.raises(InputError, match=said):
        alerts_of(settings, tmp_path, environment)


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    settings = HubSettings(learn_webhook="https://shop.example/hook")
    with pytest.raises(InputError, match="neither the variable EDGEWISE_LEARN_WEBHOOK_SECRET nor the file"):
        alerts_of(settings, tmp_path, {})
    with pytest.raises(InputError, match="has 5 bytes; expected at least 24"):
        alerts_of(settings, tmp_path, {WEBHOOK_SECRET: "short"})
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/learn-webhook.secret").write_bytes(SECRET + b"\n")
    alerts_of(settings, tmp_path, {})


def test_settings_say_how_the_loop_goes_about_it() -> None:
    plan = plan_of(HubSettings(learn_fewest=7, learn_canary_share=0.25, learn_stale_hours=2.0))
    assert (plan.gate.fewest_new, plan.canary_share, plan.gate.stale_hours) == (7, 0.25, 2.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        opened.begin_turn(TURN.model, TURN.registered, TURN.placement, 1)
        yield opened


def test_each_way_is_told_once_and_a_failing_one_again_under_the_same_id(ledger: Ledger) -> None:
    said: list[str] = []

    def takes(alert: Alert) -> None:
        said.append(alert.id)

    def fails(alert: Alert) -> None:
        said.append(alert.id)
        raise UnavailableError("away")

    alerts = Alerts({"mail": takes, "webhook": fails})
    first = alerts.about(TURN, ledger, now_ms=10)
    assert [(told.way, told.error) for told in first] == [("mail", ""), ("webhook", "away")]
    later = msgspec.structs.replace(TURN, changed_ms=50)
    for _ in range(MOST_TRIES + 2):
        alerts.about(later, ledger, now_ms=60)
    assert said == ["turn-1-approval-9"] * (1 + MOST_TRIES)
    assert len(ledger.steps(1)) == 1 + MOST_TRIES


def step(name: StepName, state: StepState) -> Step:
    return Step(turn=1, number=1, name=name, state=state, time_ms=1, who="loop")


@pytest.mark.parametrize(
    ("state", "last", "need"),
    [
        (TurnState.RUNNING, step(StepName.TRAIN, StepState.DONE), None),
        (TurnState.CANARY, step(StepName.CANARY, StepState.DONE), None),
        (TurnState.PROMOTED, step(StepName.PROMOTION, StepState.DONE), None),
        (TurnState.STOPPED, step(StepName.JUDGE, StepState.STOPS), None),
        (TurnState.STOPPED, step(StepName.APPROVAL, StepState.STOPS), None),
        (TurnState.WAITING, step(StepName.APPROVAL, StepState.WAITS), "approval"),
        (TurnState.READY, step(StepName.WATCH, StepState.WAITS), "promotion"),
        (TurnState.STOPPED, step(StepName.WATCH, StepState.STOPS), "stopped"),
        (TurnState.STOPPED, step(StepName.TRAIN, StepState.FAILED), "failed"),
    ],
)
def test_people_are_told_when_one_is_needed(state: TurnState, last: Step, need: str | None) -> None:
    turn = msgspec.structs.replace(TURN, state=state)
    told = step(StepName.ALERT, StepState.FAILED)
    assert need_of(turn, [last]) == need
    assert need_of(turn, [last, told]) == need, "that somebody could not be told is no failure of the turn"
