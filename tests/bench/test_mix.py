"""Profile files: the shipped ones are right, and a wrong one is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.bench.mix import Click, Decide, View, decode_mix, load_mix, shipped
from edgewise.errors import InputError

DECIDE = '[[requests]]\nask = "decide"\nshare = 1\nplacements = [{name = "hero"}]\n'


def test_the_promised_mixes_are_shipped() -> None:
    assert {"home", "clicks", "flash-sale", "strangers", "regulars"} <= set(shipped())


@pytest.mark.parametrize("name", shipped())
def test_each_shipped_mix_is_right_and_says_what_it_is(name: str) -> None:
    mix = load_mix(name)
    assert mix.description
    assert mix.placements


def test_they_differ_in_what_they_are_for() -> None:
    assert any(isinstance(request, Click) for request in load_mix("home").requests)
    assert any(isinstance(request, View) and request.share >= 30 for request in load_mix("clicks").requests)
    sale = load_mix("flash-sale")
    assert sale.visitors.new >= 0.8
    assert sale.visitors.history == 0
    assert len({stage.factor for stage in sale.shape}) > 1
    assert load_mix("strangers").visitors.new == 1
    regulars = load_mix("regulars").visitors
    assert regulars.new == 0
    assert regulars.history > 0
    hundred = load_mix("hundred").requests[0]
    assert isinstance(hundred, Decide)
    assert hundred.placements[0].candidates == 100


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(DECIDE)
    assert load_mix(str(file)).placements == ["hero"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "not TOML"),
        ("", "$: Object missing required field `requests`"),
        ("requests = []", "$.requests"),
        (DECIDE + '[[requests]]\nask = "dance"\nshare = 1', "$.requests[1].ask"),
        (DECIDE.replace("share = 1", "share = 0"), "$.requests[0].share"),
        (DECIDE.replace("hero", ""), "$.requests[0].placements[0].name"),
        (DECIDE.replace('name = "hero"', 'name = "hero", candidates = 5000'), "placements[0].candidates"),
        (DECIDE + "[visitors]\nnew = 2", "$.visitors.new"),
        (DECIDE + "[visitors]\nnews = 0.2", "$.visitors: Object contains unknown field `news`"),
        (DECIDE + "[[shape]]\nshare = 1\nfactor = 0", "nothing would ever be sent"),
    ],
)
def test_a_wrong_profile_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(InputError, match=r"^mine\.toml: ") as raised:
        decode_mix(text, "mine.toml")
    assert said in str(raised.value)


def test_a_missing_or_unreadable_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file, nor one of the mixes clicks, flash-sale, home"):
        load_mix("nowhere.toml")
    with pytest.raises(InputError, match="Is a directory"):
        load_mix(str(tmp_path))
    (tmp_path / "latin.toml").write_bytes(b"description = '\xe4'")
    with pytest.raises(InputError, match="not UTF-8"):
        load_mix(str(tmp_path / "latin.toml"))
