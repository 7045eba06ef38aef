"""A shop, a CRM and a newsletter about the same thirty customers, each in its own files; faults are planted by hand."""

import csv
import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hub_process import edgewise

PEOPLE = 30
AS_OF = dt.date(2026, 11, 20)
_CRM = """kind: crm
consent: granted
key: [member]
identifiers: {userId: member, email: email}
records:
  - {type: identify, time: changed, traits: {job_title: job}}
vault: {member: member, email: email, name: name}
"""
_SHOP = """kind: shop
consent: granted
key: [number]
identifiers: {userId: customer}
records:
  - {event: Product Viewed, time: when, where: [{column: what, is: view}], products: {fields: {product_id: article}}}
  - {event: Product Added, time: when, where: [{column: what, is: cart}], products: {fields: {product_id: article}}}
  - {event: Order Completed, time: when, where: [{column: what, is: order}], properties: {order_id: number}}
"""
_MAIL = """kind: email
consent: granted
key: [number]
identifiers: {email: address}
records:
  - {event: Email Opened, time: when}
"""


def member(number: int) -> str:
    return f"00{4711 + number}"


def address(number: int) -> str:
    return f"reader{number}@{('gmail.com', 'mail.example')[number % 2]}"


class AuditWorld:
    """A hub's folder and a site, filled by `edgewise import source`."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capsys = capsys
        self.hub, self.site, self._files = folder / "hub", folder / "site", folder / "files"
        for needed in (self.site / "sources", self.site / "items", self._files):
            needed.mkdir(parents=True)
        (self.site / "site.yaml").write_text("name: shop\n", encoding="utf-8")
        for name, text in (("crm", _CRM), ("shop", _SHOP), ("newsletter", _MAIL)):
            (self.site / "sources" / f"{name}.yaml").write_text(text, encoding="utf-8")
        assert edgewise(capsys, "keys", "init", "--data-dir", self.hub).code == 0

    def fill(
        self,
        *,
        in_crm: Callable[[str], str] = lambda number: number,
        in_shop: Callable[[str], str] = lambda number: number,
        on_list: Callable[[str], str] = lambda mail: mail,
        newsletter_until: dt.date = AS_OF,
    ) -> None:
        """Twenty days of data; the functions say how a source writes a member or an address."""
        days = [AS_OF - dt.timedelta(days=back) for back in range(20)]
        self._bring(
            "crm",
            ("member", "email", "name", "job", "changed"),
            [
                (
                    in_crm(member(n)),
                    address(n),
                    f"Person Number{n}",
                    "baker" if n % 3 else "",
                    f"{days[n % 20]}T08:00:00Z",
                )
                for n in range(PEOPLE)
            ],
        )
        visits = [
            (f"{what}{n}-{day}", in_shop(member(n)), what, f"article{n % 5}", f"{day}T10:00:00Z")
            for n in range(PEOPLE)
            for day in days[n % 3 :: 3]
            for what in ("view", "cart", "order")[: 1 + n % 3]
        ]
        self._bring("shop", ("number", "customer", "what", "article", "when"), visits)
        opened = [newsletter_until - dt.timedelta(days=back) for back in range(15)]
        self._bring(
            "newsletter",
            ("number", "address", "when"),
            [
                (f"{n}-{day}", on_list(address(n)), f"{day}T07:00:00Z")
                for n in range(PEOPLE)
                for day in opened[n % 2 :: 2]
            ],
        )

    def audit(self, *words: str | Path, journey: str = "abandoned-cart") -> dict[str, object]:
        """What `edgewise data audit --json` tells."""
        told: dict[str, object] = self.run("--journey", journey, "--json", *words).told
        return told

    def run(self, *words: str | Path):  # type: ignore[no-untyped-def]  # noqa: ANN201
        return edgewise(
            self._capsys, "data", "audit", "--data-dir", self.hub, "--site", self.site, "--as-of", str(AS_OF), *words
        )

    def _bring(self, name: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        path = self._files / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([columns, *rows])
        ended = edgewise(
            self._capsys, "import", "source", name, path, "--site", self.site, "--data-dir", self.hub, "--json"
        )
        assert ended.told["rejected"] == 0, ended.told
        assert ended.told["stored"] > 0
