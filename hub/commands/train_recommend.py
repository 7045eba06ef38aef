"""`edgewise train recommend`: a collaborative filter, learned from a file and judged on what was held back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from edgewise.errors import InputError
from edgewise.ids import ItemId
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import Delimiter, demand_folders, names, put, separator, usage

if TYPE_CHECKING:
    from hub.datasets.films import Film
    from hub.recommend.reading import Read

MOVIELENS: Final = "movielens"
_READS_CONTENT: Final = frozenset({"content", "blend", "auto"})


def recommend(
    *,
    interactions: Annotated[
        str,
        typer.Option(
            help="CSV (also .gz), Parquet or JSONL with one row per interaction; or `movielens`, the built-in "
            "MovieLens 100k, downloaded once."
        ),
    ] = MOVIELENS,
    user: Annotated[str | None, typer.Option(help="Column of the user. For movielens: user_id.")] = None,
    item: Annotated[str | None, typer.Option(help="Column of the item. For movielens: item_id.")] = None,
    time: Annotated[
        str | None, typer.Option(help="Column of the time: a number or a date. For movielens: timestamp.")
    ] = None,
    weight: Annotated[str | None, typer.Option(help="Column of a weight above 0. Without: used or not used.")] = None,
    rating: Annotated[
        str | None,
        typer.Option(
            help="Column of a rating: blend learns more from what was liked. For movielens: rating.",
        ),
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option(help="Catalogue with the item column: what there is, used or not, and what it is about."),
    ] = None,
    about: Annotated[
        str | None,
        typer.Option(
            metavar="COL,COL", help="Columns of the catalogue that say what an item is. Without: all but the item's."
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="ease, blend, als, bpr, itemknn, content, session-knn, popular, or auto: the best on a part of train."
        ),
    ] = "ease",
    split: Annotated[
        str,
        typer.Option(
            help="What is held back: random:0.2[:SEED], per-user:0.25[:SEED], per-user:0.1,0.1[:SEED] (test, "
            "validation), leave-one-out, time:0.8 (train), file:TEST."
        ),
    ] = "random:0.2",
    k: Annotated[str, typer.Option("--k", help="Lengths of the lists that are judged.")] = "5,10,20",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="KEY=VALUE, as in lambda=300; a wrong key lists those of the method.", metavar="KEY=VALUE"
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Where the report is written as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Where it is written as a page with plots.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the split, unless it names one, and the intervals.")] = 0,
    delimiter: Delimiter = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Keep the built-in data set in here instead of the cache folder.", file_okay=False),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn who used what together, and say how good the recommendations are.

    The numbers are means over the users with something held back, each with a 95 % interval by bootstrap over
    users: precision, recall, hit rate, MRR, NDCG (cut: ideal of min(k, held back) items; uncut: of all held-back
    items), and the coverage of the catalogue. What a user has in train is not recommended to them.
    """
    from hub.datasets import movielens
    from hub.recommend.content import learn
    from hub.recommend.methods import AUTO, method_named, settings_of
    from hub.recommend.page import report_page
    from hub.recommend.reading import Columns, read_about, read_interactions
    from hub.recommend.report import trial
    from hub.recommend.split import FileSplit, divide, parse_split

    terminal = Terminal(json=json, quiet=quiet)
    with usage("--k"):
        ks = _lengths(k)
    with usage("--split"):
        chosen_split = parse_split(split, seed=seed)
    with usage("--method"):
        if method != AUTO:
            method_named(method)
    with usage("--set"):
        chosen_settings = settings_of(method, settings or [])
    between = separator(delimiter)
    demand_folders(report, html)
    is_movielens = interactions == MOVIELENS
    if is_movielens:
        path = movielens.interactions_file(_cache(data_dir))
        user, item, time, rating = user or "user_id", item or "item_id", time or "timestamp", rating or "rating"
    else:
        path = Path(interactions)
    columns = Columns(*_named(user, item, path, between), time, weight, rating)
    with terminal.working(f"reading {path.name}"):
        read = read_interactions(
            path,
            columns,
            delimiter=between,
            test=chosen_split.path if isinstance(chosen_split, FileSplit) else None,
            catalogue=items,
        )
        divided = divide(read.interactions, chosen_split, first_of_file=read.first_of_test)
        said: Mapping[str, Sequence[object]] = {}
        if method in _READS_CONTENT and items is not None:
            known = read.interactions.items
            said = read_about(items, columns.item, known, columns=names(about), delimiter=between)
        elif method in _READS_CONTENT and is_movielens:
            said = _films(movielens.load(_cache(data_dir)).items, read.interactions.items)
    with terminal.working(f"learning {method}") as tell:
        found = trial(
            read.interactions,
            divided,
            method=method,
            settings=chosen_settings,
            split=split,
            ks=ks,
            seed=seed,
            content=learn(said, seed=seed) if said else None,
            tell=lambda what: tell(f"learning {method}: {what}"),
        )
    found = msgspec.structs.replace(found, warnings=[*found.warnings, *_cautions(read, items)])
    named = f"{method} ({found.chosen})" if found.chosen else method
    title = f"{named} on {path.name}, split {split}: {found.users['judged']:,} users judged"
    for warning in found.warnings:
        terminal.note(f"warning: {warning}")
    if report is not None:
        put(report, msgspec.json.format(msgspec.json.encode(found.as_json())) + b"\n")
    if html is not None:
        put(html, report_page(found, title=title))
    rows = [
        [measure, *(_shown(found.metrics, found.intervals, f"{measure}@{length}") for length in ks)]
        for measure in dict.fromkeys(key.partition("@")[0] for key in found.metrics)
    ]
    terminal.result(found.as_json(), table(["", *(f"@{length}" for length in ks)], rows, title=title))


def _cautions(read: Read, catalogue: Path | None) -> Iterator[str]:
    for name in read.fractions:
        yield f"column {name!r} holds ids with decimals, as in 7.0: they stay so, match no 7, and break ties as text"
    if read.unlisted:
        yield f"{read.unlisted} items were used but are not in {catalogue}"


def _cache(data_dir: Path | None) -> Path:
    from hub.datasets.download import default_cache

    return default_cache(os.environ) if data_dir is None else data_dir / "datasets"


def _films(films: Mapping[ItemId, Film], items: Sequence[str]) -> dict[str, Sequence[object]]:
    """Title, year and genres, as a catalogue would have them."""
    known = [films[ItemId(item)] for item in items]
    return {
        "title": [film.title for film in known],
        "year": [film.year for film in known],
        "genres": [" ".join(film.genres) for film in known],
    }


def _named(user: str | None, item: str | None, path: Path, delimiter: str | None) -> tuple[str, str]:
    """Both column names, or an error that lists what could be named."""
    from hub.tables import read_table

    if user is None or item is None:
        there = ", ".join(map(repr, read_table(path, delimiter=delimiter).column_names))
        absent = "--user" if user is None else "--item"
        raise typer.BadParameter(f"name that column of {path}; there are: {there}", param_hint=absent)
    return user, item


def _lengths(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"{text!r} is not a list of lengths of 1 or more, as in 5,10,20")
    return tuple(sorted({int(part) for part in parts}))


def _shown(metrics: dict[str, float], intervals: dict[str, tuple[float, float]], key: str) -> str:
    if key not in intervals:
        return f"{metrics[key]:.4f}"
    low, high = intervals[key]
    return f"{metrics[key]:.4f} [{low:.4f}, {high:.4f}]"
