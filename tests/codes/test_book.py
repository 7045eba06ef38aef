"""The hub's book: what is lent, given back, redeemed and refused; on both databases where SQL does the work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from codes_world import ANN, BO, NODE, OTHER, SPRING, Book, opened_book, promotion

from edgewise.codes.code import CodeKey, day_of, write_code
from edgewise.codes.refusals import Denial
from edgewise.profile.state import DAY_MS
from hub.ledger.code_leases import Held


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with opened_book(tmp_path) as opened:
        yield opened


def held(book: Book, taken: int, incarnation: str = "i1", *, node: str = NODE, finished: bool = False) -> Held:
    """The node's only lease, as it would say it."""
    lent = book.book.lend(node, incarnation, [], {})  # type: ignore[arg-type]
    return Held(lent.leases[0].id, incarnation, taken, finished)


def code(book: Book, number: int, subject: str = ANN, days: int = 5, key: CodeKey | None = None) -> str:
    return write_code(key or book.key(), number, day_of(book.clock.time_ms) + days, subject)  # type: ignore[arg-type]


def test_a_quarter_of_what_is_free_is_lent_down_to_single_numbers(book: Book) -> None:
    book.promotions = {SPRING: promotion(total=8)}
    spans = [book.lend(100, node=f"n-{turn}") for turn in range(10)]  # type: ignore[arg-type]
    sizes = [sum(last - first + 1 for first, last, _ in span) for span in spans]
    assert sizes == [2, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    assert book.budget() == (0, 8, 0)


def test_asking_again_lends_nothing_more(book: Book) -> None:
    first = book.lend(20)
    assert first == [(1, 20, 0)]
    assert book.lend(20) == first
    assert book.lend(20, held(book, 15)) == [(1, 20, 15), (21, 35, 0)]


@pytest.mark.usefixtures("either_database")
def test_what_is_left_over_is_given_back_and_its_numbers_are_dead(book: Book) -> None:
    book.lend(20)
    book.lend(0, held(book, 4, finished=True))
    assert book.budget() == (96, 4, 0)
    assert book.book.redeem(code(book, 5), book.purchase("o-1"), [ANN]).denial is Denial.RETURNED
    assert book.book.redeem(code(book, 4), book.purchase("o-1"), [ANN]).is_new
    assert book.lend(10) == [(21, 30, 0)]


@pytest.mark.usefixtures("either_database")
def test_a_number_is_redeemed_once_and_the_same_order_again_is_the_same(book: Book) -> None:
    book.lend(20)
    redeem = book.book.redeem
    assert redeem(code(book, 1), book.purchase("o-1"), [ANN]).is_new
    again = redeem(code(book, 1), book.purchase("o-1"), [ANN])
    assert (again.denial, again.is_new) == (None, False)
    assert redeem(code(book, 1), book.purchase("o-2"), [ANN]).denial is Denial.ALREADY_REDEEMED
    assert redeem(code(book, 1, BO), book.purchase("o-3"), [BO]).denial is Denial.ALREADY_REDEEMED
    assert book.budget() == (80, 19, 1)
    assert book.ledger.code_denials() == {(SPRING, Denial.ALREADY_REDEEMED): 2}


def test_who_has_not_heard_the_answer_hears_it_again_after_the_last_day(book: Book) -> None:
    book.lend(20)
    text = code(book, 1)
    assert book.book.redeem(text, book.purchase("o-1"), [ANN]).is_new
    book.later(60)
    again = book.book.redeem(text, book.purchase("o-1"), [ANN])
    assert (again.denial, again.is_new) == (None, False)
    assert book.book.redeem(text, book.purchase("o-2"), [ANN]).denial is Denial.EXPIRED


def test_a_restart_goes_on_where_it_ended_and_a_copy_gets_numbers_of_its_own(book: Book) -> None:
    book.lend(20)
    before = held(book, 6)
    assert book.lend(20, before, incarnation="i2") == [(1, 20, 6), (21, 26, 0)]
    # the folder of i1, started somewhere else, says the same
    assert book.lend(20, before, incarnation="i3") == [(27, 44, 0)]
    # and the first life of the folder, should it still be running, has lost what was taken over
    assert book.lend(0, before, incarnation="i1") == []


def test_a_disk_that_was_set_back_takes_nothing_more_of_its_lease(book: Book) -> None:
    book.lend(20)
    book.lend(20, held(book, 9))
    stale = Held(book.book.lend(NODE, "i1", [], {}).leases[0].id, "i1", 2)
    assert all(first > 20 for first, _, _ in book.lend(20, stale, incarnation="i2"))
    assert book.book.redeem(code(book, 15), book.purchase("o-1"), [ANN]).is_new  # what was promised is kept


@pytest.mark.usefixtures("either_database")
def test_what_nobody_came_for_is_lent_again_under_new_numbers(book: Book) -> None:
    book.promotions = {SPRING: promotion(total=4)}
    assert book.lend(9) == [(1, 1, 0)]
    old = code(book, 1)
    book.later(30)
    assert book.book.redeem(old, book.purchase("o-1"), [ANN]).denial is Denial.EXPIRED
    assert book.lend(9, node=OTHER) == [(2, 2, 0)]
    assert book.budget() == (3, 1, 0)
    book.later(-30)  # a clock that is set back opens nothing again
    assert book.book.redeem(old, book.purchase("o-1"), [ANN]).denial is Denial.EXPIRED
    assert book.budget() == (3, 1, 0)


def test_an_order_that_comes_late_is_taken_within_the_grace(book: Book) -> None:
    book.lend(9)
    late = code(book, 1)
    placed = book.purchase("o-1")
    book.later(17)
    assert book.book.redeem(late, book.purchase("o-2"), [ANN]).denial is Denial.EXPIRED
    assert book.book.redeem(late, placed, [ANN]).is_new


def test_a_code_that_holds_longer_than_its_lease_allows_is_none(book: Book) -> None:
    """A node whose clock runs ahead, or whoever got hold of a key."""
    book.lend(9)
    assert book.book.redeem(code(book, 1, days=40), book.purchase("o-1"), [ANN]).denial is Denial.EXPIRED


def test_a_stolen_key_makes_no_number_that_was_never_lent(book: Book) -> None:
    book.lend(9)
    assert book.book.redeem(code(book, 10), book.purchase("o-1"), [ANN]).denial is Denial.UNKNOWN


def test_who_has_redeemed_his_share_is_told_so(book: Book) -> None:
    book.lend(9)
    person = [ANN, BO]
    assert book.book.redeem(code(book, 1), book.purchase("o-1"), person).is_new
    assert book.book.redeem(code(book, 2, BO), book.purchase("o-2"), person).denial is Denial.PER_PERSON


def test_a_strangers_code_is_named_as_such(book: Book) -> None:
    book.lend(9)
    assert book.book.redeem(code(book, 1), book.purchase("o-1"), [BO]).denial is Denial.NOT_YOURS
    assert book.book.redeem(code(book, 1), book.purchase("o-1"), []).denial is Denial.NOT_YOURS


def test_what_the_promotion_asks_for_holds(book: Book) -> None:
    now_ms = book.clock.time_ms
    terms = promotion(starts_ms=now_ms, ends_ms=now_ms + 2 * DAY_MS, minimum_order=20.0)
    book.promotions = {SPRING: terms}
    book.lend(9)
    redeem = book.book.redeem
    early = book.purchase("o-1", time_ms=now_ms - 1)
    assert redeem(code(book, 1), early, [ANN]).denial is Denial.NOT_STARTED
    assert redeem(code(book, 1), book.purchase("o-1", value=19.99), [ANN]).denial is Denial.MINIMUM_ORDER
    assert redeem(code(book, 1), book.purchase("o-1", time_ms=now_ms + 2 * DAY_MS), [ANN]).denial is Denial.EXPIRED
    assert redeem(code(book, 1, days=1), book.purchase("o-1", value=20.0), [ANN]).is_new


def test_after_its_end_nothing_is_lent(book: Book) -> None:
    book.promotions = {SPRING: promotion(ends_ms=book.clock.time_ms)}
    assert book.lend(9) == []


@pytest.mark.usefixtures("either_database")
def test_a_revoked_code_is_refused_and_nodes_are_told(book: Book) -> None:
    book.lend(9)
    assert book.book.revoke(code(book, 3), who="ann", reason="leaked").is_new
    assert book.book.redeem(code(book, 3), book.purchase("o-1"), [ANN]).denial is Denial.REVOKED
    assert book.book.lend(NODE, "i1", [], {}).revoked == [(SPRING, 3)]
    assert book.book.redeem(code(book, 4), book.purchase("o-1"), [ANN]).is_new
    assert book.book.revoke(code(book, 4), who="ann", reason="late").denial is Denial.ALREADY_REDEEMED


def test_a_promotion_that_left_the_release_keeps_its_promises(book: Book) -> None:
    book.lend(9)
    promised = code(book, 1)
    book.promotions = {}
    assert book.book.redeem(promised, book.purchase("o-1"), [ANN]).is_new
    assert book.lend(9) == [(1, 9, 0)]


def test_a_lowered_total_stops_what_is_new_and_keeps_what_was_promised(book: Book) -> None:
    book.lend(20)
    book.promotions = {SPRING: promotion(total=5)}
    assert book.lend(50) == [(1, 20, 0)]
    assert book.book.redeem(code(book, 1), book.purchase("o-1"), [ANN]).is_new


def test_checking_redeems_nothing(book: Book) -> None:
    book.lend(9)
    shown = code(book, 1)
    assert book.book.check(shown, [ANN]).denial is None
    assert book.book.check(shown, None).denial is None
    assert book.book.check(shown, [BO]).denial is Denial.NOT_YOURS
    assert book.budget()[2] == 0
    book.book.redeem(shown, book.purchase("o-1"), [ANN])
    assert book.book.check(shown, None).denial is Denial.ALREADY_REDEEMED
    assert book.book.check("X" * 32, None).denial is Denial.MALFORMED


def test_a_raised_generation_ends_what_was_promised(book: Book) -> None:
    book.lend(9)
    old = code(book, 1)
    book.promotions = {SPRING: promotion(generation=2)}
    assert book.book.redeem(old, book.purchase("o-1"), [ANN]).denial is Denial.UNKNOWN
    assert book.key().generation == 2
    assert book.book.redeem(code(book, 1), book.purchase("o-1"), [ANN]).is_new


@pytest.mark.usefixtures("either_database")
def test_erasing_a_person_does_not_bring_his_code_back(book: Book) -> None:
    book.lend(9)
    book.book.redeem(code(book, 1), book.purchase("o-1"), [ANN])
    assert book.ledger.erase(ANN, book.clock.time_ms)["code_holders"] == 1
    assert book.book.redeem(code(book, 1), book.purchase("o-2"), [ANN]).denial is Denial.ALREADY_REDEEMED
    assert book.budget() == (91, 8, 1)


def test_a_hub_that_was_restored_hears_of_leases_that_it_has_forgotten(tmp_path: Path) -> None:
    with opened_book(tmp_path / "before") as before:
        (lost,) = before.book.lend(NODE, "i1", [], {SPRING: 5}).leases
        known = [Held(lost.id, "i1", 2)]
        assert before.book.lend(NODE, "i1", known, {}).forgotten == []
        before.later(400)
        assert before.book.lend(NODE, "i1", known, {}).forgotten == [], "over, and not forgotten"
    with opened_book(tmp_path / "restored") as restored:
        lent = restored.book.lend(NODE, "i1", known, {})
        assert (lent.forgotten, lent.leases) == ([lost.id], [])
