"""The files of a site's folder, each decoded on its own; references between them are `hub.site.checking`'s business."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from edgewise.bundle.policy import Placement
from edgewise.bundle.promotions import PromotionName
from edgewise.errors import Problem, SiteError
from edgewise.features.table import Feature
from edgewise.ids import CollectionName, ExperimentKey, ItemId, ModelName, PlacementName, SiteName, TemplateName
from hub.identity.rules import IdentityFile
from hub.site.converting import convert, did_you_mean
from hub.site.documents import Document, Steps, read_json_lines, read_yaml
from hub.site.files import (
    NAME_PATTERN,
    CollectionFile,
    ExperimentFile,
    ItemFile,
    ModelFile,
    RetentionFile,
    SiteFile,
)
from hub.site.journey_file import JourneyFile
from hub.site.promotion_file import PromotionFile
from hub.site.template_files import SourceFile, Sources, TemplateFile, read_sources
from hub.sources.document import SourceDocument, SourceName, merged
from hub.sources.shipped import preset, preset_names

SITE_FILE: Final = "site.yaml"
IDENTITY_FILE: Final = "identity.yaml"
RETENTION_FILE: Final = "retention.yaml"
FOLDERS: Final = (
    "placements",
    "items",
    "collections",
    "features",
    "experiments",
    "models",
    "journeys",
    "promotions",
    "sources",
    "templates",
)

T = TypeVar("T")
Name = TypeVar("Name", bound=str)


class Place(NamedTuple):
    """Where something was written."""

    document: Document
    path: tuple[str | int, ...] = ()

    def problem(self, path: Steps, message: str) -> Problem:
        """What is wrong at a path below this place."""
        return self.document.problem((*self.path, *path), message)

    @property
    def file_line(self) -> str:
        """`items/teas.yaml:12`."""
        return f"{self.document.file}:{self.document.line(self.path)}"


class Files(NamedTuple):
    """The decoded files, each with its place. Order is that of file names, and of lines within them."""

    site: SiteFile
    site_place: Place
    placements: dict[PlacementName, tuple[Placement, Place]]
    collections: dict[CollectionName, tuple[CollectionFile, Place]]
    experiments: dict[ExperimentKey, tuple[ExperimentFile, Place]]
    models: dict[ModelName, tuple[ModelFile, Place]]
    items: dict[ItemId, tuple[ItemFile, Place]]
    features: list[tuple[Feature, Place]]
    sources: dict[SourceName, tuple[SourceDocument, Place]]
    identity: tuple[IdentityFile, Place] | None = None
    retention: tuple[RetentionFile, Place] | None = None
    journeys: Mapping[str, tuple[JourneyFile, Place]] = {}
    promotions: Mapping[PromotionName, tuple[PromotionFile, Place]] = {}
    templates: Mapping[TemplateName, tuple[TemplateFile, Place]] = {}
    sources_of_templates: Mapping[TemplateName, list[SourceFile]] = {}


def read_files(folder: Path) -> Files:
    """Decode every file of a site.

    Raises:
        SiteError: everything that is wrong with single files, with file and line.
    """
    reader = _Reader(folder)
    site, site_place = reader.site()
    templates = reader.named("templates", TemplateFile, TemplateName)
    files = Files(
        site=site,
        site_place=site_place,
        placements=reader.named("placements", Placement, PlacementName),
        collections=reader.named("collections", CollectionFile, CollectionName),
        experiments=reader.named("experiments", ExperimentFile, ExperimentKey),
        models=reader.named("models", ModelFile, ModelName),
        items=reader.items(),
        features=reader.features(),
        identity=reader.identity(),
        retention=reader.retention(),
        journeys=reader.named("journeys", JourneyFile, str),
        promotions=reader.named("promotions", PromotionFile, PromotionName),
        sources=reader.named("sources", SourceDocument, SourceName),
        templates=templates,
        sources_of_templates=reader.sources_of(templates),
    )
    reader.refuse_strange_files()
    raise_if_any(folder, reader.problems)
    return files


def raise_if_any(folder: Path, problems: list[Problem]) -> None:
    """Raise SiteError when there is a problem."""
    if problems:
        how_many = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise SiteError(f"{how_many} in the site {folder}", tuple(problems))


class _Reader:
    """Reads files and collects what is wrong with them."""

    def __init__(self, folder: Path) -> None:
        self.problems: list[Problem] = []
        self._folder = folder
        self._read_already: set[str] = set()

    def site(self) -> tuple[SiteFile, Place]:
        for found in self._whole(SITE_FILE, SiteFile):
            return found
        if not self.problems:
            cure = f"`edgewise site init {self._folder}` writes a small site to start from"
            self.problems.append(Problem(f"{SITE_FILE}:1", f"there is no {SITE_FILE} in {self._folder}; {cure}"))
        # Only to go on and find what else is wrong: nothing is returned when there is a problem.
        return SiteFile(SiteName("unnamed")), Place(Document(SITE_FILE, None))

    def named(self, kind: str, into: type[T], name_type: Callable[[str], Name]) -> dict[Name, tuple[T, Place]]:
        """One thing a file; its name is the file's."""
        found: dict[Name, tuple[T, Place]] = {}
        for file in self._listed(kind, ".yaml"):
            name = file.rpartition("/")[2].removesuffix(".yaml")
            if re.fullmatch(NAME_PATTERN, name) is None:
                cure = "rename it to small letters, digits, - and _"
                self.problems.append(
                    Problem(f"{file}:1", f"the file's name {name!r} is the name of what is in it; {cure}")
                )
            for thing, place in self._whole(file, into):
                found[name_type(name)] = (thing, place)
        return found

    def items(self) -> dict[ItemId, tuple[ItemFile, Place]]:
        found: dict[ItemId, tuple[ItemFile, Place]] = {}
        for item, place in self._all_items():
            if item.id in found:
                where = found[item.id][1].file_line
                message = f"the item {item.id!r} is there already ({where}); give one of them another id, or remove it"
                self.problems.append(place.problem(("id",), message))
            else:
                found[item.id] = (item, place)
        return found

    def features(self) -> list[tuple[Feature, Place]]:
        kind: Any = Feature  # a union of structs, which no `type[T]` can name
        files = self._listed("features", ".yaml")
        return [(feature, place) for file in files for feature, place in self._each(file, kind)]

    def identity(self) -> tuple[IdentityFile, Place] | None:
        return next(self._whole(IDENTITY_FILE, IdentityFile), None)

    def retention(self) -> tuple[RetentionFile, Place] | None:
        return next(self._whole(RETENTION_FILE, RetentionFile), None)

    def sources_of(self, templates: Mapping[TemplateName, object]) -> Sources:
        sources, problems = read_sources(self._folder, templates)
        self.problems += problems
        return sources

    def refuse_strange_files(self) -> None:
        """A file that nothing reads is mostly one that was meant to be read (but not in a folder that is no site)."""
        if SITE_FILE not in self._read_already:
            return
        for path in sorted(self._folder.rglob("*.y*ml")):
            file = path.relative_to(self._folder).as_posix()
            if file in self._read_already or any(part.startswith(".") for part in file.split("/")):
                continue
            if path.suffix == ".yml":
                cure = f"rename it to {path.stem}.yaml"
            else:
                cure = did_you_mean(file.partition("/")[0], [*FOLDERS, SITE_FILE, IDENTITY_FILE, RETENTION_FILE])
            self.problems.append(Problem(f"{file}:1", f"nothing reads this file; {cure}"))

    def _all_items(self) -> Iterator[tuple[ItemFile, Place]]:
        for file in self._listed("items", ".yaml"):
            yield from self._each(file, ItemFile)
        for file in self._listed("items", ".jsonl"):
            for document, problems in read_json_lines(file, self._folder / file):
                self.problems += problems
                if document is not None:
                    yield from self._converted(document, (), ItemFile)

    def _listed(self, kind: str, ending: str) -> list[str]:
        return [f"{kind}/{path.name}" for path in sorted((self._folder / kind).glob(f"*{ending}"))]

    def _document(self, file: str) -> Document | None:
        path = self._folder / file
        if os.path.lexists(path) and not path.is_file():
            self._read_already.add(file)
            self.problems.append(Problem(f"{file}:1", "is no file that can be read; write one, or remove it"))
            return None
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as wrong:
            self._read_already.add(file)
            self.problems.append(Problem(f"{file}:1", f"cannot be read: {wrong}; save it as UTF-8 text"))
            return None
        self._read_already.add(file)
        document, problems = read_yaml(file, text)
        self.problems += problems
        if document is not None and document.value is None:
            self.problems.append(document.problem((), "the file is empty; fill it in, or remove it"))
            return None
        return document

    def _whole(self, file: str, into: type[T]) -> Iterator[tuple[T, Place]]:
        document = self._document(file)
        if document is not None:
            yield from self._converted(document, (), into)

    def _each(self, file: str, into: type[T]) -> Iterator[tuple[T, Place]]:
        document = self._document(file)
        if document is None:
            return
        if not isinstance(document.value, list):
            self.problems.append(document.problem((), "expected a list: start each entry with `- `"))
            return
        for position in range(len(document.value)):
            yield from self._converted(document, (position,), into)

    def _converted(self, document: Document, path: tuple[int, ...], into: type[T]) -> Iterator[tuple[T, Place]]:
        value = document.value[path[0]] if path else document.value
        if into is SourceDocument:
            value = self._over_preset(document)
            if value is None:
                return
        converted, wrong = convert(value, into, path)
        self.problems += [document.problem(step, message) for step, message in wrong]
        if converted is not None:
            yield converted, Place(document, path)

    def _over_preset(self, document: Document) -> Any:
        """What a source says over what is shipped under the name that it gives; None when that name is wrong."""
        named = document.value.get("preset") if isinstance(document.value, dict) else None
        if not isinstance(named, str):
            return document.value
        if named not in preset_names():
            cure = did_you_mean(named, preset_names())
            self.problems.append(document.problem(("preset",), f"no preset {named!r}; {cure}"))
            return None
        return merged(preset(named), document.value)
