"""Which decisions are kept for learning: the share that was asked for, the same ones whoever asks."""

from __future__ import annotations

import msgspec
from hub_records import decision

from edgewise.bundle.policy import Site
from edgewise.ids import DecisionId, SiteName
from edgewise.keeping import ALL, kept_for_learning
from edgewise.records import encode_record

SITE = Site(SiteName("shop"), "salt")
TRIES = 10_000


def test_a_site_that_says_nothing_keeps_every_decision() -> None:
    assert kept_for_learning(SITE, DecisionId("any")) is ALL
    assert b"learning_probability" not in encode_record(decision(1, learning_probability=ALL.probability))


def test_a_share_is_kept_and_it_is_the_same_whoever_asks() -> None:
    """Of 10,000 independent draws at .3 the share is within five standard errors: .023."""
    site = msgspec.structs.replace(SITE, learning_share=0.3)
    ids = [DecisionId(f"decision-{number}") for number in range(TRIES)]
    kept = [kept_for_learning(site, each) for each in ids]

    assert {each.probability for each in kept} == {0.3}
    assert abs(sum(each.is_kept for each in kept) / TRIES - 0.3) < 5 * (0.3 * 0.7 / TRIES) ** 0.5
    assert kept == [kept_for_learning(site, each) for each in ids]


def test_who_keeps_more_keeps_all_of_what_he_kept_before() -> None:
    """Raising the share only adds."""
    few, more = (msgspec.structs.replace(SITE, learning_share=share) for share in (0.2, 0.6))
    ids = [DecisionId(f"decision-{number}") for number in range(500)]
    assert all(kept_for_learning(more, each).is_kept for each in ids if kept_for_learning(few, each).is_kept)
