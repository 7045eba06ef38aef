"""The pages behind the links of a mail: plain HTML that needs no script, no style, no cookie."""

from __future__ import annotations

import html
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from edge.worker.endpoint import PRIVATE
from edge.worker.problems import Answer
from edgewise.dial import DIAL_EVERYTHING, DIAL_NOTHING

DAYS: Final = (0, 7, 30, 90)
"""What a reader may choose: at least so many days between two mails."""
_HEADERS: Final = [
    (b"content-type", b"text/html; charset=utf-8"),
    (
        b"content-security-policy",
        b"default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),  # the address holds the link's proof
    (b"x-robots-tag", b"noindex"),
    (b"x-content-type-options", b"nosniff"),
    PRIVATE,
]


class Said(NamedTuple):
    """One language's words."""

    unsubscribe: str
    unsubscribe_ask: str
    unsubscribe_do: str
    unsubscribed: str
    preferences: str
    often: str
    days: tuple[str, ...]
    personal: str
    dials: tuple[str, ...]
    save: str
    saved: str
    lower_only: str
    why: str
    no_why: str
    damaged: str
    later: str


_SAID: Final = {
    "en": Said(
        "Unsubscribe",
        "Do you want no more of these mails?",
        "Unsubscribe",
        "You get no more of these mails.",
        "How often, and how personal?",
        "How often may we write?",
        ("as it comes", "at most once a week", "at most once a month", "at most once in three months"),
        "What may we use for it?",
        ("nothing about me", "only the page I look at", "only my present visit", "all that I agreed to"),
        "Save",
        "Saved.",
        "With this link you can only choose less than before. To choose more, do so in the shop.",
        "Why you got this mail",
        "The mail says nothing more about why it was written.",
        "This link is damaged. Please take the whole link from the mail.",
        "This cannot be changed at the moment. Please try again in a minute.",
    ),
    "de": Said(
        "Abmelden",
        "Möchten Sie diese Mails nicht mehr bekommen?",
        "Abmelden",
        "Sie bekommen diese Mails nicht mehr.",
        "Wie oft, und wie persönlich?",
        "Wie oft dürfen wir schreiben?",
        ("wie es kommt", "höchstens einmal in der Woche", "höchstens einmal im Monat", "höchstens einmal im Quartal"),
        "Was dürfen wir dafür nutzen?",
        ("nichts über mich", "nur die Seite, die ich ansehe", "nur meinen jetzigen Besuch", "alles, dem ich zustimmte"),
        "Speichern",
        "Gespeichert.",
        "Mit diesem Link können Sie nur weniger wählen als bisher. Mehr wählen Sie im Shop.",
        "Warum Sie diese Mail bekamen",
        "Mehr sagt die Mail nicht darüber, warum sie geschrieben wurde.",
        "Dieser Link ist beschädigt. Bitte nehmen Sie den ganzen Link aus der Mail.",
        "Das lässt sich gerade nicht ändern. Bitte versuchen Sie es in einer Minute noch einmal.",
    ),
}


def said_in(locale: str) -> tuple[str, Said]:
    """The language that is spoken to who reads this locale, and its words."""
    language = locale.partition("-")[0].lower()
    return (language, _SAID[language]) if language in _SAID else ("en", _SAID["en"])


def ask_to_unsubscribe(locale: str) -> Answer:
    """A button; whoever only looks, a scanner for example, unsubscribes nobody."""
    _, said = said_in(locale)
    form = (
        f'<form method="post"><p>{_text(said.unsubscribe_ask)}</p>'
        '<input type="hidden" name="List-Unsubscribe" value="One-Click">'
        f"<button>{_text(said.unsubscribe_do)}</button></form>"
    )
    return page(locale, said.unsubscribe, form)


def unsubscribed(locale: str) -> Answer:
    """It is done."""
    _, said = said_in(locale)
    return page(locale, said.unsubscribe, f"<p>{_text(said.unsubscribed)}</p>")


def preferences(locale: str, *, dial: int, days: int, least_days: int, most_dial: int, is_saved: bool) -> Answer:
    """What holds, and what this link may choose."""
    _, said = said_in(locale)
    often = _choices(
        "days",
        [(each, words, each >= least_days) for each, words in zip(DAYS, said.days, strict=True)],
        chosen=max((each for each in DAYS if each <= days), default=0),
    )
    personal = _choices(
        "dial",
        [
            (each, words, each <= most_dial)
            for each, words in zip(range(DIAL_NOTHING, DIAL_EVERYTHING + 1), said.dials, strict=True)
        ],
        chosen=dial,
    )
    saved = f'<p role="status">{_text(said.saved)}</p>' if is_saved else ""
    form = (
        f'{saved}<form method="post">'
        f"<fieldset><legend>{_text(said.often)}</legend>{often}</fieldset>"
        f"<fieldset><legend>{_text(said.personal)}</legend>{personal}</fieldset>"
        f"<p>{_text(said.lower_only)}</p><button>{_text(said.save)}</button></form>"
    )
    return page(locale, said.preferences, form)


def why(locale: str, sentences: Sequence[str]) -> Answer:
    """Why the mail said what it said."""
    _, said = said_in(locale)
    told = "".join(f"<li>{_text(each)}</li>" for each in sentences)
    return page(locale, said.why, f"<ul>{told}</ul>" if told else f"<p>{_text(said.no_why)}</p>")


def damaged() -> Answer:
    """A link that this site did not make."""
    return page("en", "Edgewise", f"<p>{_text(_SAID['en'].damaged)}</p>", status=HTTPStatus.BAD_REQUEST)


def later(locale: str) -> Answer:
    """What must be known first is not known here yet."""
    _, said = said_in(locale)
    answer = page(locale, said.preferences, f"<p>{_text(said.later)}</p>", status=HTTPStatus.SERVICE_UNAVAILABLE)
    answer.headers.append((b"retry-after", b"60"))
    return answer


def page(locale: str, title: str, body: str, *, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """One page; `body` is HTML, `title` text."""
    language, _ = said_in(locale)
    text = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"></head><body><main><h1>{_text(title)}</h1>{body}'
        "</main></body></html>"
    )
    return Answer(status.value, text.encode(), list(_HEADERS))


def _choices(name: str, choices: Sequence[tuple[int, str, bool]], *, chosen: int) -> str:
    return "".join(
        f'<p><label><input type="radio" name="{name}" value="{value}"'
        f"{' checked' if value == chosen else ''}{'' if may else ' disabled'}> {_text(words)}</label></p>"
        for value, words, may in choices
    )


def _text(words: str) -> str:
    return html.escape(words)
