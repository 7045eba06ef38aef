"""Codes in mails: out of the same budget, the person's own, and none for whoever may not be known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from codes_world import ANN, BO, NODE, SPRING, Book, opened_book, promotion
from journeys_world import TREATMENTS, shop, treatment
from mail_world import MailWorld
from world import bundle, catalogue

from edgewise.admission.load import Bundle
from edgewise.codes.code import keys_of, verify
from edgewise.ids import ItemId
from edgewise.profile.state import DAY_MS
from edgewise.promises import promised_content
from edgewise.request import Context
from hub.codes.mailing import MailCodes
from hub.journeys.deciding import Decider
from hub.ledger import tables
from hub.ledger.code_leases import lease_of_mail
from hub.mail.sending import KEPT_MS
from hub.rights.retaining import Retained, steps
from hub.rights.retention import Retention
from hub.scoring_child import ScoringChild

SHIPPING = ItemId("shipping")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with opened_book(tmp_path) as opened:
        opened.promotions = {SPRING: promotion(8)}
        yield opened


@pytest.fixture
def codes(book: Book) -> MailCodes:
    return MailCodes(book.ledger, book.book)


def release(offer: str) -> Bundle:
    """The mails' shop, whose first treatment comes with a code."""
    made = shop()
    offered = {SPRING: promotion(8, when_out=offer)}
    items = [
        msgspec.structs.replace(item, promotion=SPRING) if item.id == SHIPPING else item for item in made.items.items
    ]
    return bundle(policy=msgspec.structs.replace(made.policy, promotions=offered), catalogue=catalogue(items))


def test_every_code_is_a_number_of_its_own_that_counts_at_once(book: Book, codes: MailCodes) -> None:
    now_ms = book.clock.time_ms
    made = [codes.promise({SHIPPING: SPRING}, ANN, mail, now_ms)[SHIPPING] for mail in ("m-1", "m-2")]
    assert [promise.number for promise in made] == [1, 2]
    assert book.budget() == (6, 2, 0)
    read = verify(made[0].text, keys_of([book.key()]))
    assert read is not None
    assert read.ends_ms == made[0].ends_ms
    assert book.book.redeem(made[0].text, book.purchase("o-1"), [ANN]).is_new


def test_a_mail_that_is_written_again_has_the_number_that_it_had(book: Book, codes: MailCodes) -> None:
    first = codes.promise({SHIPPING: SPRING}, ANN, "m-1", book.clock.time_ms)
    while codes.promise({SHIPPING: SPRING}, ANN, f"m-{book.budget()}", book.clock.time_ms):
        pass
    assert book.budget() == (0, 8, 0)
    assert codes.unpromised(book.promotions, "another", book.clock.time_ms) == (SPRING,)
    assert codes.unpromised(book.promotions, "m-1", book.clock.time_ms) == ()
    assert codes.promise({SHIPPING: SPRING}, ANN, "m-1", book.clock.time_ms) == first
    assert book.budget() == (0, 8, 0)
    book.later(60)
    assert codes.promise({SHIPPING: SPRING}, ANN, "m-1", book.clock.time_ms) == {}, "nobody could redeem it"


def test_the_lease_of_an_erased_person_s_mail_names_nobody(book: Book, codes: MailCodes) -> None:
    """The number stays taken and is redeemed; whose mail it was in cannot be found out from its lease."""
    outbox = MailWorld(book.ledger)
    for key, person in (("cart-1", ANN), ("cart-2", BO)):
        assert outbox.put(key, person=person)
    promise, others = (
        codes.promise({SHIPPING: SPRING}, person, key, book.clock.time_ms)[SHIPPING]
        for key, person in (("cart-1", ANN), ("cart-2", BO))
    )
    before = book.budget()
    assert book.ledger.is_code_lent(lease_of_mail("cart-1", SPRING))
    book.ledger.erase(ANN, book.clock.time_ms)
    assert leases(book) == ["spring/1", lease_of_mail("cart-2", SPRING)]
    assert book.budget() == before
    assert book.book.redeem(promise.text, book.purchase("o-1"), [ANN]).is_new
    assert codes.promise({SHIPPING: SPRING}, BO, "cart-2", book.clock.time_ms)[SHIPPING] == others


def test_so_are_leases_of_mails_that_were_written_while_he_was_erased_or_are_too_old(
    tmp_path: Path, book: Book, codes: MailCodes
) -> None:
    outbox = MailWorld(book.ledger)
    outbox.put("cart-1", person=ANN)
    book.ledger.erase(ANN, book.clock.time_ms)
    outbox.put("cart-2", person=BO, in_ms=DAY_MS)
    for key, person in (("cart-1", ANN), ("cart-2", BO)):
        codes.promise({SHIPPING: SPRING}, person, key, book.clock.time_ms)
    book.lend(2)
    (_, living, lent) = leases(book)
    assert living == lease_of_mail("cart-2", SPRING)
    retain(book, tmp_path)
    assert leases(book) == ["spring/1", living, lent], "what nodes have is theirs"
    outbox.clock.advance(3 * DAY_MS)
    outbox.turn()  # too late for the mail
    retain(book, tmp_path)
    assert leases(book) == ["spring/1", living, lent], "it can be looked at"
    outbox.clock.advance(KEPT_MS + DAY_MS)
    outbox.turn()
    retain(book, tmp_path)
    assert leases(book) == ["spring/1", "spring/2", lent]


def retain(book: Book, folder: Path) -> None:
    """What a hub does once a day."""
    for _ in steps(book.ledger, Retention(), folder, Retained(), now_ms=book.clock.time_ms):
        pass


def leases(book: Book) -> list[str]:
    with book.ledger.storage.reading() as connection:
        columns = tables.code_leases.c
        found = connection.execute(sa.select(columns.lease, columns.incarnation).order_by(columns.first)).all()
    assert all(row.incarnation in {row.lease, "i1"} for row in found)
    return [row.lease for row in found]


def test_with_nodes_it_never_promises_more_than_the_total(book: Book, codes: MailCodes) -> None:
    while book.lend(9, node=NODE, incarnation=f"i-{book.budget() if book.ledger.budgets() else ''}"):
        pass
    before = book.budget()
    assert before[0] == 0
    assert codes.promise({SHIPPING: SPRING}, ANN, "m-1", book.clock.time_ms) == {}
    assert codes.unpromised(book.promotions, "m-1", book.clock.time_ms) == (SPRING,)
    assert book.budget() == before


def test_a_mail_is_decided_with_its_code_or_without_its_item(book: Book, codes: MailCodes) -> None:
    now_ms, made = book.clock.time_ms, release("hide")
    alone = Decider(book.ledger, lambda: made, ScoringChild())
    decided = alone.decide(ANN, (TREATMENTS,), key="k", now_ms=now_ms, context=Context())
    assert [item.id for item in decided.outcome.decision.placements[TREATMENTS].items] == ["guide"]
    assert alone.promises(decided, ANN, "m-1", now_ms) == {}
    assert decided.record.unpromised == (SPRING,)

    decider = Decider(book.ledger, lambda: made, ScoringChild(), codes)
    decided = decider.decide(ANN, (TREATMENTS,), key="k", now_ms=now_ms, context=Context())
    assert [item.id for item in decided.outcome.decision.placements[TREATMENTS].items] == [SHIPPING]
    promise = decider.promises(decided, ANN, "m-1", now_ms)[SHIPPING]
    content = promised_content(treatment("shipping").content, promise, book.promotions[SPRING], "EUR")
    assert content["code"] == promise.text
    assert content["discount"] == "15 %"
