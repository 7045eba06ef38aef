"""A preview as one HTML page: what would be seen, wide and narrow, why it was chosen, and what stands in for it.

The page runs nothing and loads nothing but the pictures of contents. What is seen stands in frames of its own, so that
the preview's looks are not the site's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

from edgewise.decision import ChosenItem
from edgewise.ids import ItemId
from hub.preview.deciding import Asked, Seen

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline' http: https:; img-src http: https:; frame-src 'self'"
NARROW: Final = 390
"""Pixels: a telephone."""
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1d2330;--paper:#fff;--faint:#d5d9e2}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ef;--paper:#14171d;--faint:#333a48}}
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:var(--ink);
background:var(--paper)}
iframe{border:1px solid var(--faint);border-radius:6px;background:#fff;width:100%;height:24rem;resize:both}
iframe.narrow{width:390px;max-width:100%}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--faint);text-align:left;
vertical-align:top}.wide{overflow-x:auto}pre{white-space:pre-wrap;overflow-wrap:anywhere}
.warning{color:#a3480f;font-weight:600}
@media (prefers-color-scheme:dark){.warning{color:#f0a35e}}
"""


class Look(NamedTuple):
    """What the frames take from the site."""

    styles: tuple[str, ...] = ()
    """Addresses of its style sheets."""
    base: str = ""
    """Where relative addresses of pictures belong to; blank: nowhere."""


PLAIN: Final = Look()


def preview_page(asked: Asked, seen: Seen, look: Look = PLAIN) -> str:
    """The page, as one that needs nothing beside it."""
    title = f"{asked.placement} for {asked.visitor.name}"
    parts = [
        f"<p>{escape(_told(asked, seen))}</p>",
        *(f'<p class="warning">{escape(item)} is left out: {escape(why)}</p>' for item, why in seen.left_out.items()),
        "<h2>What would be seen</h2>",
        frame(seen.html, asked.locale, look, f"{asked.placement}, wide"),
        "<h2>The same on a telephone</h2>",
        frame(seen.html, asked.locale, look, f"{asked.placement}, narrow", "narrow"),
        "<h2>Why</h2>",
        why_table(seen.items, seen.titles),
        "<h2>What stands in where nothing can be decided</h2>",
        frame(seen.fallback, asked.locale, look, f"{asked.placement}, fallback"),
        f"<details><summary>HTML</summary><pre>{escape(seen.html)}</pre></details>",
    ]
    return document(title, parts)


def document(title: str, parts: Sequence[str]) -> str:
    """A page of a preview; `parts` are HTML."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>"
        f"{''.join(parts)}</main></body></html>\n"
    )


def _told(asked: Asked, seen: Seen) -> str:
    experiment = seen.experiment
    arm = f"arm {seen.arm}" if seen.arm else "no arm"
    taking_part = (
        "" if experiment is None else f" of experiment {experiment.key}{' (forced)' if experiment.forced else ''}"
    )
    allows = "allows personal content" if asked.visitor.grants.personalisation else "does not allow personal content"
    return f"{seen.reason}, {arm}{taking_part}; locale {asked.locale or 'for everybody'}; the visitor {allows}"


def frame(html: str, locale: str, look: Look, title: str, kind: str = "") -> str:
    """HTML in a frame of its own, in which nothing runs."""
    links = "".join(f'<link rel="stylesheet" href="{escape(style)}">' for style in look.styles)
    base = f'<base href="{escape(look.base)}">' if look.base else ""
    inner = (
        f'<!doctype html><html lang="{escape(locale or "en")}"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>{base}{links}</head><body>{html}</body></html>"
    )
    # Without `allow-scripts`: whatever the page's policy says, nothing in a frame runs.
    return f'<iframe sandbox title="{escape(title)}" class="{kind}" srcdoc="{escape(inner)}"></iframe>'


def why_table(items: Sequence[ChosenItem], titles: Mapping[ItemId, str]) -> str:
    """What was chosen, and why."""
    if not items:
        return "<p>Nothing was chosen.</p>"
    rows = "".join(
        f"<tr><td>{item.rank}</td><td>{escape(titles[item.id])}<br><small>{escape(item.id)}</small></td>"
        f"<td>{escape(item.reason)}</td><td>{item.score:.4g}</td><td>{item.propensity:.3g}</td>"
        f"<td>{'<br>'.join(escape(why.text) for why in item.why)}</td></tr>"
        for item in items
    )
    head = "".join(f"<th>{name}</th>" for name in ("rank", "item", "reason", "score", "probability", "why"))
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
