"""The figures as one page, without script and without anything to load."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from html import escape
from typing import Final

from hub.prove.figure import Proof
from hub.prove.scenario import SCENARIOS
from hub.prove.words import in_a_line, in_parameters

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2330}
table{border-collapse:collapse;width:100%;margin:.5rem 0 2rem}
td,th{padding:.25rem .75rem .25rem 0;border-bottom:1px solid #d5d9e2;text-align:left}
td.figure,th.figure{text-align:right;font-variant-numeric:tabular-nums}
.pass{color:#17663a}.FAIL{color:#a4161a;font-weight:bold}.hint{color:#5a6272}
@media (prefers-color-scheme:dark){body{background:#14171d;color:#e6e9ef}td,th{border-color:#333a48}
.pass{color:#6fcf97}.FAIL{color:#ff8087}.hint{color:#9aa3b5}}
"""


def page(proofs: Sequence[Proof]) -> str:
    """HTML 5, encoded as UTF-8 by the caller."""
    passed = all(proof.passed for proof in proofs)
    said = "Every figure is what it must be." if passed else "Not every figure is what it must be."
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>What edgewise prove measured</title><style>{_STYLE}</style></head><body>
<h1>What <code>edgewise prove</code> measured</h1>
<p class="{"pass" if passed else "FAIL"}">{said}</p>
<p class="hint">{escape(f"{platform.machine()}, {platform.system()} {platform.release()}")}, Python
{escape(platform.python_version())}. A figure without a bound is the size of the sample behind the others.</p>
{"".join(map(_section, proofs))}</body></html>
"""


def _section(proof: Proof) -> str:
    about = next((each.about for each in SCENARIOS if each.name == proof.scenario), "")
    rows = "".join(
        f'<tr><th scope="row">{escape(figure.what)}</th><td class="figure">{escape(figure.in_words)}</td>'
        f'<td class="figure">{escape("" if figure.must is None else str(figure.must))}</td>'
        f'<td class="{figure.verdict}">{figure.verdict}</td></tr>'
        for figure in proof.figures
    )
    head = (
        '<tr><th scope="col">what</th><th scope="col" class="figure">figure</th>'
        '<th scope="col" class="figure">must be</th><th scope="col"></th></tr>'
    )
    drawn = f"<table>{head}{rows}</table>" if rows else ""
    return (
        f"<h2>{escape(proof.scenario)}</h2><p>{escape(about)}.</p>"
        f'<p class="hint">{escape(in_parameters(proof))}. {escape(in_a_line(proof))}</p>{drawn}'
    )
