"""Every estimator of one log, in the families that share their parts and their resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hub.evaluation import estimators as on_arrays
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
        found[EstimatorName.DM] = Measured(thinned(on_arrays.dm(predicted), log.sample_weight), weights, (0.0,))
        # resampled, its predictions would show how situations vary, and nothing of how wrong the model may be
        spread[EstimatorName.DM] = UNKNOWN
        if {EstimatorName.SWITCH_DR, EstimatorName.DROS}.intersection(names):
            resample(_shrunk(log, weights, predicted), shrunk_rng)
    if SLATES.intersection(names):
        resample(_of_slates(log, weights), slates_rng)
    return found, spread


def _weighted(log: LoggedDecisions, weights: Floats) -> dict[EstimatorName, Measured]:
    reach = (float(np.max(weights)) * _span(log.reward) * _heaviest(log),)
    return {
        EstimatorName.IPS: Measured(_thinned(log, on_arrays.ips(weights, log.reward)), weights, reach),
        EstimatorName.SNIPS: Measured(_thinned(log, on_arrays.snips(weights, log.reward)), weights, reach),
    }


def _modelled(log: LoggedDecisions, weights: Floats, predicted: Predictions) -> dict[EstimatorName, Measured]:
    expected, residual = _modelled_reach(log, weights, predicted)
    return {
        EstimatorName.DR: Measured(
            _thinned(log, on_arrays.dr(weights, log.reward, predicted)), weights, (expected + residual,)
        ),
        EstimatorName.SNDR: Measured(
            _thinned(log, on_arrays.sndr(weights, log.reward, predicted)), weights, (expected, residual)
        ),
    }


def _shrunk(log: LoggedDecisions, weights: Floats, predicted: Predictions) -> dict[EstimatorName, Measured]:
    def of(shrunk: Shrunk) -> Measured:
        reach = (sum(_modelled_reach(log, shrunk.weights, predicted)),)
        return Measured(shrunk.terms, shrunk.weights, reach, shrunk.bias_bound, shrunk.tuning)

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
        reach = float(np.max(product)) * _span(log.reward) * _heaviest(log)
        found[name] = Measured(terms, product, (reach,) * len(terms))
    return found


def _modelled_reach(log: LoggedDecisions, weights: Floats, predicted: Predictions) -> tuple[float, float]:
    """How far expectations and weighted residuals of a row can lie apart."""
    span = _span(np.concatenate([log.reward, predicted.logged, predicted.target]))
    return span * _heaviest(log), 2 * float(np.max(weights)) * span * _heaviest(log)


def _span(values: Floats) -> float:
    """The width of the range of values and 0, which an action that is not chosen earns."""
    return float(np.max(values, initial=0.0) - np.min(values, initial=0.0))


def _heaviest(log: LoggedDecisions) -> float:
    return 1.0 if log.sample_weight is None else float(np.max(log.sample_weight))


def _thinned(log: LoggedDecisions, terms: Terms) -> Terms:
    return thinned(terms, log.sample_weight)
