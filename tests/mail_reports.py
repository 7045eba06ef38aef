"""Bounces and complaints as mail systems send them."""

from __future__ import annotations

from mail_world import KEY

from hub.mail.sending import message_id_of

OWN = message_id_of(KEY, "cart-1")


def delivery(status: str, *, action: str = "failed", own: str = OWN, kind: str = "message/rfc822") -> bytes:
    """As a mail server reports it (RFC 3464)."""
    return f"""From: MAILER-DAEMON@mx.example
To: news@shop.example
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; somebody-else@example.org
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 nobody

--b
Content-Type: {kind}

Message-ID: <{own}@shop.example>
To: ann@example.org

--b--
""".replace("\n", "\r\n").encode()


def complaint(kind: str, own: str = OWN) -> bytes:
    """As a mailbox provider reports it (RFC 5965)."""
    return f"""From: feedback@mailbox.example
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

A complaint.
--b
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Mailbox/1.0
Version: 1

--b
Content-Type: message/rfc822

Message-ID: <{own}@shop.example>

--b--
""".replace("\n", "\r\n").encode()
