"""Hit rates are counted over events, and their intervals over visitors."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.demo.hits import hit_rates
from hub.demo.visitors import Hit

hits = st.lists(
    st.builds(Hit, st.sampled_from(["a", "b", "c", "d"]), champion=st.booleans(), challenger=st.booleans()),
    min_size=1,
    max_size=40,
)


@given(hits)
def test_rates_are_shares_of_events_inside_their_intervals(lived: list[Hit]) -> None:
    rates = hit_rates(lived)
    assert rates.events == len(lived)
    assert rates.visitors == len({hit.visitor for hit in lived})
    assert rates.champion.estimate == sum(hit.champion for hit in lived) / len(lived)
    assert rates.challenger.estimate == sum(hit.challenger for hit in lived) / len(lived)
    for rate in (rates.champion, rates.challenger):
        assert 0 <= rate.ci_low <= rate.ci_high <= 1


def test_events_of_one_visitor_do_not_count_as_independent() -> None:
    """Twenty visitors with one event each, or the same events fifty times: no more evidence, no narrower interval."""
    once = [Hit(f"visitor-{number}", champion=number % 4 == 0, challenger=number % 2 == 0) for number in range(20)]
    assert hit_rates(once).challenger == hit_rates(once * 50).challenger
    assert hit_rates(once).challenger.ci_high - hit_rates(once).challenger.ci_low > 0.3
