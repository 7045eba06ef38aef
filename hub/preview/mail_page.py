"""A mail's preview as one HTML page: as it would be read, wide and narrow, its plain part, and why it says that."""

from __future__ import annotations

from html import escape

from edgewise.decision import PlacementDecision
from hub.preview.mails import AskedMail, SeenMail
from hub.preview.page import PLAIN, document, frame, why_table


def mail_page(asked: AskedMail, seen: SeenMail) -> str:
    """The page, as one that needs nothing beside it."""
    title = f"{asked.journey} for {asked.visitor.name}"
    parts = [f"<p>{escape(told(asked.step.treatments, seen.treatment))}</p>"]
    parts += [f'<p class="warning">{escape(line)}</p>' for line in warnings(asked, seen)]
    if seen.subject:
        parts += [
            f"<h2>{escape(seen.subject)}</h2>",
            frame(seen.html, asked.locale, PLAIN, f"{asked.journey}, wide"),
            "<h2>The same on a telephone</h2>",
            frame(seen.html, asked.locale, PLAIN, f"{asked.journey}, narrow", "narrow"),
            f"<h2>Without HTML</h2><pre>{escape(seen.text)}</pre>",
        ]
    parts += [
        "<h2>Why</h2>",
        f"<p>From the cart: {escape(', '.join(seen.cart)) or 'nothing'}.</p>",
        why_table(seen.items, seen.titles),
    ]
    return document(title, parts)


def told(name: str, placed: PlacementDecision) -> str:
    """Of the treatments: by which arm, and why."""
    of = "" if placed.experiment is None else f" of experiment {placed.experiment.key}"
    forced = " (forced)" if placed.experiment is not None and placed.experiment.forced else ""
    return f"{name}: {placed.reason}, arm {placed.policy or 'none'}{of}{forced}"


def warnings(asked: AskedMail, seen: SeenMail) -> list[str]:
    """What keeps the mail from being sent like this."""
    found = [] if seen.subject else ["nothing is sent: no treatment was chosen"]
    found += [f"not sent to him as things are: {asked.reader.against}"] if asked.reader.against else []
    return [*found, *([seen.trouble] if seen.trouble else [])]
