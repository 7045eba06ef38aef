"""The registry of trained models: every version kept, approved by a person, and named by alias.

The rows and the audit are in the ledger, the files in `<data-dir>/models/NAME/VERSION`. Aliases are MLflow's:
`champion` is what the next bundle takes, `challenger` is tried against it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from edgewise.clock import Clock, SystemClock
from edgewise.errors import MALFORMED, InputError, ModelRefused, RefusedError
from edgewise.ids import ModelName
from hub.artefacts import FILES, Artefacts, check_artefacts, digest_of, from_files, to_files
from hub.durable import locked, replace_file
from hub.ledger.ledger import Ledger
from hub.ledger.rows import AuditEntry, ModelRow, ModelStatus
from hub.scoring_child import ScoringChild
from hub.site.files import NAME_PATTERN, Alias, ModelUse

CHAMPION: Final[Alias] = "champion"
ALIASES: Final[tuple[Alias, ...]] = get_args(Alias)


class ModelRegistry:
    """The models of one data folder."""

    def __init__(self, data_dir: Path, ledger: Ledger, clock: Clock | None = None) -> None:
        self._path = data_dir / "models"
        self._ledger = ledger
        self._clock = clock or SystemClock()

    def register(self, name: ModelName, artefacts: Artefacts, card: dict[str, Any], *, by: str) -> int:
        """Keep a trained model as the next version of its name; nobody uses it before a person approves it.

        `card` is plain JSON. Everything is measured first by the scorer that serves.

        Raises:
            InputError: no usable name.
            ModelRefused: what is wrong with the model; nothing is kept.
        """
        if re.fullmatch(NAME_PATTERN, name) is None:
            raise InputError(f"{name!r} is no name for a model; use small letters, digits, - and _")
        with ScoringChild() as child:
            check_artefacts(artefacts, child)
        files = to_files(artefacts, card)
        with locked(self._path / f"{name}.lock"):
            version = max((row.version for row in self._ledger.models(name)), default=0) + 1
            for file, data in files.items():
                replace_file(self._folder(name, version) / file, data)
            now_ms = self._clock.now_ms()
            row = ModelRow(name=name, version=version, sha256=digest_of(files), created_ms=now_ms, card=card)
            self._ledger.add_model(row, AuditEntry(by, "model register", f"{name}@{version}", {"sha256": row.sha256}))
        return version

    def models(self, name: ModelName | None = None) -> list[ModelRow]:
        """All versions, sorted by name, newest first."""
        return self._ledger.models(name)

    def row(self, name: ModelName, version: int) -> ModelRow:
        """One version. Raises InputError when there is none."""
        found = self._ledger.model(name, version)
        if found is None:
            known = ", ".join(f"{row.name}@{row.version}" for row in self.models())
            raise InputError(f"no model {name}@{version}; there are: {known or 'none'}")
        return found

    def artefacts(self, name: ModelName, version: int) -> Artefacts:
        """The files of a version, compared with the digest of its registration.

        Raises:
            InputError: there is no such version.
            ModelRefused: `damaged`: a file is missing or was changed.
        """
        row = self.row(name, version)
        folder = self._folder(name, version)
        files = {file: (folder / file).read_bytes() for file in FILES if (folder / file).exists()}
        if digest_of(files) != row.sha256:
            raise ModelRefused("damaged", f"the files of {name}@{version} in {folder} are not those registered")
        try:
            return from_files(files)
        except (KeyError, *MALFORMED) as wrong:
            raise ModelRefused("damaged", f"the files of {name}@{version} cannot be read: {wrong}") from wrong

    def approve(self, name: ModelName, version: int, *, by: str) -> ModelRow:
        """A person vouches for a version.

        Raises:
            InputError: there is none.
            RefusedError: `model_status`: it is no candidate any more.
            ModelRefused: `damaged`.
        """
        self.artefacts(name, version)
        return self._ledger.set_model_status(
            name,
            version,
            ModelStatus.APPROVED,
            AuditEntry(by, "model approve", f"{name}@{version}"),
            now_ms=self._clock.now_ms(),
            expected={ModelStatus.CANDIDATE},
        )

    def promote(self, name: ModelName, version: int, *, by: str, alias: Alias = CHAMPION) -> None:
        """Let the next bundles take this version where a site says `use: <alias>`.

        Raises:
            InputError: there is no such version.
            RefusedError: `not-approved`.
        """
        row = self.row(name, version)
        if row.status is not ModelStatus.APPROVED:
            cure = f"`edgewise model approve {name}@{version} --by NAME`"
            raise RefusedError("not-approved", f"{name}@{version} is {row.status}, no person approved it; {cure}")
        with locked(self._path / f"{name}.lock"):
            aliases = self._history(name)
            before = aliases.get(alias, [])
            if before[-1:] != [version]:
                self._move(name, aliases | {alias: [*before, version]}, by, "model promote", alias)

    def rollback(self, name: ModelName, *, by: str, alias: Alias = CHAMPION) -> int:
        """Give the alias back to the version that had it before; returns that version.

        Raises RefusedError (`no-older`) when there is none.
        """
        with locked(self._path / f"{name}.lock"):
            aliases = self._history(name)
            before = aliases.get(alias, [])
            if len(before) < 2:  # noqa: PLR2004  # the current one and an older one
                raise RefusedError("no-older", f"no version of {name} was {alias} before; nothing was changed")
            self._move(name, aliases | {alias: before[:-1]}, by, "model rollback", alias)
            return before[-2]

    def aliases(self, name: ModelName) -> dict[Alias, int]:
        """Alias -> version."""
        return {alias: versions[-1] for alias, versions in self._history(name).items() if versions}

    def resolve(self, use: ModelUse) -> int:
        """The version that a site means.

        Raises:
            InputError: there is no such version, or no version has the alias.
            RefusedError: `not-approved`: a version that no person approved.
        """
        if isinstance(use.use, int):
            row = self.row(use.model, use.use)
            if row.status is not ModelStatus.APPROVED:
                cure = f"`edgewise model approve {use.model}@{use.use} --by NAME`"
                raise RefusedError("not-approved", f"{use.model}@{use.use} is {row.status}; {cure}")
            return use.use
        version = self.aliases(use.model).get(use.use)
        if version is None:
            if not self.models(use.model):
                known = ", ".join(sorted({row.name for row in self.models()})) or "none"
                raise InputError(f"no trained model {use.model!r}; there are: {known}")
            cure = f"`edgewise model promote {use.model}@VERSION`"
            raise InputError(f"no version of {use.model!r} is its {use.use}; {cure}")
        return version

    def _move(self, name: ModelName, history: dict[Alias, list[int]], by: str, what: str, alias: Alias) -> None:
        # Written down first: a crash in between leaves a deed too many in the audit, never one too few.
        version = history[alias][-1]
        entry = AuditEntry(by, what, f"{name}@{version}", {"alias": alias, "before": self.aliases(name).get(alias)})
        self._ledger.record(entry, self._clock.now_ms())
        replace_file(self._aliases(name), msgspec.json.encode(history))

    def _history(self, name: ModelName) -> dict[Alias, list[int]]:
        """Alias -> the versions that had it, the latest last."""
        try:
            return msgspec.json.decode(self._aliases(name).read_bytes(), type=dict[Alias, list[int]])
        except FileNotFoundError:
            return {}

    def _aliases(self, name: ModelName) -> Path:
        return self._path / name / "aliases.json"

    def _folder(self, name: ModelName, version: int) -> Path:
        return self._path / name / str(version)
