"""Parts of a blend: what each adds, and that they are added on one scale."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from edgewise.errors import InputError
from hub.recommend import ease
from hub.recommend.blend import DEFAULTS, PRIOR_HALVES_AT, Blend, prior_fades
from hub.recommend.interactions import encode
from hub.recommend.lessons import Lessons
from hub.recommend.methods import blended

NOTHING = {**DEFAULTS, "user_power": 0.0, "item_power": 0.0, "liking": 0.0, "tastes": 0.0}


def lessons(content: np.ndarray | None = None) -> Lessons:
    generator = np.random.default_rng(2)
    user, item = np.nonzero(generator.random((40, 9)) < 0.3)
    rating = generator.integers(1, 6, len(user))
    return Lessons(encode([f"{u}" for u in user], [f"{i}" for i in item], rating=rating), np.arange(len(user)), content)


def test_without_extras_it_is_ease_on_another_scale() -> None:
    known = lessons()
    plain = ease.fit(known.history, l2=20.0)
    found = Blend(known).weights({**NOTHING, "lambda": 20.0})
    scale = found[0, 1] / plain[0, 1]
    assert scale > 0
    np.testing.assert_allclose(found, plain * scale, rtol=1e-9)
    assert np.std(known.history @ found, axis=1).mean() == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["tastes", "closeness"])
def test_a_share_adds_a_part_of_deviation_1(name: str) -> None:
    known = lessons()
    blend = Blend(known)
    added = (blend.weights({**NOTHING, name: 0.5}) - blend.weights(NOTHING)) / 0.5
    assert np.std(known.history @ added, axis=1).mean() == pytest.approx(1.0)
    assert not np.diag(added).any()


def test_content_speaks_for_an_item_that_nobody_used() -> None:
    about = np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1, 2]]
    history = encode(["u", "u", "v", "v"], ["0", "1", "0", "1"], catalogue=[str(item) for item in range(9)])
    found = Blend(Lessons(history, np.arange(4), about)).weights({**NOTHING, "content": 0.5})
    assert (found[0] > 0)[[3, 6]].all()
    assert not found[0][[5, 8]].any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tastes": -0.1}, "tastes is -0.1"),
        ({"closeness": float("nan")}, "closeness is nan"),
        ({"content": 0.1}, "name a catalogue"),
        ({"lambda": 0.0}, "lambda is 0"),
        ({"dropout": 1.0}, "dropout is 1"),
        ({"user_power": float("inf")}, "user_power is inf"),
        ({"tastes": 0.1, "rank": -1.0}, "rank is -1"),
    ],
)
def test_a_setting_out_of_range_is_named(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Blend(lessons()).weights({**NOTHING, **wrong})


def test_a_prior_below_0_is_named() -> None:
    with pytest.raises(InputError, match="prior is -1"):
        Blend(lessons()).prior({**NOTHING, "prior": -1.0})


def test_the_prior_has_the_order_of_popularity_and_its_deviation() -> None:
    known = lessons()
    found = Blend(known).prior({**NOTHING, "prior": 0.5})
    np.testing.assert_array_equal(np.argsort(found, kind="stable"), np.argsort(known.popularity, kind="stable"))
    assert found.std() == pytest.approx(0.5)


def test_the_prior_fades_to_a_half_and_on() -> None:
    left = prior_fades(np.array([0, PRIOR_HALVES_AT, 9 * PRIOR_HALVES_AT]))
    np.testing.assert_allclose(left, [1.0, 0.5, 0.1])


def test_a_short_history_is_scored_by_its_sum_and_what_is_left_of_the_prior() -> None:
    known = lessons()
    blend, settings = Blend(known), {**NOTHING, "prior": 2.0}
    fitted = blended(blend, known, settings)
    asked = csr_array(np.eye(9)[:1])
    expected = blend.weights(settings)[0] + blend.prior(settings) * PRIOR_HALVES_AT / (PRIOR_HALVES_AT + 1)
    np.testing.assert_allclose(fitted(asked)[0], expected)
