"""GrowthBook's published cases: all of the sections that we keep to, with the count printed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from growthbook import ADOPTED, Case, cases_of
from typing_extensions import override

from edgewise.assign import CompiledExperiment, Looks, compile_experiment
from edgewise.bundle.experiments import Experiment
from edgewise.conditions import holds
from edgewise.hashing import (
    BucketRange,
    Namespace,
    bucket,
    bucket_ranges,
    choose_variation,
    equal_weights,
    in_namespace,
)
from edgewise.ids import ArmName, ExperimentKey
from edgewise.profile.state import Enrolment

Documents = dict[str, dict[str, Any]]
"""GrowthBook's store of sticky buckets: `attribute||value` -> whose they are, and what was assigned."""


def cut(number: float) -> float:
    """As the reference runner compares shares: eight decimals, the rest cut off."""
    return math.floor(number * 1e8) / 1e8


def is_hash(case: Case) -> bool:
    seed, value, version, expected = case
    return bool(bucket(seed, value, version) == expected)


def is_range(case: Case) -> bool:
    _, (count, coverage, weights), expected = case
    got = bucket_ranges(count, coverage, weights)
    return [[cut(edge) for edge in each] for each in got] == [[cut(edge) for edge in each] for each in expected]


def is_variation(case: Case) -> bool:
    _, value, ranges, expected = case
    return bool(choose_variation(value, [BucketRange(*each) for each in ranges]) == expected)


def is_in_namespace(case: Case) -> bool:
    _, unit, (name, start, end), expected = case
    return in_namespace(unit, Namespace(name, start, end)) is expected


def is_equal_weights(case: Case) -> bool:
    count, expected = case
    return [cut(weight) for weight in equal_weights(count)] == [cut(weight) for weight in expected]


def is_condition(case: Case) -> bool:
    _, condition, attributes, expected, *groups = case
    return holds(condition, attributes, *groups) is expected


# --- sticky buckets: a feature of one rule, told in our words ---------------------------------------------------------
class Visitor(Looks):
    """Who has these attributes, and was assigned by these documents.

    A document has no times. Where the one of the identifier that is hashed and the one that it falls back to differ,
    GrowthBook takes the first: here it is the older one.
    """

    def __init__(self, attributes: Mapping[str, Any], documents: Documents, names: list[str]) -> None:
        self._attributes = attributes
        self._found: dict[str, Enrolment] = {}
        for age, name in enumerate(names):
            document = documents.get(f"{name}||{attributes.get(name)}")
            for where, arm in [] if document is None else document["assignments"].items():
                known = Enrolment(age, ArmName(arm))
                self._found[where] = min(known, self._found.get(where, known))

    @override
    def enrolments(self) -> Mapping[str, Enrolment]:
        return self._found

    @override
    def attributes(self) -> Mapping[str, Any]:
        return self._attributes


def compiled(feature: str, rule: Mapping[str, Any]) -> CompiledExperiment:
    count = len(rule["variations"])
    arms = [ArmName(meta["key"]) for meta in rule.get("meta", [{"key": str(place)} for place in range(count)])]
    key = ExperimentKey(rule.get("key", feature))
    experiment = Experiment(
        arms,
        rule.get("weights", equal_weights(count)),
        seed=rule.get("seed", key),
        coverage=rule.get("coverage", 1.0),
        condition=rule.get("condition", {}),
        hash_version=rule.get("hashVersion", 1),
        sticky=not rule.get("disableStickyBucketing", False),
        bucket_version=rule.get("bucketVersion", 0),
        min_bucket_version=rule.get("minBucketVersion", 0),
    )
    return compile_experiment(key, experiment)


def is_sticky_bucket(case: Case) -> bool:
    _, context, stored, feature, expected, expected_documents = case
    attributes, (rule,) = context["attributes"], context["features"][feature]["rules"]
    documents: Documents = {
        f"{each['attributeName']}||{each['attributeValue']}": each
        for each in stored
        if attributes.get(each["attributeName"]) == each["attributeValue"]  # others' are never fetched
    }
    experiment = compiled(feature, rule)
    names = [name for name in (rule["hashAttribute"], rule["fallbackAttribute"]) if name in attributes]
    named, unit = names[0], attributes[names[0]]
    visitor = Visitor(attributes, documents, names)
    enrolled = experiment.enrol(unit, visitor)
    told = None
    if enrolled is not None:
        place = experiment.experiment.arms.index(enrolled.arm)
        told = {
            "featureId": feature,
            "key": enrolled.arm,
            "variationId": place,
            "value": rule["variations"][place],
            "bucket": bucket(experiment.experiment.seed, unit, experiment.experiment.hash_version),
            "hashAttribute": named,
            "hashValue": unit,
            "hashUsed": True,
            "inExperiment": True,
            "stickyBucketUsed": experiment.experiment.sticky and not enrolled.remember_as,
        }
        if experiment.experiment.sticky:
            empty: dict[str, Any] = {"attributeName": named, "attributeValue": unit, "assignments": {}}
            known = documents.get(f"{named}||{unit}", empty)
            assignments = {**known["assignments"], experiment.buckets.current: enrolled.arm}
            documents[f"{named}||{unit}"] = {**known, "assignments": assignments}
    return bool(told == expected and documents == expected_documents)


CHECKS: Final[dict[str, Callable[[Case], bool]]] = {
    "hash": is_hash,
    "getBucketRange": is_range,
    "chooseVariation": is_variation,
    "inNamespace": is_in_namespace,
    "getEqualWeights": is_equal_weights,
    "evalCondition": is_condition,
    "stickyBucket": is_sticky_bucket,
}


@pytest.mark.parametrize("section", ADOPTED)
def test_all_published_cases_hold(section: str, capsys: pytest.CaptureFixture[str]) -> None:
    cases = cases_of(section)
    wrong = [case for case in cases if not CHECKS[section](case)]
    with capsys.disabled():
        print(f"\nGrowthBook {section}: {len(cases) - len(wrong)} of {len(cases)} cases", end="")
    assert not wrong
