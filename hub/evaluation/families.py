"""Every estimator of one log, in the families that share their parts and their resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hub.evaluation import estimators as on_arrays
from hub.evaluation.bernstein import Reach
from hub.evaluation.estimators import Predictions, Terms, thinned
from hub.evaluation.logged import Floats, LoggedDecisions
from hub.evaluation.names import MODELLED, SLATES, EstimatorName, IntervalName
from hub.evaluation.policies import Target
from hub.evaluation.shrinkage import Shrunk, dros, switch_dr
from hub.evaluation.slates import by_slot, sequential_weights, slate_weights
from hub.evaluation.spread import UNKNOWN, Measured, Spread, spreads


class Resampling(NamedTuple):
    """How intervals are made."""

    interval: IntervalName
    resamples: int


def measured(
    log: LoggedDecisions,
    target: Target | None,
    weights: Floats,
    names: Sequence[EstimatorName],
    *,
    how: Resampling,
    rng: np.random.Generator,
) -> tuple[dict[EstimatorName, Measured], dict[EstimatorName, Spread]]:
    """At least the named estimators, with their spreads; `weights` (rows,) are those of single rows.

    Each family is resampled as a whole and with numbers of its own, so that no interval depends on what else was
    asked for.
    """
    folds_rng, weighted_rng, modelled_rng, shrunk_rng, slates_rng = rng.spawn(5)
    found: dict[EstimatorName, Measured] = {}
    spread: dict[EstimatorName, Spread] = {}

    def resample(family: dict[EstimatorName, Measured], numbers: np.random.Generator) -> None:
        by_name: Mapping[str, Measured] = {name.value: each for name, each in family.items()}
        known = spreads(by_name, log.unit, interval=how.interval, resamples=how.resamples, rng=numbers)
        found.update(family)
        spread.update({name: known[name.value] for name in family})

    resample(_weighted(log, weights), weighted_rng)
    if MODELLED.intersection(names):
        from hub.evaluation.reward_model import cross_fitted

        predicted = cross_fitted(log, target, rng=folds_rng)
        resample(_modelled(log, weights, predicted), modelled_rng)
        found[EstimatorName.DM] = Measured(
            thinned(on_arrays.dm(predicted), log.sample_weight), weights, (Reach(0.0, 0.0, 0.0),)
        )
        # resampled, its predictions would show how situations vary, and nothing of how wrong the model may be
        spread[EstimatorName.DM] = UNKNOWN
        if {EstimatorName.SWITCH_DR, EstimatorName.DROS}.intersection(names):
            resample(_shrunk(log, weights, predicted), shrunk_rng)
    if SLATES.intersection(names):
        resample(_of_slates(log, weights), slates_rng)
    return found, spread


def _weighted(log: LoggedDecisions, weights: Floats) -> dict[EstimatorName, Measured]:
    reach = (_rewards_reach(log, weights),)
    return {
        EstimatorName.IPS: Measured(_thinned(log, on_arrays.ips(weights, log.reward)), weights, reach),
        EstimatorName.SNIPS: Measured(_thinned(log, on_arrays.snips(weights, log.reward)), weights, reach),
    }


def _modelled(log: LoggedDecisions, weights: Floats, predicted: Predictions) -> dict[EstimatorName, Measured]:
    expected, residual = _modelled_reach(log, weights, predicted)
    both = expected._replace(width=expected.width + residual.width)
    return {
        EstimatorName.DR: Measured(_thinned(log, on_arrays.dr(weights, log.reward, predicted)), weights, (both,)),
        EstimatorName.SNDR: Measured(
            _thinned(log, on_arrays.sndr(weights, log.reward, predicted)), weights, (expected, residual)
        ),
    }


def _shrunk(log: LoggedDecisions, weights: Floats, predicted: Predictions) -> dict[EstimatorName, Measured]:
    def of(shrunk: Shrunk) -> Measured:
        expected, residual = _modelled_reach(log, shrunk.weights, predicted)
        both = expected._replace(width=expected.width + residual.width)
        return Measured(shrunk.terms, shrunk.weights, (both,), shrunk.bias_bound, shrunk.tuning)

    arrays = (weights, log.reward, predicted, log.unit, log.sample_weight)
    return {EstimatorName.SWITCH_DR: of(switch_dr(*arrays)), EstimatorName.DROS: of(dros(*arrays))}


def _of_slates(log: LoggedDecisions, weights: Floats) -> dict[EstimatorName, Measured]:
    products = {
        EstimatorName.IIPS: weights,
        EstimatorName.RIPS: sequential_weights(weights, log.decision, log.position),
        EstimatorName.SIPS: slate_weights(weights, log.decision, log.position),
    }
    found = {}
    for name, product in products.items():
        terms = by_slot(product, log.reward, log.position, log.sample_weight)
        found[name] = Measured(terms, product, (_rewards_reach(log, product),) * len(terms))
    return found


def _rewards_reach(log: LoggedDecisions, weights: Floats) -> Reach:
    """Of weighted rewards: a policy earns between the least and the largest reward, or 0 where nothing supports it."""
    low, high = _range(log.reward)
    return Reach(float(np.max(weights)) * (high - low) * _heaviest(log), low, high)


def _modelled_reach(log: LoggedDecisions, weights: Floats, predicted: Predictions) -> tuple[Reach, Reach]:
    """Of what is expected of the target, and of weighted residuals."""
    low, high = _range(np.concatenate([log.reward, predicted.logged, predicted.target]))
    span = high - low
    residual = Reach(2 * float(np.max(weights)) * span * _heaviest(log), -span, span)
    return Reach(span * _heaviest(log), low, high), residual


def _range(values: Floats) -> tuple[float, float]:
    return float(np.min(values, initial=0.0)), float(np.max(values, initial=0.0))


def _heaviest(log: LoggedDecisions) -> float:
    return 1.0 if log.sample_weight is None else float(np.max(log.sample_weight))


def _thinned(log: LoggedDecisions, terms: Terms) -> Terms:
    return thinned(terms, log.sample_weight)
