"""A mail to oneself, to see that mail arrives."""

from __future__ import annotations

from edgewise.ids import SubjectId
from hub.mail.letters import Due, Letter
from hub.mail.sending import address_hash, message_id_of

JOURNEY = "send-test"
_HTML = (
    "<html><body><h1>It arrived</h1><p>This is the test of <b>edgewise mail send-test</b>. Look at the original of "
    "this message: SPF, DKIM and DMARC should say <i>pass</i>, and below stand three links that should open pages of "
    "your edge.</p></body></html>"
)


def trial_letter(address: str, subject_key: bytes, entropy: bytes, now_ms: int) -> tuple[Due, Letter, str]:
    """What is written, to whom, and under which Message-ID. It is about nobody: its links act on the address alone."""
    key = f"{JOURNEY}/{now_ms}/{entropy.hex()}"
    person: SubjectId = address_hash(subject_key, address)
    due = Due(key=key, journey=JOURNEY, person=person, due_ms=now_ms, not_after_ms=now_ms)
    letter = Letter(to=address, subject="Edgewise: it arrived", html=_HTML, text="", why=("You sent it to yourself.",))
    return due, letter, message_id_of(subject_key, key)
