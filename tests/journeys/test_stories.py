"""Stories of carts with a hub that is killed again and again: the small one of `accuracy --only journeys`."""

from __future__ import annotations

from pathlib import Path

from journey_stories import Simulation


def test_no_cart_brings_two_mails_however_often_the_hub_is_killed(tmp_path: Path) -> None:
    simulation = Simulation(tmp_path, 20, seed=7, crashes=0.9)
    found = simulation.run()
    wrong = (found.doubles, found.after_purchase, found.without_consent, found.in_quiet_hours, found.late)
    assert wrong == (0, 0, 0, 0, 0), [judge.story for judge in simulation.late]
    assert found.missed == 0, [judge.story for judge in simulation.missed]
    assert found.due > 5
    assert found.mails >= found.due - found.uncertain
    assert found.crashes.total() > 3
