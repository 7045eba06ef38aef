"""Settings of a process from a TOML file, the environment and the command line, in this order: later sources win.

Each source is checked by itself, so that an error names the file's path, the variable or the flag. Node and hub read
theirs by the same rules; what can be set is theirs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta

from edgewise.errors import MALFORMED, InputError, Problem

T = TypeVar("T", bound=msgspec.Struct)


class Configuration(Generic[T]):
    """How one struct of settings is filled. `prefix` begins its environment variables: `EDGEWISE_HUB_`."""

    def __init__(self, settings: type[T], prefix: str) -> None:
        self._settings = settings
        self._prefix = prefix

    def load(self, file: Path | None, environment: Mapping[str, str], flags: Mapping[str, object] | None = None) -> T:
        """The settings; flags that are None were not given. Lists in the environment are separated by commas.

        Raises:
            InputError: a source cannot be read, or holds something that is no setting.
        """
        values: dict[str, object] = {}
        if file is not None:
            values |= self._from_file(file)
        values |= self._from_environment(environment)
        for name, value in (flags or {}).items():
            if value is not None:
                values |= self._checked({name: value}, f"--{name.replace('_', '-')}")
        return msgspec.convert(values, self._settings)

    def _from_file(self, file: Path) -> dict[str, object]:
        try:
            table = tomllib.loads(file.read_text("utf-8"))
        except OSError as missing:
            raise InputError(f"{file}: {missing.strerror}") from missing
        except MALFORMED as wrong:
            raise InputError(f"{file} is not TOML: {wrong}", (Problem(str(file), str(wrong)),)) from wrong
        return self._checked(table, str(file), has_inside=True)

    def _from_environment(self, environment: Mapping[str, str]) -> dict[str, object]:
        found: dict[str, object] = {}
        for variable, text in sorted(environment.items()):
            name = variable.removeprefix(self._prefix).lower()
            if not variable.startswith(self._prefix) or not text:
                continue  # set but empty is how a compose file says "not set"
            if name not in self._settings.__struct_fields__:
                raise InputError(f"{variable}: there is no such setting", (Problem(variable, "unknown setting"),))
            is_list = str(get_type_hints(self._settings)[name]).startswith("list")
            value: object = [part.strip() for part in text.split(",") if part.strip()] if is_list else text
            found |= self._checked({name: value}, variable, strict=False)
        return found

    def _checked(
        self, values: Mapping[str, object], source: str, *, strict: bool = True, has_inside: bool = False
    ) -> dict[str, object]:
        """The same names with values of the right types; a file has places inside, a variable is its own place."""
        try:
            settings = msgspec.convert(values, self._settings, strict=strict)
        except msgspec.ValidationError as wrong:
            message, _, path = str(wrong).partition(" - at `")
            inside = path.rstrip("`")
            if "matching regex" in message:
                message = f"expected {self._description(inside.removeprefix('$.').partition('[')[0])}"
            problem = Problem(f"{source}: {inside}" if has_inside and inside not in {"", "$"} else source, message)
            raise InputError(f"{problem.path}: {problem.message}", (problem,)) from wrong
        return {name: getattr(settings, name) for name in values}

    def _description(self, field: str) -> str:
        """What a field, or an entry of a list, is in words: its pattern is for machines."""
        hint = get_type_hints(self._settings, include_extras=True)[field]
        return next(told.description for told in _metas(hint) if told.description)


def _metas(hint: Any) -> list[Meta]:
    parts = get_args(hint)
    return [part for part in parts if isinstance(part, Meta)] + [meta for part in parts for meta in _metas(part)]
