"""The life of a release: built from a site, approved by a person, signed, assigned to nodes, rolled back.

    candidate --approve--> approved --promote--> live --promote or rollback--> retired --rollback--> live

Every step is written down with who took it before it has an effect: a crash in between leaves a deed too many in the
audit, never one too few, and taking the step again finishes it. Which release is live is what the signed assignment
says; the ledger's word for it follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edgewise.clock import Clock, SystemClock
from edgewise.errors import BundleRefused, InputError, RefusedError
from edgewise.ids import BundleVersion, ModelName
from hub.artefacts import Artefacts
from hub.durable import locked, replace_file
from hub.ledger.ledger import Ledger, ledger_url
from hub.ledger.rows import AuditEntry, ReleaseRow, ReleaseStatus
from hub.registry import ModelRegistry
from hub.release.bundle import BuiltBundle, build_bundle, build_resources, check_bundle
from hub.release.candidates import CandidateFolder
from hub.release.chain import Write
from hub.release.plan import Plan, plan
from hub.release.repository import Repository
from hub.site.loading import SiteContents

PROMOTE = "release promote"
ROLLBACK = "release rollback"
_AUDITED = 100_000
"""Audit entries that are looked through for what was live before; far more than a site has releases."""


class Applied(NamedTuple):
    """What applying a site came to."""

    release: ReleaseRow
    is_new: bool
    """False: the newest release holds exactly this already."""
    plan: Plan


@contextmanager
def open_releases(data_dir: Path, clock: Clock | None = None) -> Iterator[Releases]:
    """The releases and models of a data folder, with the ledger beside them; closed at the end."""
    ledger = Ledger.open(ledger_url(data_dir))
    try:
        yield Releases(data_dir, ledger, clock)
    finally:
        ledger.close()


class Releases:
    """The releases of one data folder."""

    def __init__(
        self, data_dir: Path, ledger: Ledger, clock: Clock | None = None, *, write: Write = replace_file
    ) -> None:
        self._data_dir = data_dir
        self._ledger = ledger
        self._clock = clock or SystemClock()
        self._candidates = CandidateFolder(data_dir)
        self.repository = Repository(data_dir, self._clock, write=write)
        self.registry = ModelRegistry(data_dir, ledger, self._clock)

    # --- looking ------------------------------------------------------------------------------------------------
    def rows(self) -> list[ReleaseRow]:
        """Every release, newest first, with the status that the signed assignment makes true."""
        live = self.live()
        return [self._true(row, live) for row in self._ledger.releases()]

    def row(self, version: BundleVersion) -> ReleaseRow:
        """One release. Raises InputError when there is none."""
        found = self._ledger.release(version)
        if found is None:
            known = ", ".join(str(row.version) for row in self._ledger.releases())
            raise InputError(f"no release {version}; there are: {known or 'none'}")
        return self._true(found, self.live())

    def live(self) -> BundleVersion | None:
        """The release that nodes are to run where they have no other assignment."""
        assignment = self.repository.assignment() if self.repository.exists else None
        return None if assignment is None else assignment.default

    def bundle(self, version: BundleVersion) -> BuiltBundle:
        """The bytes of a release, candidate or not.

        Raises:
            InputError: there is none.
            BundleRefused: it is damaged.
        """
        row = self.row(version)
        candidate = self._candidates.read(version, row.digest)
        if candidate is not None:
            return candidate
        release = self.repository.release(version)
        if release.digest != row.digest:
            raise BundleRefused("digest", f"release {version} has digest {release.digest}, {row.digest} was built")
        return BuiltBundle(release.manifest_bytes, release.resources)

    def plan(self, contents: SiteContents) -> Plan:
        """What a site would change against the live release; nothing is written.

        Raises as `apply`.
        """
        models, _ = self._models(contents)
        return self._plan(contents, build_resources(contents, models)[0])

    # --- changing -----------------------------------------------------------------------------------------------
    def apply(self, contents: SiteContents, *, by: str) -> Applied:
        """Build a candidate from a site, unless the newest release holds the same already.

        Makes the site's repository where there is none yet (the keys must be there).

        Raises:
            RefusedError, InputError: a model that the site names is not there or not approved; another site's folder.
            BundleRefused, ModelRefused: an edge would refuse the bundle. Nothing is kept.
        """
        self.repository.create(contents.policy.site.name)
        models, provenance = self._models(contents)
        resources, _ = build_resources(contents, models)
        planned = self._plan(contents, resources)
        with locked(self._data_dir / "releases.lock"):
            same = self._same(resources)
            if same is not None:
                return Applied(same, is_new=False, plan=planned)
            now_ms = self._clock.now_ms()
            built = build_bundle(
                contents,
                models,
                version=self._next_version(),
                parent=self.live(),
                created_ms=now_ms,
                provenance=provenance,
            )
            check_bundle(built, now_ms=now_ms)
            self._candidates.keep(built)
            row = ReleaseRow(
                version=built.manifest.version,
                digest=built.digest,
                created_ms=now_ms,
                parent=built.manifest.parent,
                summary=_summary(built, planned, provenance, by),
            )
            self._ledger.add_release(row, AuditEntry(by, "site apply", f"release {row.version}"))
        return Applied(row, is_new=True, plan=planned)

    def approve(self, version: BundleVersion, *, by: str) -> ReleaseRow:
        """A person vouches for a candidate: it is judged once more, signed, and listed for nodes.

        Raises:
            InputError: there is no such release.
            RefusedError: `release_status`: it is no candidate any more.
            BundleRefused, ModelRefused: it does not pass.
            UnavailableError: the targets key is not here.
        """
        row = self.row(version)
        built = self.bundle(version)
        unfinished = row.status is ReleaseStatus.APPROVED and version not in self.repository.releases()
        if not unfinished:
            if row.status is not ReleaseStatus.CANDIDATE:
                raise RefusedError("release_status", f"release {version} is {row.status}; expected candidate")
            check_bundle(built, now_ms=self._clock.now_ms())
            row = self._ledger.set_release_status(
                version,
                ReleaseStatus.APPROVED,
                AuditEntry(by, "release approve", f"release {version}", {"digest": row.digest}),
                now_ms=self._clock.now_ms(),
                expected={ReleaseStatus.CANDIDATE},
            )
        self.repository.publish_release(built.manifest_bytes, built.resources)
        self._candidates.drop(version)
        return row

    def refuse(self, version: BundleVersion, *, by: str, reason: str) -> ReleaseRow:
        """A person turns a candidate down; its folder stays, to be looked at.

        Raises:
            InputError: there is no such release.
            RefusedError: `release_status`: it is no candidate any more.
        """
        return self._ledger.set_release_status(
            version,
            ReleaseStatus.REFUSED,
            AuditEntry(by, "release refuse", f"release {version}", {"reason": reason}),
            now_ms=self._clock.now_ms(),
            expected={ReleaseStatus.CANDIDATE},
        )

    def promote(self, version: BundleVersion, *, by: str) -> ReleaseRow:
        """Assign an approved release to all nodes.

        Raises:
            InputError: there is no such release.
            RefusedError: `not-approved`: no person approved it.
            UnavailableError: an online key is not here.
        """
        return self._assign(version, by, PROMOTE)

    def rollback(self, *, by: str, version: BundleVersion | None = None) -> ReleaseRow:
        """Assign the release that was live before (or the one that is named): a newer assignment of older content.

        Raises:
            RefusedError: `no-older`: nothing was live before; `not-approved`.
            InputError: there is no such release.
        """
        if version is None:
            stack = self._live_before()
            if not stack:
                raise RefusedError("no-older", "no release was live before this one; nothing was changed")
            version = stack[-1]
        return self._assign(version, by, ROLLBACK)

    # --- inside -------------------------------------------------------------------------------------------------
    def _assign(self, version: BundleVersion, by: str, what: str) -> ReleaseRow:
        row = self.row(version)
        before = self.live()
        if row.status in {ReleaseStatus.CANDIDATE, ReleaseStatus.REFUSED}:
            cure = f"`edgewise release approve {version} --by NAME`"
            raise RefusedError("not-approved", f"release {version} is {row.status}, no person approved it; {cure}")
        if version not in self.repository.releases():
            # Approved once, but the signing was cut short, or newer releases have pushed it off the list.
            built = self.bundle(version)
            self.repository.publish_release(built.manifest_bytes, built.resources)
        row = self._ledger.set_release_status(
            version,
            ReleaseStatus.LIVE,
            AuditEntry(by, what, f"release {version}", {"version": version, "before": before}),
            now_ms=self._clock.now_ms(),
            retire_live=True,
        )
        self.repository.assign(version)
        return row

    def _live_before(self) -> list[BundleVersion]:
        """Versions that were live before the current one, the latest last: promotions push, rollbacks pop."""
        stack: list[BundleVersion] = []
        for entry in reversed(self._ledger.audit(limit=_AUDITED)):
            if entry.what not in {PROMOTE, ROLLBACK}:
                continue
            version = BundleVersion(entry.detail["version"])
            if entry.what == ROLLBACK and version in stack:
                del stack[stack.index(version) :]
            if stack[-1:] != [version]:
                stack.append(version)
        return stack[:-1]

    def _true(self, row: ReleaseRow, live: BundleVersion | None) -> ReleaseRow:
        if row.version == live:
            return msgspec.structs.replace(row, status=ReleaseStatus.LIVE)
        if row.status is ReleaseStatus.LIVE:
            return msgspec.structs.replace(row, status=ReleaseStatus.RETIRED)
        return row

    def _models(self, contents: SiteContents) -> tuple[dict[ModelName, Artefacts], dict[str, str]]:
        models, provenance = {}, {}
        for name, use in contents.models.items():
            version = self.registry.resolve(use)
            models[name] = self.registry.artefacts(use.model, version)
            provenance[f"model.{name}"] = f"{use.model}@{version} {self.registry.row(use.model, version).sha256}"
        return models, provenance

    def _plan(self, contents: SiteContents, resources: dict[str, bytes]) -> Plan:
        live = self.live()
        return plan(None if live is None else self.repository.release(live), resources, contents.waiting)

    def _same(self, resources: Mapping[str, bytes]) -> ReleaseRow | None:
        """The newest release that could still serve, if it holds these resources."""
        newest = next((row for row in self._ledger.releases() if row.status is not ReleaseStatus.REFUSED), None)
        if newest is None:
            return None
        try:
            held = self.bundle(newest.version).resources
        except BundleRefused:
            return None  # damaged: a new one is built beside it
        return self._true(newest, self.live()) if held == resources else None

    def _next_version(self) -> BundleVersion:
        known = [row.version for row in self._ledger.releases()]
        return BundleVersion(max([0, *known, *self.repository.releases()]) + 1)


def _summary(built: BuiltBundle, planned: Plan, provenance: Mapping[str, str], by: str) -> dict[str, Any]:
    return {
        "by": by,
        "changes": len(planned.changes),
        "against": planned.live,
        "waiting": len(planned.waiting),
        "models": dict(provenance),
        "bytes": sum(map(len, built.resources.values())),
    }
