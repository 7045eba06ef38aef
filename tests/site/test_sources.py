"""What is wrong with a source is said with file, line and cure; what is right loads."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewise.errors import SiteError
from hub.site.checking_sources import check_sources
from hub.site.loading import load_site
from hub.site.reading import read_files
from hub.sources.document import SourceName

TILL = """kind: offline
timezone: Europe/London
dates: [iso, "%d/%m/%Y"]
currency: GBP
identifiers: {userId: customer}
records:
  - event: Offline Purchase
    where: [{column: pieces, above: 0}]
    time: when
    group: [receipt]
    properties: {order_id: receipt}
    products:
      fields: {product_id: article, price: {column: price, type: money}}
retention: {days: 730, fields: {order_id: 365}}
"""


def problems(folder: Path, text: str) -> list[str]:
    """Everything that is wrong with a site of one source, `file:line: message`."""
    (folder / "site.yaml").write_text("name: shop\n")
    (folder / "sources").mkdir()
    (folder / "sources" / "till.yaml").write_text(text)
    try:
        files = read_files(folder)
    except SiteError as refused:
        return [f"{problem.path}: {problem.message}" for problem in refused.problems]
    return [f"{problem.path}: {problem.message}" for problem in check_sources(files)]


def test_a_source_that_is_right_loads(tmp_path: Path) -> None:
    assert problems(tmp_path, TILL) == []
    document = load_site(tmp_path).sources[SourceName("till")]
    assert (document.retention.days, document.retention.fields) == (730, {"order_id": 365})


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("Europe/London", "Europe/Lodnon", 2, "no time zone 'Europe/Lodnon'; did you mean 'Europe/London'?"),
        ("%d/%m/%Y", "%d.%m", 3, "does not say day, month and year"),
        ("[iso,", "[isoo,", 3, "no form of dates"),
        ("GBP", "GPB", 4, "no currency 'GPB'; did you mean"),
        ("currency: GBP\n", "", 12, "money of which currency?"),
        ("userId", "user_id", 5, "did you mean 'userId'?"),
        ("identifiers: {userId: customer}\n", "", 1, "no identifier is declared"),
        ("userId: customer", "userId: {colum: customer}", 5, "unknown key 'colum'; did you mean 'column'?"),
        ("- event: Offline Purchase\n    where", "- where", 7, "a track call has a name"),
        ("event: Offline Purchase", "event: Sold\n    name: x", 8, "only pages and screens have a name"),
        ("event: Offline Purchase", "event: Sold\n    scores: {vendor: v, model: m, fields: {a: b}}", 8, "of a person"),
        (", above: 0", "", 8, "nothing is asked of 'pieces'"),
        (", above: 0", ", abvoe: 0", 8, "unknown key 'abvoe'; did you mean 'above'?"),
        ("group: [receipt]", "group: [receipt]\n    each: lines", 11, "keep one of them"),
        ("{column: price, type: money}", "{type: money}", 13, "expected a `column` or a constant `value`"),
        ("type: money}", "type: integer, minor: true}", 13, "only money has minor units"),
        ("type: money}", "type: mony}", 13, "invalid enum value 'mony'"),
        ("type: money}", "type: money, others: reject}", 13, "no `values` that could be others"),
        ("fields: {order_id: 365}", "fields: {orderid: 365}", 14, "no field 'orderid'; did you mean 'order_id'?"),
        ("kind: offline", "kind: offlin", 1, "invalid enum value 'offlin'"),
        ("kind: offline", "preset: no_such\nkind: offline", 1, "no preset 'no_such'"),
        ("currency: GBP", "currency: GBP\nconvert: {to: EUR, rates: {USD: 0.9}}", 5, "no rate for GBP"),
        ("records:", "delimiter: '\"'\nrecords:", 6, "cannot stand between fields"),
        ("retention:", "vault: {email: {}}\nretention:", 14, "expected a `column` or a constant"),
        ("retention:", "consent: {profiling: {column: x}}\nretention:", 14, "profiling"),
    ],
    ids=repr,
)
def test_a_flaw_is_said_with_its_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in TILL
    (problem,) = problems(tmp_path, TILL.replace(old, new, 1))
    assert problem.startswith(f"sources/till.yaml:{line}: ")
    assert says in problem


def test_two_rules_of_one_name_need_labels(tmp_path: Path) -> None:
    rule = TILL[TILL.index("  - event") : TILL.index("retention")]
    (problem,) = problems(tmp_path, TILL.replace(rule, rule + rule))
    assert "rules 1 and 2 are both called 'Offline Purchase'; give one a `label`" in problem
