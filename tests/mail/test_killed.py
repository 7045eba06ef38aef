"""A hub that is killed while a mail server has the content and says nothing: uncertain, and never sent again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from mail_post import Postman, serving
from mail_world import MailWorld

from hub.ledger.ledger import open_ledger
from hub.mail.states import MailState

pytestmark = [pytest.mark.process, pytest.mark.slow]

_LIFE = """
import sys
from pathlib import Path
from mail_world import KEY, MailWorld
from edgewise.mail_links import MailSeal
from hub.ledger.ledger import open_ledger
from hub.mail.composing import House, MessageComposer
from hub.mail.smtp import BySmtp, SmtpServer
with open_ledger(Path(sys.argv[1])) as ledger:
    world = MailWorld(ledger)
    world.way = BySmtp(SmtpServer("127.0.0.1", int(sys.argv[2]), is_tls=False))
    world.composer = MessageComposer(House("n@s.example", "S", "https://e.example"), MailSeal(KEY), KEY)
    world.lives = int(sys.argv[3])
    print(world.turn())
"""


def life(data_dir: Path, port: int, number: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", _LIFE, str(data_dir), str(port), str(number)]
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(words, env=path, stdout=subprocess.PIPE, text=True)


def test_kill_9_between_the_content_and_its_answer(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        world = MailWorld(ledger)
        world.grant()
        world.put("cart-1")
        world.put("cart-2", in_ms=1)  # not due on a clock that stands still
    postman = Postman()
    postman.holds = threading.Event()
    with serving(postman) as port:
        first = life(tmp_path, port, 0)
        assert postman.began.wait(60)
        first.send_signal(signal.SIGKILL)
        first.communicate()
        postman.holds.set()
        second = life(tmp_path, port, 1)
        told, _ = second.communicate(timeout=60)
        assert told == "{'uncertain': 1}\n"
    with open_ledger(tmp_path) as ledger:
        world = MailWorld(ledger)
        assert world.state("cart-1") is MailState.UNCERTAIN
        assert world.state("cart-2") is MailState.DUE
        (content,) = postman.contents
        assert world.row("cart-1").message_id.encode() in content
