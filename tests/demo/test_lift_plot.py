"""What was learned as a picture and as words: nothing is drawn of nothing, and the release is marked where it began."""

from __future__ import annotations

import msgspec

from hub.demo.hits import Rate
from hub.demo.lift_plot import lift_plot, lift_words
from hub.demo.turning import Phase, Slice, Turned

LIFT = Rate(0.1, 0.05, 0.15)
SHARE = Rate(0.6, 0.5, 0.7)
TURNED = Turned(
    guests=3,
    errors=0,
    state="promoted",
    reason="promoted by Ann",
    predicted_lift=LIFT,
    phases=[Phase(1, 40, SHARE, SHARE, Rate(0.0, -0.1, 0.1)), Phase(2, 30, SHARE, SHARE, LIFT)],
    slices=[Slice(0.0, Rate(0.0, -0.1, 0.1), learned=False), Slice(0.5, LIFT, learned=True)],
)


def test_the_release_is_marked_where_it_began_to_serve() -> None:
    drawn = lift_plot(TURNED)
    assert drawn.count("<circle") == 2
    assert 'class="challenger"' in drawn
    assert 'class="champion"' in drawn
    assert "release 2 serves" in drawn
    before = msgspec.structs.replace(TURNED, slices=TURNED.slices[:1])
    assert "serves" not in lift_plot(before)
    assert lift_plot(msgspec.structs.replace(TURNED, slices=[])) == ""


def test_words_tell_each_release_what_was_expected_and_how_it_ended() -> None:
    rows = dict(lift_words(TURNED))
    assert rows["films picked by release 2: liked"] == "0.600 [0.500, 0.700] of 30"
    assert rows["the learning loop's turn"] == "promoted: promoted by Ann"
    assert any("the log had said" in what for what in rows)
    silent = msgspec.structs.replace(TURNED, predicted_lift=None, reason="")
    assert not any("the log had said" in what for what, _ in lift_words(silent))
