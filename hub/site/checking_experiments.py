"""What an experiment must say before it starts: whom it is for, what it is judged by, and how it grows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from edgewise.admission.check_conditions import wrong_with_condition
from edgewise.bundle.experiments import Experiment, Metric
from edgewise.bundle.exploration import Greedy
from edgewise.bundle.policy import Everything, External, Placement
from edgewise.errors import Problem
from edgewise.events import KIND_OF, Kind
from edgewise.ids import ExperimentKey, PlacementName
from hub.site.converting import did_you_mean
from hub.site.documents import Say
from hub.site.files import ExperimentFile
from hub.site.reading import Files

NO_BUSINESS: Final = frozenset(
    {Kind.VIEW, Kind.CLICK, Kind.IMPRESSION, Kind.PAGE, Kind.SEARCH, Kind.EMAIL_DELIVERED, Kind.EMAIL_OPENED}
    | {Kind.EMAIL_CLICKED, Kind.EMAIL_BOUNCED, Kind.EMAIL_SPAM}
)
"""Kinds that no site lives on: a page that wins clicks may lose orders."""
Steps = tuple[str | int, ...]


def check_experiments(files: Files) -> Iterator[Problem]:
    """Everything that is wrong with the experiments of a site."""
    running: dict[ExperimentKey, PlacementName] = {}
    for name, (placement, _) in files.placements.items():
        if placement.experiment is not None:
            running.setdefault(placement.experiment, name)
    for key, (experiment, place) in files.experiments.items():
        yield from _arms(experiment, place.problem)
        yield from _audience(experiment, place.problem)
        yield from _metrics(experiment, place.problem)
        yield from _ramp(experiment, place.problem)
        if key in running:
            yield from _before_it_starts(experiment, running[key], place.problem)
    yield from _namespaces(files, running)


def check_placement_experiment(files: Files, placement: Placement, say: Say) -> Iterator[Problem]:
    """Whether the experiment that a placement runs is there, and has its arms; external arms have nothing to choose."""
    for name, chosen in placement.arms.items():
        if isinstance(chosen.ranking, External) and (chosen.exploration, chosen.retrieval) != (Greedy(), Everything()):
            message = "the page chooses here, so that there is nothing to explore or retrieve"
            yield say(
                ("arms", name), f"{message}; leave `exploration` and `retrieval` away, or rank by something of ours"
            )
    if placement.experiment is None:
        return
    if placement.experiment not in files.experiments:
        cure = did_you_mean(placement.experiment, files.experiments)
        yield say(("experiment",), f"no experiment {placement.experiment!r}; {cure}")
        return
    experiment, place = files.experiments[placement.experiment]
    for position, arm in enumerate(experiment.arms):
        if arm not in placement.arms:
            where = f"the placement ({say(('arms',), '').path}) has no arm {arm!r}"
            yield place.problem(("arms", position), f"{where}; {did_you_mean(arm, placement.arms)}")


def experiment_of(key: ExperimentKey, file: ExperimentFile) -> Experiment:
    """As it is released."""
    return Experiment(
        arms=file.arms,
        weights=file.weights,
        seed=file.seed or key,
        coverage=file.coverage,
        control=file.control,
        outcome=file.outcome,
        guardrails=file.guardrails,
        method=file.method,
        condition=file.condition,
        namespace=file.namespace,
        hash_version=file.hash_version,
        sticky=file.sticky,
        bucket_version=file.bucket_version,
        min_bucket_version=file.min_bucket_version,
        training_share=file.training_share,
        ramp=file.ramp,
    )


def is_business(metric: Metric) -> bool:
    """Whether a site lives on what a metric counts: what its author says, else by the kind of its event."""
    if metric.business is not None:
        return metric.business
    kind = Kind(metric.event) if metric.event in set(Kind) else KIND_OF.get(metric.event)
    return kind not in NO_BUSINESS


def _arms(experiment: ExperimentFile, say: Say) -> Iterator[Problem]:
    if len(experiment.weights) != len(experiment.arms):
        count = f"{len(experiment.weights)} weights for {len(experiment.arms)} arms"
        yield say(("weights",), f"{count}; write one weight an arm")
    elif not math.isclose(sum(experiment.weights), 1.0, abs_tol=1e-6):
        yield say(("weights",), f"the weights add up to {sum(experiment.weights):g}; make them add up to 1")
    for position, arm in enumerate(experiment.arms):
        if arm in experiment.arms[:position]:
            yield say(("arms", position), f"the arm {arm!r} is listed twice; remove one")
    if experiment.control and experiment.control not in experiment.arms:
        yield say(("control",), f"no arm {experiment.control!r}; {did_you_mean(experiment.control, experiment.arms)}")


def _audience(experiment: ExperimentFile, say: Say) -> Iterator[Problem]:
    for wrong in wrong_with_condition(experiment.condition):
        yield say(("condition", *wrong.path), wrong.message)
    part = experiment.namespace
    if part is not None and part.start >= part.end:
        message = f"the part ends at {part.end:g}, and starts at {part.start:g}; write the smaller one first"
        yield say(("namespace", "end"), message)
    if experiment.min_bucket_version > experiment.bucket_version:
        message = f"nobody would take part: the current version is {experiment.bucket_version}"
        yield say(("min_bucket_version",), f"{message}; raise bucket_version to {experiment.min_bucket_version}")
    if experiment.training_share >= 1:
        yield say(("training_share",), "nobody would be left to measure; leave some, such as 0.1 for training")


def _metrics(experiment: ExperimentFile, say: Say) -> Iterator[Problem]:
    named: list[tuple[Steps, Metric]] = [(("guardrails", at), each) for at, each in enumerate(experiment.guardrails)]
    if experiment.outcome is not None:
        named.insert(0, (("outcome",), experiment.outcome))
    names: set[str] = set()
    for path, metric in named:
        if metric.name in names:
            yield say((*path, "name"), f"the metric {metric.name!r} is there twice; rename one")
        names.add(metric.name)
        yield from _event(metric.event, (*path, "event"), say)
        if metric.value == "ratio" and not metric.denominator:
            yield say((*path, "value"), "a ratio of what? name the event that it is counted by in `denominator`")
        elif metric.denominator and metric.value != "ratio":
            yield say((*path, "denominator"), f"only a ratio has one, not {metric.value!r}; say `value: ratio`")
        elif metric.denominator:
            yield from _event(metric.denominator, (*path, "denominator"), say)


def _event(event: str, path: Steps, say: Say) -> Iterator[Problem]:
    """An event is a kind, or a name as Segment writes them; what looks like a kind and is none is a typing error."""
    if event == Kind.OTHER:
        yield say(path, "'other' is no event; write its name to the letter")
    elif event not in set(Kind) and event not in KIND_OF and event == event.lower() and event.isidentifier():
        yield say(path, f"no kind of event {event!r}; {did_you_mean(event, set(Kind) - {Kind.OTHER})}")


def _ramp(experiment: ExperimentFile, say: Say) -> Iterator[Problem]:
    if experiment.ramp is None:
        return
    steps = experiment.ramp.steps
    for position, (before, after) in enumerate(pairwise(steps), 1):
        if after.coverage <= before.coverage:
            message = f"the step to {after.coverage:g} does not raise the coverage of {before.coverage:g}"
            yield say(("ramp", "steps", position, "coverage"), f"{message}; put the smaller one first")
    if experiment.coverage not in {step.coverage for step in steps}:
        known = ", ".join(f"{step.coverage:g}" for step in steps)
        yield say(("coverage",), f"{experiment.coverage:g} is no step of the ramp; start with one of {known}")


def _before_it_starts(experiment: ExperimentFile, placement: PlacementName, say: Say) -> Iterator[Problem]:
    runs = f"the placement {placement!r} runs it"
    if experiment.outcome is None:
        cure = "write `outcome: {name: orders, event: order}`"
        yield say((), f"{runs}, and it names no business outcome; {cure}")
    elif not is_business(experiment.outcome):
        message = f"{experiment.outcome.event!r} is no business outcome, for what wins clicks may lose orders"
        yield say(("outcome", "event"), f"{message}; name what the site lives on, or say `business: true` of this")
    if not experiment.guardrails:
        cure = "write `guardrails: [{name: refunds, event: refund, better: lower, threshold: 0.05}]`"
        yield say((), f"{runs}, and it names no guardrail, which must not get worse; {cure}")


def _namespaces(files: Files, running: dict[ExperimentKey, PlacementName]) -> Iterator[Problem]:
    taken: list[ExperimentKey] = []
    for key, (experiment, place) in files.experiments.items():
        part = experiment.namespace
        if part is None or key not in running:
            continue
        for other in taken:
            before = files.experiments[other][0].namespace
            if before is None or before.name != part.name:
                continue
            if max(part.start, before.start) < min(part.end, before.end):
                message = f"it shares visitors of {part.name!r} with the experiment {other!r}, which has"
                cure = f"{before.start:g} to {before.end:g}; take another part"
                yield place.problem(("namespace",), f"{message} {cure}")
        taken.append(key)
