"""JSON Schemas of a site's files, made from the very structs that read them, so that editors know and explain each key.

Stricter than msgspec's own: a key that no struct has is an error, as it is for `site check`. What a key means is the
text below it in our source: it is written once. What only several files together can tell is for `site check`.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from edgewise.bundle.policy import Placement
from edgewise.errors import InputError
from edgewise.features.table import Feature
from hub.durable import replace_file
from hub.identity.rules import IdentityFile
from hub.site.converting import did_you_mean
from hub.site.files import CollectionFile, ExperimentFile, ItemFile, ModelFile, RetentionFile, SiteFile
from hub.site.journey_file import JourneyFile
from hub.site.promotion_file import PromotionFile
from hub.site.template_files import TemplateFile
from hub.sources.document import SourceDocument

FOLDER: Final = ".schema"
"""Where `site init` puts them, below the site's folder."""
KINDS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "site": SiteFile,
        "identity": IdentityFile,
        "retention": RetentionFile,
        "placements": Placement,
        "items": list[ItemFile],
        "collections": CollectionFile,
        "features": list[Feature],
        "experiments": ExperimentFile,
        "models": ModelFile,
        "journeys": JourneyFile,
        "promotions": PromotionFile,
        "sources": SourceDocument,
        "templates": TemplateFile,
    }
)
"""The stem of a file beside site.yaml, or a folder -> what is in each file."""
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def kind_of(file: str) -> str:
    """The kind of a YAML file by its path below the site's folder."""
    return file.partition("/")[0].removesuffix(".yaml")


def schema_of(kind: str) -> dict[str, Any]:
    """The schema of a kind of files. Raises InputError for a kind that does not exist."""
    if kind not in KINDS:
        raise InputError(f"no kind of files {kind!r}; {did_you_mean(kind, KINDS)}")
    made: dict[str, Any] = msgspec.to_builtins(msgspec.json.schema(KINDS[kind]))
    structs = {struct.__name__: struct for struct in _structs(KINDS[kind])}
    for name, definition in made.get("$defs", {}).items():
        struct = structs.get(name)
        if struct is not None:
            _closed(definition, struct)
    if KINDS[kind] is SourceDocument:
        # What a preset says already need not be said again.
        made["$defs"][SourceDocument.__name__].pop("required", None)
    return {"$schema": _DIALECT, "title": f"Edgewise: {kind}", **made}


def encoded(kind: str) -> bytes:
    """The schema as a file."""
    return msgspec.json.format(msgspec.json.encode(schema_of(kind)), indent=2) + b"\n"


def write_schemas(folder: Path) -> list[str]:
    """Write the schemas of all kinds into a folder, one a file; their names."""
    for kind in KINDS:
        replace_file(folder / f"{kind}.json", encoded(kind))
    return [f"{kind}.json" for kind in KINDS]


def with_modeline(file: str, content: bytes) -> bytes:
    """A YAML file that tells editors where its schema lies; unchanged where it is of no kind that has one.

    The sources of a template lie in a folder with a kind, too, but a line above them would be shown on pages.
    """
    kind = kind_of(file)
    if kind not in KINDS or not file.endswith(".yaml"):
        return content
    up = "../" * file.count("/")
    return f"# yaml-language-server: $schema={up}{FOLDER}/{kind}.json\n".encode() + content


def _closed(definition: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    """No other key than those of the struct, and on each what it means."""
    definition["additionalProperties"] = False
    if "description" in definition:
        definition["description"] = inspect.cleandoc(definition["description"])
    said = _said_of(struct)
    for field in msgspec.structs.fields(struct):
        text = said.get(field.name)
        if text and field.encode_name in definition["properties"]:
            definition["properties"][field.encode_name]["description"] = text


def _structs(kind: Any) -> set[type[msgspec.Struct]]:
    """All structs that a type is made of."""
    found: set[type[msgspec.Struct]] = set()
    waiting: list[Any] = [msgspec.inspect.type_info(kind)]
    while waiting:
        info = waiting.pop()
        match info:
            case msgspec.inspect.StructType(cls=cls, fields=fields):
                if cls not in found:
                    found.add(cls)
                    waiting += [field.type for field in fields]
            case msgspec.inspect.UnionType(types=types):
                waiting += types
            case msgspec.inspect.DictType(key_type=key, value_type=value):
                waiting += [key, value]
            case (
                msgspec.inspect.ListType(item_type=item)
                | msgspec.inspect.SetType(item_type=item)
                | msgspec.inspect.VarTupleType(item_type=item)
            ):
                waiting.append(item)
            case msgspec.inspect.TupleType(item_types=items):
                waiting += items
            case msgspec.inspect.Metadata(type=inner):
                waiting.append(inner)
            case _:
                pass
    return found


@functools.cache
def _said_of(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """Field -> the text below it in the source of the struct, or of one that it inherits from."""
    said: dict[str, str] = {}
    for cls in reversed(struct.__mro__):
        if not (issubclass(cls, msgspec.Struct) and cls is not msgspec.Struct):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            ):
                said[field.target.id] = inspect.cleandoc(text.value.value)
    return said
