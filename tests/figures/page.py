"""The sheet as one HTML page that needs neither script nor network: table, reasons, plots and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from edge.bench.curve import Series, chart, log_axis
from edge.bench.page import POLICY, STYLE
from figures.figure import Curve, Verdict
from figures.sheet import COLUMNS, Sheet, cells, curve_rows, where

_STYLE: Final = f"""{STYLE}
body{{max-width:60rem}}th,td{{vertical-align:top}}
.words td:last-child,.words th:last-child{{text-align:left}}.short{{font-weight:bold}}
"""
_METHOD: Final = (
    "Latencies are open loop and count from the moment at which a request was due; throughput is a closed loop, "
    "counted in processor time. Warm-up is left out; floors are of the same run; shown is the median of the runs."
)


def page(sheet: Sheet) -> str:
    """The whole page."""
    kept = sum(row.verdict in {Verdict.PASS, Verdict.AIM} for row in sheet.rows)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>Performance figures</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>Performance figures</h1><p>{kept} of {len(sheet.rows)} rows keep what they must.</p>",
        _table(COLUMNS, [cells(row) for row in sheet.rows], [row.verdict is Verdict.FAIL for row in sheet.rows]),
        _reasons(sheet),
        *(_curve(curve) for curve in sheet.curves),
        f"<h2>Measured on</h2><p><small>{escape(where(sheet))}</small></p><p><small>{_METHOD}</small></p>",
        "</main></body></html>",
    ]
    return "".join(parts) + "\n"


def _reasons(sheet: Sheet) -> str:
    said = [f"{row.id}, {row.verdict}: {row.what}: {row.reason}" for row in sheet.rows if row.reason]
    said += [f"{figure} broke: {how}" for figure, how in sheet.failed.items()]
    return f"<h2>Why</h2><ul>{''.join(f'<li>{escape(each)}</li>' for each in said)}</ul>" if said else ""


def _curve(curve: Curve) -> str:
    points = [point for line in curve.lines.values() for point in line if point.x > 0 and point.y > 0]
    if not points:
        return ""
    x = log_axis(curve.x, [point.x for point in points])
    y = log_axis(curve.y, [point.y for point in points])
    series = [
        Series(name, [(point.x, point.y) for point in line if point.x > 0 and point.y > 0])
        for name, line in curve.lines.items()
    ]
    drawn = chart(curve.title, x, y, series)
    return f"<h2>{escape(curve.title)}</h2>{drawn}{_table([curve.x, *curve.lines], curve_rows(curve))}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], short: Sequence[bool] = ()) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    kinds = [" class=short" if is_short else "" for is_short in short] or [""] * len(rows)
    body = "".join(
        f"<tr{kind}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for kind, row in zip(kinds, rows, strict=True)
    )
    words = " words" if short else ""
    return f'<div class="wide{words}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
