"""`edgewise codes`: promotion codes: how their budgets stand, and what one code is worth."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import By
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.codes.book import CodeBook, Verdict
    from hub.codes.redeeming import Redeemer
    from hub.ledger.ledger import Ledger

app = typer.Typer(no_args_is_help=True, help="Promotion codes: budgets, and what a single code is worth.")

Code = Annotated[str, typer.Argument(metavar="CODE", help="As the customer has it; hyphens and case do not matter.")]


class _Codes(NamedTuple):
    ledger: Ledger
    book: CodeBook
    redeemer: Redeemer


@app.command("list")
def list_(data_dir: DataDir, *, json: Json = False, quiet: Quiet = False) -> None:
    """List promotions: their totals, what is redeemed, what nodes have, what is free."""
    from hub.admin.codes import code_budgets

    terminal = Terminal(json=json, quiet=quiet)
    with _codes(data_dir) as codes:
        budgets = code_budgets(codes.ledger)
    rows: list[list[Any]] = [
        [one.promotion, one.total, one.redeemed, one.open, one.free, sum(one.denied.values())] for one in budgets
    ]
    text = table(["promotion", "total", "redeemed", "open", "free", "denied"], rows)
    nothing = "no codes were lent yet: nodes ask for some when a release with `promotions/` reaches them"
    terminal.result({"promotions": budgets}, text if rows else nothing)


@app.command()
def show(
    promotion: Annotated[str, typer.Argument(metavar="PROMOTION")],
    data_dir: DataDir,
    *,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show one promotion: its terms, its budget, the nodes that have numbers of it, and why codes were denied."""
    from edgewise.errors import InputError
    from hub.admin.codes import code_budgets

    terminal = Terminal(json=json, quiet=quiet)
    with _codes(data_dir) as codes:
        terms = {str(name): offer for name, offer in codes.book.terms().items()}
        budget = next((one for one in code_budgets(codes.ledger) if one.promotion == promotion), None)
        holders = codes.ledger.code_leases_of(promotion)
    if promotion not in terms:
        raise InputError(f"no promotion {promotion!r}; there are {', '.join(sorted(terms)) or 'none'}")
    lines = [f"{promotion}: at most {terms[promotion].total:,} codes, each for {terms[promotion].valid_days} days"]
    if budget is not None:
        lines.append(f"{budget.redeemed:,} redeemed, {budget.open:,} open, {budget.free:,} free")
        lines += [f"denied, {reason}: {count:,}" for reason, count in budget.denied.items()]
    rows: list[list[Any]] = [[one.node, one.first, one.last, one.taken, one.state] for one in holders]
    told = {"promotion": promotion, "terms": terms[promotion], "budget": budget, "leases": holders}
    terminal.print("\n".join(lines))
    terminal.result(told, table(["node", "first", "last", "taken", "state"], rows))


@app.command()
def check(
    code: Code,
    data_dir: DataDir,
    *,
    user: Annotated[str | None, typer.Option(metavar="ID", help="userId of who presents it.")] = None,
    anonymous: Annotated[str | None, typer.Option(metavar="ID", help="anonymousId of who presents it.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say whether a code would be redeemed now, and redeem nothing; exit 1 if not."""
    with _codes(data_dir) as codes:
        names = _names(user, anonymous)
        verdict = codes.book.check(code, codes.redeemer.subjects_of(names) if names else None)
    _told(verdict, "the code holds", Terminal(json=json, quiet=quiet))


@app.command()
def redeem(
    code: Code,
    data_dir: DataDir,
    *,
    order: Annotated[str, typer.Option(metavar="ID", help="The order; the same one again redeems nothing more.")],
    user: Annotated[str | None, typer.Option(metavar="ID", help="userId of who ordered.")] = None,
    anonymous: Annotated[str | None, typer.Option(metavar="ID", help="anonymousId of who ordered.")] = None,
    value: Annotated[float | None, typer.Option(min=0, help="Of the order, before the discount.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Redeem a code for an order, once; exit 1 when it is not accepted."""
    from edgewise.clock import SystemClock
    from hub.codes.book import Purchase

    names = _names(user, anonymous)
    if not names:
        raise typer.BadParameter("whose order is it? give one of the two", param_hint="--user or --anonymous")
    with _codes(data_dir) as codes:
        purchase = Purchase(order, SystemClock().now_ms(), value, "command")
        verdict = codes.redeemer.redeem(code, purchase, names)
    _told(
        verdict, "redeemed" if verdict.is_new else "redeemed before, for this order", Terminal(json=json, quiet=quiet)
    )


@app.command()
def revoke(
    code: Code,
    data_dir: DataDir,
    *,
    reason: Annotated[str, typer.Option(metavar="WORDS", help="Why; it stands in the audit log.")],
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take a code back: the hub refuses it from now on, nodes within seconds; exit 1 when it is redeemed already."""
    from hub.audit import person

    with _codes(data_dir) as codes:
        verdict = codes.book.revoke(code, who=person(by, os.environ), reason=reason)
    _told(verdict, "revoked", Terminal(json=json, quiet=quiet))


@contextlib.contextmanager
def _codes(data_dir: Path) -> Iterator[_Codes]:
    import structlog

    from edgewise.clock import SystemClock
    from hub.codes.book import CodeBook, released_promotions
    from hub.codes.redeeming import Redeemer
    from hub.keys import KeyFolder
    from hub.ledger.ledger import open_ledger
    from hub.release.live_policy import LivePolicy
    from hub.release.opening import site_repository

    clock = SystemClock()
    policy = LivePolicy(site_repository(data_dir, clock))
    with open_ledger(data_dir) as ledger:
        book = CodeBook(ledger, released_promotions(policy), clock, os.urandom)
        redeemer = Redeemer(ledger, book, lambda: KeyFolder(data_dir).secrets().subject_key, structlog.get_logger())
        yield _Codes(ledger, book, redeemer)


def _names(user: str | None, anonymous: str | None) -> dict[str, str]:
    names = {"userId": user, "anonymousId": anonymous}
    return {kind: name for kind, name in names.items() if name is not None}


def _told(verdict: Verdict, good: str, terminal: Terminal) -> None:
    from edgewise.codes.refusals import WORDS

    denial, code = verdict.denial, verdict.code
    told = {
        "accepted": denial is None,
        "reason": denial,
        "promotion": None if code is None else code.promotion,
        "number": None if code is None else code.number,
        "ends_ms": None if code is None else code.ends_ms,
        "is_new": verdict.is_new,
    }
    which = "" if code is None else f" ({code.promotion}, number {code.number})"
    terminal.result(told, (good if denial is None else f"{denial.value}: {WORDS[denial]}") + which)
    if denial is not None:
        raise typer.Exit(1)
