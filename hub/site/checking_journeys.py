"""What a journey must say so that it can be enabled: which placements, when it begins, what it sends."""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Iterator
from typing import Final

from edgewise.bundle.templates import is_approved_template
from edgewise.errors import Problem
from edgewise.events import CONVERSIONS, KIND_OF
from edgewise.ids import PlacementName
from hub.site.checking_templates import templates_of
from hub.site.converting import did_you_mean
from hub.site.documents import Say
from hub.site.journey_file import JourneyFile, StepFile
from hub.site.reading import Files

SHIPPED: Final = ("homepage-banner", "abandoned-cart", "content-hub")
"""Journeys whose needs are built in (`hub.data_audit.needs`)."""
Steps = tuple[str | int, ...]
_SPECIFIED: Final = KIND_OF.keys() | CONVERSIONS
_ALIKE: Final = 0.85
"""From which nearness on (`difflib`, 1 is the same) a name is taken for a misspelt one."""
_OF_MAILS: Final = ("steps", "reasons", "quiet_hours")


def check_journeys(files: Files) -> Iterator[Problem]:
    """Everything that is wrong with the journeys of a site."""
    changed: dict[PlacementName, str] = {}
    for name, (journey, place) in files.journeys.items():
        say = place.problem
        if not journey.needs and name not in SHIPPED:
            cure = "write `needs: [{kind: event, name: Product Viewed, worth: 0.3}]`"
            yield say((), f"nothing says what the journey {name!r} needs to know; {cure}")
        yield from _of_kind(journey, say)
        for position, placement in enumerate(journey.placements):
            yield from _placement(files, journey, placement, ("placements", position), say)
            if placement in changed:
                message = f"the journey {changed[placement]!r} changes the placement {placement!r}, too"
                yield say(("placements", position), f"{message}; leave it to one of them")
            changed.setdefault(placement, name)
        for position, step in enumerate(journey.steps):
            yield from _step(files, journey, step, position, say)
        if journey.reasons is not None and journey.reasons not in files.models:
            yield say(("reasons",), f"no model {journey.reasons!r}; {did_you_mean(journey.reasons, files.models)}")
        yield from _events(journey, say)
        yield from _times(journey, say)


def _of_kind(journey: JourneyFile, say: Say) -> Iterator[Problem]:
    if journey.kind == "mail":
        if journey.placements:
            yield say(("placements",), "a mail changes no page; name its placements in `steps`, or say `kind: page`")
        if journey.trigger is None:
            yield say((), "nothing begins this mail journey; write `trigger: {event: Product Added}`")
        elif journey.trigger.event in journey.trigger.unless:
            message = f"{journey.trigger.event!r} begins a run and ends it"
            yield say(("trigger", "unless"), f"{message}; name what makes the mail needless")
        if not journey.steps:
            yield say((), "this mail journey sends nothing; write `steps: [{treatments: PLACEMENT}]`")
        return
    if journey.trigger is not None:
        yield say(("trigger",), "pages are asked for by visitors, nothing begins them; say `kind: mail`, or remove it")
    for key in _OF_MAILS:
        if getattr(journey, key):
            yield say((key,), f"`{key}` is of mails; say `kind: mail`, or remove it")
    # One that says what it needs may be there to be audited first.
    if not journey.placements and not journey.needs:
        yield say((), "this page journey changes nothing; write `placements: [PLACEMENT]`")


def _placement(files: Files, journey: JourneyFile, name: PlacementName, path: Steps, say: Say) -> Iterator[Problem]:
    if name not in files.placements:
        yield say(path, f"no placement {name!r}; {did_you_mean(name, files.placements)}")
        return
    arms = files.placements[name][0].arms
    arm = journey.champion.arm
    if arm is not None and arm not in arms:
        yield say(("champion", "arm"), f"the placement {name!r} has no arm {arm!r}; {did_you_mean(arm, arms)}")


def _step(files: Files, journey: JourneyFile, step: StepFile, position: int, say: Say) -> Iterator[Problem]:
    path = ("steps", position)
    yield from _placement(files, journey, step.treatments, (*path, "treatments"), say)
    if step.products is not None and step.products not in files.placements:
        cure = did_you_mean(step.products, files.placements)
        yield say((*path, "products"), f"no placement {step.products!r}; {cure}")
    if step.template:
        yield from _template(files, step, (*path, "template"), say)
    if position and step.after_hours <= journey.steps[position - 1].after_hours:
        message = f"this mail is due {step.after_hours:g} hours after the run began, not later than the one before"
        yield say((*path, "after_hours"), f"{message}; put them in order of time")


def _template(files: Files, step: StepFile, path: Steps, say: Say) -> Iterator[Problem]:
    name, templates = step.template, templates_of(files)
    template = templates.get(name)
    if template is None:
        yield say(path, f"no template {name!r}; {did_you_mean(name, templates)}")
    elif template.kind != "mail":
        yield say(path, f"the template {name!r} is one of placements; name one of `kind: mail`")
    elif not is_approved_template(template):
        by = files.templates[name][0].approved
        what = f"the template {name!r} changed since {by.by} approved it" if by else f"nobody approved {name!r}"
        yield say(path, f"{what}; read it, then `edgewise site approve DIR`")


def _events(journey: JourneyFile, say: Say) -> Iterator[Problem]:
    """Names that are nearly one of the specified ones: the event would never come, and nothing would ever say so.

    A site's own event may be called anything; one whose name is as near as that is among what the journey `needs`.
    """
    named: list[tuple[Steps, str]] = []
    if journey.trigger is not None:
        named.append((("trigger", "event"), journey.trigger.event))
        named += [(("trigger", "unless", at), event) for at, event in enumerate(journey.trigger.unless)]
    for position, step in enumerate(journey.steps):
        named += [(("steps", position, "unless", at), event) for at, event in enumerate(step.unless)]
    own = {need.name for need in journey.needs if need.kind == "event"}
    lowered = {event.lower(): event for event in _SPECIFIED}
    for path, event in named:
        near = difflib.get_close_matches(event.lower(), lowered, n=1, cutoff=_ALIKE)
        if event in _SPECIFIED or event in own or not near:
            continue
        cure = f"did you mean {lowered[near[0]]!r}? An event of your own is named in `needs`"
        yield say(path, f"nobody sends an event {event!r}; {cure}")


def _times(journey: JourneyFile, say: Say) -> Iterator[Problem]:
    try:
        zoneinfo.ZoneInfo(journey.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        yield say(("timezone",), f"no time zone {journey.timezone!r}; write one such as Europe/Berlin")
    quiet = journey.quiet_hours
    if quiet is not None and quiet.begin == quiet.end:
        yield say(("quiet_hours",), f"quiet from {quiet.begin} to {quiet.end} is all day, or never; say when it ends")
