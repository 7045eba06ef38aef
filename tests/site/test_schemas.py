"""Editors are told what `site check` takes: files that are in order fit their schema, typing errors do not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from site_flaws import FLAWS, Flaw

from hub.site.loading import load_site
from hub.site.reading import FOLDERS
from hub.site.schemas import KINDS, encoded, kind_of, schema_of
from hub.site.starting import invented_files, start_site
from hub.sources.shipped import preset, preset_names

TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
SCHEMAS = {kind: schema_of(kind) for kind in KINDS}


def misfits(schema: dict[str, Any], value: Any, whole: dict[str, Any], path: str = "$") -> Iterator[str]:
    """The part of JSON Schema that ours use; where a value does not fit, and why."""
    if "$ref" in schema:
        yield from misfits(whole["$defs"][schema["$ref"].rpartition("/")[2]], value, whole, path)
    if "anyOf" in schema and all(list(misfits(part, value, whole, path)) for part in schema["anyOf"]):
        yield f"{path}: fits none of {len(schema['anyOf'])}"
    yield from _misfits_of_scalar(schema, value, path)
    if isinstance(value, dict):
        yield from _misfits_of_object(schema, value, whole, path)
    if isinstance(value, list):
        for position, part in enumerate(value):
            yield from misfits(schema.get("items", {}), part, whole, f"{path}[{position}]")


def _misfits_of_scalar(schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path}: {value!r} is no {kind}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{path}: {value!r} is not {schema['const']!r}"
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} does not match"


def _misfits_of_object(
    schema: dict[str, Any], value: dict[str, Any], whole: dict[str, Any], path: str
) -> Iterator[str]:
    properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key in schema.get("required", []):
        if key not in value:
            yield f"{path}: no {key}"
    for key, part in value.items():
        if key in properties:
            yield from misfits(properties[key], part, whole, f"{path}.{key}")
        elif more is False:
            yield f"{path}: unknown key {key}"
        elif isinstance(more, dict):
            yield from misfits(more, part, whole, f"{path}.{key}")


def as_an_editor_reads(text: str) -> Any:
    """YAML without dates: to an editor's parser they are text."""
    return yaml.load(text, _Loader)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {  # noqa: RUF012  # as PyYAML spells it
        first: [entry for entry in entries if not entry[0].endswith("timestamp")]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


FILES = {file: content for file, content in invented_files().items() if file.endswith(".yaml")}


@pytest.mark.parametrize("file", FILES)
def test_every_file_of_the_invented_site_fits(file: str) -> None:
    schema = SCHEMAS[kind_of(file)]
    assert list(misfits(schema, as_an_editor_reads(FILES[file].decode()), schema)) == []


@pytest.mark.parametrize("name", preset_names())
def test_every_source_that_is_shipped_fits(name: str) -> None:
    schema = SCHEMAS["sources"]
    assert list(misfits(schema, preset(name), schema)) == []
    assert list(misfits(schema, {"preset": name}, schema)) == []


TYPING_ERRORS = [
    flaw for flaw in FLAWS if "unknown key" in flaw.says and kind_of(flaw.file) in KINDS and flaw.file.endswith(".yaml")
]


@pytest.mark.parametrize("flaw", TYPING_ERRORS, ids=lambda flaw: flaw.name)
def test_what_is_misspelt_does_not_fit(flaw: Flaw) -> None:
    text = flaw.new if flaw.old is None else FILES[flaw.file].decode().replace(flaw.old, flaw.new, 1)
    schema = SCHEMAS[kind_of(flaw.file)]
    assert list(misfits(schema, as_an_editor_reads(text), schema))


def test_every_kind_of_files_has_one() -> None:
    assert {"site", "identity", "retention", *FOLDERS} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_no_struct_is_left_open_and_what_keys_mean_is_said(kind: str) -> None:
    structs = [found for found in SCHEMAS[kind].get("$defs", {}).values() if found.get("properties")]
    assert [found["title"] for found in structs if found.get("additionalProperties") is not False] == []
    assert msgspec.json.decode(encoded(kind)).keys() == SCHEMAS[kind].keys()


def test_keys_are_explained_in_the_words_of_the_source() -> None:
    placement = SCHEMAS["placements"]["$defs"]["Placement"]["properties"]
    assert placement["safe"]["description"] == "Never explored on."
    assert SCHEMAS["collections"]["$defs"]["Tags"]["properties"]["none"]["description"] == "None of these."


def test_a_new_site_brings_the_schemas_that_its_files_name(tmp_path: Path) -> None:
    site = tmp_path / "shop"
    start_site(site, "Ann")
    load_site(site)
    for path in sorted(site.rglob("*.yaml")):
        (named,) = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", path.read_text().partition("\n")[0])
        kind = kind_of(path.relative_to(site).as_posix())
        assert (path.parent / named).resolve().read_bytes() == encoded(kind)
    for source in site.rglob("*.html"):
        assert "$schema" not in source.read_text(), "visitors would read it"
