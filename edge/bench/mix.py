"""What visitors do, as a profile file says it: who comes, what they ask, how the load is shaped over time.

The file is TOML. `edgewise bench --profile NAME` knows the ones in `mixes/`; they are examples to copy.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.bench.arrivals import STEADY, Stage
from edgewise.errors import InputError, problem_of
from edgewise.request import Attributes, Context

Share = Annotated[float, Meta(gt=0)]
"""Relative to the other requests of the mix."""
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class Visitors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who comes."""

    new: Annotated[float, Meta(ge=0, le=1)] = 0.2
    """Share of requests by somebody who was never seen."""
    returning: Annotated[int, Meta(ge=1, le=10_000_000)] = 1_000
    """How many known visitors the other requests are spread over."""
    history: Annotated[int, Meta(ge=0, le=50)] = 0
    """Views of each known visitor that are told before measuring begins: 0 leaves the profile cache cold."""


class Placement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One placement of a page."""

    name: Name
    count: Annotated[int, Meta(ge=1, le=100)] | None = None
    """As the site says, if silent."""
    candidates: Annotated[int, Meta(ge=0, le=1_000)] = 0
    """How many items the caller brings along; 0 leaves the placement's collection to compete."""
    attributes: Attributes = {}
    """Of each candidate that is brought along."""


class Decide(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="ask", tag="decide"):
    """A page is decided: `POST /v1/decide`."""

    share: Share
    placements: Annotated[list[Placement], Meta(min_length=1, max_length=50)]
    explain: bool = False


class View(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="ask", tag="view"):
    """A visitor looks at an item: `POST /v1/track`."""

    share: Share
    event: Name = "Product Viewed"


class Click(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="ask", tag="click"):
    """A visitor clicks what a decision of this run has shown him; a view as long as there is none."""

    share: Share
    event: Name = "Content Clicked"


class Mix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A profile file."""

    requests: Annotated[list[Decide | View | Click], Meta(min_length=1, max_length=100)]
    visitors: Visitors = Visitors()
    items: Annotated[list[Name], Meta(max_length=100_000)] = []
    """Ids that views name and candidates are taken from; invented ones, if empty."""
    contexts: list[Context] = []
    """Pages and devices, each as likely as the others."""
    shape: list[Stage] = msgspec.field(default_factory=lambda: list(STEADY))
    """How the rate changes over the duration."""
    description: str = ""

    @property
    def placements(self) -> list[str]:
        """Every placement that it asks for, each once."""
        asked = [request for request in self.requests if isinstance(request, Decide)]
        return list(dict.fromkeys(placement.name for request in asked for placement in request.placements))


def shipped() -> list[str]:
    """Names of the ready-made mixes."""
    folder = files("edge.bench") / "mixes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_mix(profile: str) -> Mix:
    """A ready-made mix by its name, or one from a file.

    Raises:
        InputError: there is no such mix, or it is wrong; with the place.
    """
    if profile in shipped():
        return decode_mix((files("edge.bench") / "mixes" / f"{profile}.toml").read_text("utf-8"), profile)
    try:
        text = Path(profile).read_text("utf-8")
    except FileNotFoundError:
        raise InputError(f"{profile}: no such file, nor one of the mixes {', '.join(shipped())}") from None
    except OSError as failed:
        raise InputError(f"{profile}: {failed.strerror or failed}") from failed
    except UnicodeDecodeError as broken:
        raise InputError(f"{profile}: not UTF-8: {broken.reason} at byte {broken.start}") from None
    return decode_mix(text, profile)


def decode_mix(text: str, name: str) -> Mix:
    """Read a profile file; `name` is for messages.

    Raises:
        InputError: it is no TOML, or says something that no mix may say; with the place.
    """
    try:
        mix = msgspec.convert(tomllib.loads(text), Mix)
    except tomllib.TOMLDecodeError as broken:
        raise InputError(f"{name}: not TOML: {broken}") from None
    except msgspec.ValidationError as wrong:
        problem = problem_of(str(wrong))
        raise InputError(f"{name}: {problem.path}: {problem.message}", (problem,)) from None
    if not any(stage.factor > 0 for stage in mix.shape):
        raise InputError(f"{name}: $.shape: no stage has a factor above 0, so nothing would ever be sent")
    return mix
