"""`edgewise link`: files in, pairs and people out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hub.linkage.clusters import groups, named, people, weight_of
from hub.linkage.quality import Quality, clustered, pairwise
from hub.linkage.records import Records, read_records
from hub.linkage.roles import Role
from hub.linkage.scoring import LevelWorth, Pairs, Scorer

THRESHOLD: Final = 0.5
_DIGITS: Final = 6


class Pair(msgspec.Struct, frozen=True, omit_defaults=True):
    """Two records that are probably one person. With two files the one of the first file stands left."""

    left: str
    right: str
    probability: float
    left_file: str | None = None
    right_file: str | None = None


class Measured(msgspec.Struct, frozen=True):
    """Against the truth."""

    pairwise: Quality
    clustered: Quality


class Linked(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    pairs: list[Pair]
    """At or above the threshold, most probable first."""
    clusters: dict[str, str]
    """The cluster of every record."""
    quality: Measured | None
    records: int
    people: int
    """Clusters, those of one record included."""
    threshold: float
    columns: dict[str, str]
    """Which column was read as what."""
    notes: list[str]


class Linkage(NamedTuple):
    """The result, and what a page about it draws."""

    linked: Linked
    worths: list[LevelWorth]
    scored: Pairs


def link(
    paths: Sequence[Path],
    *,
    key: str,
    truth: str | None = None,
    roles: Mapping[str, Role] | None = None,
    threshold: float = THRESHOLD,
    previous: Mapping[str, str] | None = None,
    delimiter: str | None = None,
    seed: int = 0,
    threads: int = 1,
    working: Callable[[str], None] = lambda _: None,
) -> Linkage:
    """Link the records of one file or two; same input, same output. `threshold` in (0, 1).

    Raises what `read_records` raises.
    """
    working("reading")
    records = read_records(paths, key=key, truth=truth, given=roles, delimiter=delimiter)
    with Scorer(records, seed=seed, threads=threads) as scorer:
        scorer.learn(working)
        working("comparing pairs")
        # far below the threshold: a page about the result shows what was near
        scored = scorer.candidates(min(0.01, threshold))
        working("making people of pairs")
        joined = groups(scored, weight_of(threshold))
        clusters = people(scorer.within(joined), joined)
        worths, notes = scorer.worths(), scorer.notes
    return Linkage(
        _linked(records, scored, clusters, threshold=threshold, previous=previous, notes=notes), worths, scored
    )


def _linked(
    records: Records,
    scored: Pairs,
    clusters: list[list[int]],
    *,
    threshold: float,
    previous: Mapping[str, str] | None,
    notes: list[str],
) -> Linked:
    ids, files = records.ids, records.files
    of = named([[ids[number] for number in cluster] for cluster in clusters], ids, previous)
    probable = scored.probability.round(_DIGITS)
    chosen = (scored.weight >= weight_of(threshold)).nonzero()[0].tolist()
    chosen.sort(key=lambda at: (-probable[at], scored.left[at], scored.right[at]))
    numbers = [(int(scored.left[at]), int(scored.right[at])) for at in chosen]
    two = len(set(files)) > 1
    pairs = [
        Pair(
            ids[left],
            ids[right],
            float(probable[at]),
            files[left] if two else None,
            files[right] if two else None,
        )
        for at, (left, right) in zip(chosen, numbers, strict=True)
    ]
    quality = None
    if records.truth is not None:
        names = [of[each] for each in ids]
        quality = Measured(pairwise(numbers, records.truth), clustered(names, records.truth))
    columns = {role.value: column for role, column in records.roles.items()}
    return Linked(pairs, of, quality, len(ids), len(set(of.values())), threshold, columns, notes)
