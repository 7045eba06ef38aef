"""Vowpal Wabbit on the drifting shop: the contextual bandit that others would take, with the features that ours has."""

from __future__ import annotations

from typing import Final

import numpy as np
from learning_world import DAYPARTS, DEVICES, ITEMS, PERSONAS, Stream, category_of, format_of
from numpy.typing import NDArray

SETTINGS: Final = (
    "--power_t 0.25 -l 2 --l2 1e-6",
    "--power_t 0.25 -l 2 --l2 1e-5",
    "--power_t 0.25 -l 2 --gamma_scale 5 --l2 1e-6",
    "--power_t 0.25 -l 2 --gamma_scale 5",
)
"""The best of some ninety, tried on three other streams of the same world: learning rates from 0.25 to 8, power_t 0 to
0.5 (a rate that falls, or never), gamma_scale 1 to 300, regularised or not, plain gradient steps, COIN. VW's SquareCB
knows no other reduction than mtr."""
EXPLORING: Final = "--cb_explore_adf --squarecb -q ua --quiet"
"""Every fact about the visitor (namespace u) with every fact about the item (a), as ours."""


def shown_by_vw(stream: Stream, settings: str, *, seed: int) -> NDArray[np.int64]:
    """What VW shows, (n,), by place in the catalogue. It learns from each decision before the next one is made."""
    from vowpalwabbit import Workspace

    learner = Workspace(f"{EXPLORING} --random_seed {seed} {settings}")
    items = [f"|a item={item} category={category_of(item)} format={format_of(item)}" for item in range(ITEMS)]
    draw = np.random.default_rng(seed).random(len(stream))
    shown = np.empty(len(stream), np.int64)
    for number in range(len(stream)):
        shared = (
            f"shared |u persona={PERSONAS[stream.persona[number]]} daypart={DAYPARTS[stream.daypart[number]]} "
            f"device={DEVICES[stream.device[number]]}"
        )
        chances = np.asarray(learner.predict([shared, *items]), np.float64)
        chances /= chances.sum()
        place = min(int(chances.cumsum().searchsorted(draw[number], side="right")), ITEMS - 1)
        shown[number] = place
        cost = -float(stream.clicked[number, place])
        told = [*items]
        told[place] = f"0:{cost}:{chances[place]} {items[place]}"
        learner.learn([shared, *told])
    learner.finish()
    return shown
