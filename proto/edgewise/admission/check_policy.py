"""Whether a policy holds together: collections, arms, experiments, models and rules that it names are there."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from edgewise.admission.check_conditions import wrong_with_condition
from edgewise.admission.check_exploration import check_exploration
from edgewise.admission.check_scores import Models, wrong_with, wrong_with_class, wrong_with_path
from edgewise.attributes import is_context_field
from edgewise.bundle import experiments
from edgewise.bundle import policy as decided
from edgewise.bundle.learned import neighbours_path, vectors_path
from edgewise.bundle.manifest import POLICY, SESSIONS
from edgewise.bundle.refusal import refuse, require
from edgewise.events import DIMENSIONS
from edgewise.formula import features_in, is_impersonal, parts_of
from edgewise.ids import ExperimentKey, ItemId, ModelName
from edgewise.rules import OPERATORS, ORDERED, is_path, reference

MOST_RULE_DEPTH: Final = 32
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_WEIGHTS_TOLERANCE: Final = 0.01


def check_policy(
    policy: decided.Policy,
    *,
    items: Collection[ItemId],
    models: Models,
    features: Collection[str],
    optional: Collection[str],
) -> None:
    """Raises BundleRefused. `items`, `models` and `features` are in the bundle, `optional` which of the resources."""
    _check_site(policy.site)
    for name, members in policy.collections.items():
        require(bool(name), "blank", POLICY, "a collection has no name", "$.collections")
        _check_items(members, items, f"$.collections.{name}")
    for key, experiment in policy.experiments.items():
        _check_experiment(key, experiment)
    for placement_name, placement in policy.placements.items():
        path = f"$.placements.{placement_name}"
        require(bool(placement_name), "blank", POLICY, "a placement has no name", "$.placements")
        message = f"no collection {placement.collection!r}"
        require(placement.collection in policy.collections, "dangling", POLICY, message, f"{path}.collection")
        _check_items(placement.fallback, items, f"{path}.fallback")
        for arm_name, arm in placement.arms.items():
            require(bool(arm_name), "blank", POLICY, "an arm has no name", f"{path}.arms")
            _check_arm(arm, models, f"{path}.arms.{arm_name}", features, optional)
        _check_references(policy, placement, path)
        check_exploration(placement, models, path)
        for position, field in enumerate(() if placement.shared is None else placement.shared.vary):
            is_known = is_context_field(field)
            message = f"no field {field!r} of the context"
            require(is_known, "dangling", POLICY, message, f"{path}.shared.vary[{position}]")
        for position, rule in enumerate(placement.eligibility):
            check_rule(rule, models, POLICY, f"{path}.eligibility[{position}]")


def _check_site(site: decided.Site) -> None:
    require(bool(site.salt), "blank", POLICY, "the site has no salt", "$.site.salt")
    for position, digest in enumerate(site.write_key_sha256):
        is_digest = _SHA256.fullmatch(digest) is not None
        path = f"$.site.write_key_sha256[{position}]"
        require(is_digest, "invalid", POLICY, "a write key's digest is not 64 hex digits", path)
    for position, origin in enumerate(site.origins):
        require(bool(origin), "blank", POLICY, "an origin is blank", f"$.site.origins[{position}]")
    for dimension in site.complements:
        message = f"no dimension {dimension!r}; a profile keeps {', '.join(DIMENSIONS)}"
        require(dimension in DIMENSIONS, "dangling", POLICY, message, f"$.site.complements.{dimension}")
    for name, fact in site.live_facts.items():
        message = f"{name!r} is a dimension of profiles, no number; live facts are numbers"
        require(name not in DIMENSIONS, "invalid", POLICY, message, f"$.site.live_facts.{name}")
        if fact.min is not None and fact.max is not None:
            message = f"the least is {fact.min:g}, above the most, {fact.max:g}"
            require(fact.min <= fact.max, "invalid", POLICY, message, f"$.site.live_facts.{name}.min")


def _check_items(members: Sequence[ItemId], items: Collection[ItemId], path: str) -> None:
    for position, member in enumerate(members):
        if member not in items:
            refuse("dangling", POLICY, f"no item {member!r} in the catalogue", f"{path}[{position}]")


def _check_experiment(key: ExperimentKey, experiment: experiments.Experiment) -> None:
    path, arms, weights = f"$.experiments.{key}", experiment.arms, experiment.weights
    require(bool(key), "blank", POLICY, "an experiment has no key", "$.experiments")
    require(bool(experiment.seed), "blank", POLICY, f"experiment {key!r} has no seed", f"{path}.seed")
    require(len(set(arms)) == len(arms), "invalid", POLICY, f"experiment {key!r} lists an arm twice", f"{path}.arms")
    message = f"{len(weights)} weights for {len(arms)} arms"
    require(len(weights) == len(arms), "invalid", POLICY, message, f"{path}.weights")
    is_whole = abs(sum(weights) - 1) <= _WEIGHTS_TOLERANCE
    require(is_whole, "invalid", POLICY, f"weights sum to {sum(weights):g}, not to 1", f"{path}.weights")
    message = f"control {experiment.control!r} is no arm of experiment {key!r}"
    require(experiment.control_arm in arms, "dangling", POLICY, message, f"{path}.control")
    for wrong in wrong_with_condition(experiment.condition):
        refuse("unknown_rule", POLICY, wrong.message, ".".join([path, "condition", *map(str, wrong.path)]))
    part = experiment.namespace
    if part is not None:
        message = f"the part of namespace {part.name!r} ends at {part.end:g}, before it starts"
        require(part.start < part.end, "invalid", POLICY, message, f"{path}.namespace.end")
    least, current = experiment.min_bucket_version, experiment.bucket_version
    message = f"versions below {least} are shut out, and the current one is {current}"
    require(least <= current, "invalid", POLICY, message, f"{path}.min_bucket_version")


def _check_arm(
    arm: decided.Arm, models: Models, path: str, features: Collection[str], optional: Collection[str]
) -> None:
    match arm.ranking:
        case decided.ByModel(model=model):
            _check_ranker(model, models, f"{path}.ranking.model")
        case decided.ByFormula(formula=formula):
            _check_term(formula, models, f"{path}.ranking.formula", MOST_RULE_DEPTH)
            asked = {part.model for part in parts_of(formula) if isinstance(part, decided.OfModel)}
            for name in sorted(features_in(formula) - set(features)):
                refuse("dangling", POLICY, f"a formula over {name!r}, which is no feature", f"{path}.ranking.formula")
            message = f"a formula over {', '.join(sorted(asked))}; it may ask one model"
            require(len(asked) <= 1, "invalid", POLICY, message, f"{path}.ranking.formula")
        case decided.ByAttribute(attribute=attribute):
            require(bool(attribute), "blank", POLICY, "a ranking names no attribute", f"{path}.ranking.attribute")
        case decided.ByPriority() | decided.ByRetrieval() | decided.External():
            pass
    if not isinstance(arm.retrieval, decided.Everything):
        needed, what = _needed(arm.retrieval)
        message = f"retrieval by {what} needs {needed}"
        require(needed in optional, "missing_resource", POLICY, message, f"{path}.retrieval")
        names_one = bool(arm.retrieval.fill_attribute)
        require(names_one, "blank", POLICY, "a retrieval names no attribute", f"{path}.retrieval.fill_attribute")


def _check_ranker(model: ModelName, models: Models, path: str) -> None:
    require(model in models, "dangling", POLICY, f"no model {model!r} in the bundle", path)
    message = f"the model {model!r} is a visitor score; it says the same of every candidate"
    require(models[model].kind == "ranker", "invalid", POLICY, message, path)


def _check_term(term: decided.Term, models: Models, path: str, depth: int) -> None:
    require(depth > 0, "too_large", POLICY, f"terms nest deeper than {MOST_RULE_DEPTH}", path)
    match term:
        case decided.Sum(of=of) | decided.Product(of=of):
            for position, part in enumerate(of):
                _check_term(part, models, f"{path}.of[{position}]", depth - 1)
        case decided.Power(of=of):
            _check_term(of, models, f"{path}.of", depth - 1)
        case decided.OfItem(attribute=attribute):
            require(bool(attribute), "blank", POLICY, "a term names no attribute", f"{path}.attribute")
        case decided.OfScore(model=model, of_class=of_class):
            wrong = wrong_with(model, of_class, models)
            require(wrong is None, "dangling", POLICY, wrong or "", f"{path}.model")
        case decided.OfModel(model=model):
            _check_ranker(model, models, f"{path}.model")
        case decided.OfNumber() | decided.OfFeature():
            pass


def _needed(retrieval: decided.ByNeighbours | decided.BySessions | decided.ByVectors) -> tuple[str, str]:
    """The resource that a retrieval asks, and the word for it."""
    match retrieval:
        case decided.ByNeighbours(source=source):
            return neighbours_path(source), "neighbours"
        case decided.BySessions():
            return SESSIONS, "sessions"
        case decided.ByVectors(source=source):
            return vectors_path(source), "vectors"


def _check_references(policy: decided.Policy, placement: decided.Placement, path: str) -> None:
    arms = placement.arms
    for field, arm_name in (("arm", placement.arm), ("opted_out_arm", placement.opted_out_arm)):
        require(arm_name in arms, "dangling", POLICY, f"no arm {arm_name!r}", f"{path}.{field}")
    opted_out = arms[placement.opted_out_arm]
    by = opted_out.ranking
    is_blind = is_impersonal(by.formula) if isinstance(by, decided.ByFormula) else not isinstance(by, decided.ByModel)
    is_blind = is_blind and isinstance(opted_out.retrieval, decided.Everything)
    message = f"arm {placement.opted_out_arm!r} looks at profiles; opted-out visitors are served by rule"
    require(is_blind, "invalid", POLICY, message, f"{path}.opted_out_arm")
    if placement.experiment is None:
        return
    experiment = policy.experiments.get(placement.experiment)
    if experiment is None:
        refuse("dangling", POLICY, f"no experiment {placement.experiment!r}", f"{path}.experiment")
    for arm_name in experiment.arms:
        message = f"experiment {placement.experiment!r} names arm {arm_name!r}, which is not there"
        require(arm_name in arms, "dangling", POLICY, message, f"{path}.arms")


def check_rule(rule: decided.Rule, models: Models, resource: str, path: str, depth: int = MOST_RULE_DEPTH) -> None:
    """Raises BundleRefused for a rule of `resource` that an edge cannot evaluate."""
    require(depth > 0, "too_large", resource, f"rules nest deeper than {MOST_RULE_DEPTH}", path)
    match rule:
        case decided.Every() | decided.Some():
            for position, part in enumerate(rule.rules):
                check_rule(part, models, resource, f"{path}.rules[{position}]", depth - 1)
        case decided.Not():
            check_rule(rule.rule, models, resource, f"{path}.rule", depth - 1)
        case decided.Compare():
            _check_compare(rule, models, resource, path)


def _check_compare(rule: decided.Compare, models: Models, resource: str, path: str) -> None:
    op, to, named = rule.op, rule.to, reference(rule.to)
    known = f"no operator {op!r}; there are {', '.join(OPERATORS)}"
    require(op in OPERATORS, "unknown_rule", resource, known, f"{path}.op")
    require(is_path(rule.of), "unknown_rule", resource, f"no value {rule.of!r}", f"{path}.of")
    require(named is None or is_path(named), "unknown_rule", resource, f"no value {named!r}", f"{path}.to")
    for field, value in (("of", rule.of), ("to", named)):
        wrong = None if value is None else wrong_with_path(value, models)
        require(wrong is None, "dangling", resource, wrong or "", f"{path}.{field}")
    wrong = wrong_with_class(rule.of, op, to, models)
    require(wrong is None, "dangling", resource, wrong or "", f"{path}.to")
    if op == "exists":
        fits, expected = to is None or isinstance(to, bool), "true or false"
    elif named is not None:
        fits, expected = True, "another value"
    elif op in {"in", "not_in"}:
        fits, expected = isinstance(to, list), "a list"
    elif op in ORDERED:
        fits, expected = isinstance(to, (str, float, int)) and not isinstance(to, bool), "a number or text"
    else:
        fits, expected = to is not None, "something to compare with"
    require(fits, "unknown_rule", resource, f"`{op}` takes {expected}, not {to!r}", f"{path}.to")
