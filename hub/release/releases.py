"""The life of a release: built from a site, approved by a person, signed, assigned to nodes, rolled back.

    candidate --approve--> approved --promote--> live --promote or rollback--> retired --rollback--> live

Every step is written down with who took it before it has an effect: a crash in between leaves a deed too many in the
audit, never one too few, and taking the step again finishes it. Which release is live is what the signed assignment
says; the ledger's word for it follows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from edgewise.clock import Clock, SystemClock
from edgewise.errors import BundleRefused, InputError, RefusedError
from edgewise.ids import BundleVersion, ModelName, NodeId
from hub.artefacts import Artefacts
from hub.durable import locked, replace_file
from hub.ledger.flags import ASKED, FlagClosing
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.rows import AuditEntry, ModelStatus, ReleaseRow, ReleaseStatus
from hub.registry import ModelRegistry
from hub.release.bundle import BuiltBundle, build_bundle, build_resources, check_bundle
from hub.release.candidates import CandidateFolder
from hub.release.chain import Write
from hub.release.held_back import held_back
from hub.release.history import BEFORE, PROMOTE, ROLLBACK, VERSION, History, history
from hub.release.plan import Plan, plan
from hub.release.provenance import models_of
from hub.release.ramped import ramped
from hub.release.repository import AssignmentDamaged, Repository
from hub.site.kept_journeys import keep_journeys
from hub.site.kept_retention import keep_retention
from hub.site.loading import SiteContents
from hub.sources.kept import keep_sources

_AUDITED = 100_000
"""Promotions and rollbacks that are looked through for what was live before; far more than a site sees."""


Trained = Mapping[ModelName, int]
"""Name in the site -> the version that is meant."""
NOTHING_TRAINED: Final[Trained] = MappingProxyType({})


class Applied(NamedTuple):
    """What applying a site came to."""

    release: ReleaseRow
    is_new: bool
    """False: the newest release holds exactly this already."""
    plan: Plan


@contextmanager
def open_releases(data_dir: Path, clock: Clock | None = None) -> Iterator[Releases]:
    """The releases and models of a data folder, with the ledger beside them; closed at the end."""
    with open_ledger(data_dir) as ledger:
        yield Releases(data_dir, ledger, clock)


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

    @property
    def ledger(self) -> Ledger:
        """Where its rows are, beside what nodes report."""
        return self._ledger

    # --- looking ------------------------------------------------------------------------------------------------
    def rows(self) -> list[ReleaseRow]:
        """Every release, newest first, with the status that the signed assignment makes true."""
        live = self.live()
        ran = self._history(live).ran
        return [_true(row, live, ran) for row in self._ledger.releases()]

    def row(self, version: BundleVersion) -> ReleaseRow:
        """One release. Raises InputError when there is none."""
        live = self.live()
        return _true(self._stored(version), live, self._history(live).ran)

    def live(self) -> BundleVersion | None:
        """The release that nodes are to run where they have no other assignment. Raises AssignmentDamaged."""
        assignment = self.repository.assignment() if self.repository.exists else None
        return None if assignment is None else assignment.default

    def bundle(self, version: BundleVersion) -> BuiltBundle:
        """The bytes of a release, candidate or not.

        Raises:
            InputError: there is none.
            BundleRefused: it is damaged.
        """
        row = self._stored(version)
        candidate = self._candidates.read(version, row.digest)
        if candidate is not None:
            return candidate
        release = self.repository.release(version)
        if release.digest != row.digest:
            raise BundleRefused("digest", f"release {version} has digest {release.digest}, {row.digest} was built")
        return BuiltBundle(release.manifest_bytes, release.resources)

    def preview(self, contents: SiteContents, trained: Trained) -> BuiltBundle:
        """The bundle that `apply` would build, in memory, to be asked what it would show.

        Raises as `apply`.
        """
        contents = self._as_people_said(contents)
        models, provenance = self._models(contents, trained)
        now_ms = self._clock.now_ms()
        version, live = self._next_version(), self.live()
        return build_bundle(contents, models, version=version, parent=live, created_ms=now_ms, provenance=provenance)

    def plan(self, contents: SiteContents) -> Plan:
        """What a site would change against the live release; nothing is written.

        Raises as `apply`.
        """
        contents = self._as_people_said(contents)
        models, _ = self._models(contents)
        return self._plan(contents, build_resources(contents, models)[0])

    # --- changing -----------------------------------------------------------------------------------------------
    def apply(self, contents: SiteContents, *, by: str, trained: Trained = NOTHING_TRAINED) -> Applied:
        """Build a candidate from a site, unless the newest release holds the same already.

        Makes the site's repository where there is none yet (the keys must be there). Experiments with a ramp get the
        coverage of the last step that a person took (`hub.experiments.ramp`); placements of journeys that nobody has
        enabled serve their champion (`hub.journeys`). `trained`: versions that are tried
        in place of those that the site names; no person need have approved them yet, and until one has, no person can
        approve the release. Then nothing but the candidate is made: sources and retention are in force as soon as they
        are applied, and that is for a person to do.

        Raises:
            RefusedError, InputError: a model that the site names is not there or not approved; another site's folder.
            BundleRefused, ModelRefused: an edge would refuse the bundle. Nothing is kept.
        """
        self.repository.create(contents.policy.site.name)
        contents = self._as_people_said(contents)
        models, provenance = self._models(contents, trained)
        resources, _ = build_resources(contents, models)
        planned = self._plan(contents, resources)
        with locked(self._data_dir / "releases.lock"):
            if not trained:
                self._keep_beside(contents, by)
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

    def approve(self, version: BundleVersion, *, by: str, flags: Sequence[FlagClosing] = ()) -> ReleaseRow:
        """A person vouches for a candidate: it is judged once more, signed, and listed for nodes.

        `flags` says what it makes of each flag that asks (`hub.flagging` finds that out). Doing it again finishes what
        was cut short, and changes nothing else.

        Raises:
            InputError: there is no such release.
            RefusedError: `release_status`: it was refused, or nodes run it or ran it; `flagged`: flags ask, and nobody
                said what it makes of them; `not-approved`: it holds a model that no person approved.
            BundleRefused, ModelRefused: it does not pass.
            UnavailableError: a key is not here; nothing was changed.
        """
        row = self.row(version)
        if row.status not in {ReleaseStatus.CANDIDATE, ReleaseStatus.APPROVED}:
            raise RefusedError("release_status", f"release {version} is {row.status}; expected candidate")
        silent = {flag.number for flag in self._ledger.flags(ASKED)} - {closing.number for closing in flags}
        if silent:
            numbers = ", ".join(map(str, sorted(silent)))
            raise RefusedError("flagged", f"release {version} says nothing of flag {numbers}, which wait for an answer")
        built = self.bundle(version)
        self.repository.chain.check_keys(["targets"])
        if row.status is ReleaseStatus.CANDIDATE:
            self._demand_approved_models(built)
            check_bundle(built, now_ms=self._clock.now_ms())
            row = self._ledger.set_release_status(
                version,
                ReleaseStatus.APPROVED,
                AuditEntry(by, "release approve", f"release {version}", {"digest": row.digest}),
                now_ms=self._clock.now_ms(),
                expected={ReleaseStatus.CANDIDATE},
            )
        self._ledger.close_flags(flags, version, by, self._clock.now_ms())
        self.repository.publish_release(built.manifest_bytes, built.resources)
        self._candidates.drop(version)
        return row

    def refuse(self, version: BundleVersion, *, by: str, reason: str) -> ReleaseRow:
        """A person turns a candidate down, or takes an approval back before all nodes run it.

        A candidate's folder stays, to be looked at. What was approved stays on the list that is signed for nodes, but
        nothing assigns it any more.

        Raises:
            InputError: there is no such release.
            RefusedError: `release_status`: nodes run it, or ran it; `tried`: some nodes try it.
        """
        trying = sorted(node for node, tried in self.tried().items() if tried == version)
        if trying:
            raise RefusedError("tried", f"{', '.join(trying)} try release {version}; end that first")
        return self._ledger.set_release_status(
            version,
            ReleaseStatus.REFUSED,
            AuditEntry(by, "release refuse", f"release {version}", {"reason": reason}),
            now_ms=self._clock.now_ms(),
            expected={ReleaseStatus.CANDIDATE, ReleaseStatus.APPROVED},
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
            before = self._history(self.live()).before
            if not before:
                raise RefusedError("no-older", "no release was live before this one; nothing was changed")
            version = before[-1]
        return self._assign(version, by, ROLLBACK)

    # --- few nodes first ----------------------------------------------------------------------------------------
    def try_on(self, version: BundleVersion, nodes: Sequence[NodeId], *, by: str) -> ReleaseRow:
        """Assign an approved release to some nodes; all others keep the one that is live.

        Doing it again with the same nodes changes nothing. Another promotion, or a rollback, ends it.

        Raises:
            InputError: there is no such release, or no node is named.
            RefusedError: `not-approved`: no person approved it; `nothing-live`: there is nothing to compare it with.
            UnavailableError: an online key is not here.
        """
        if not nodes:
            raise InputError(f"release {version} is to be tried on no node; expected at least one")
        row = self._approved(version)
        live = self.live()
        if live is None:
            raise RefusedError("nothing-live", f"release {version} cannot be tried beside one that is live: none is")
        wanted = dict.fromkeys(sorted(nodes), version)
        assignment = self.repository.assignment()
        if assignment is None or assignment.nodes != wanted:
            self.repository.chain.check_keys(["assignment"])
            entry = AuditEntry(by, "release try", f"release {version}", {"nodes": sorted(nodes), "live": live})
            self._ledger.note(entry, self._clock.now_ms())
            self.repository.assign(live, wanted)
        return row

    def tried(self) -> dict[NodeId, BundleVersion]:
        """Nodes that run another release than the one that is live."""
        assignment = self.repository.assignment() if self.repository.exists else None
        return {} if assignment is None else dict(assignment.nodes)

    def end_trial(self, *, by: str, reason: str) -> bool:
        """Give every node the live release again; False where all have it."""
        tried, live = self.tried(), self.live()
        if not tried or live is None:
            return False
        detail = {"nodes": sorted(tried), "live": live, "reason": reason}
        versions = ", ".join(map(str, sorted(set(tried.values()))))
        self._ledger.note(AuditEntry(by, "release try end", f"release {versions}", detail), self._clock.now_ms())
        self.repository.assign(live)
        return True

    # --- inside -------------------------------------------------------------------------------------------------
    def _approved(self, version: BundleVersion) -> ReleaseRow:
        """A release that a person approved, listed for nodes."""
        row = self._stored(version)
        if row.status in {ReleaseStatus.CANDIDATE, ReleaseStatus.REFUSED}:
            cure = f"`edgewise release approve {version} --by NAME`"
            raise RefusedError("not-approved", f"release {version} is {row.status}, no person approved it; {cure}")
        if version not in self.repository.releases():
            # Approved once, but the signing was cut short, or newer releases have pushed it off the list.
            built = self.bundle(version)
            self.repository.publish_release(built.manifest_bytes, built.resources)
        return row

    def _keep_beside(self, contents: SiteContents, by: str) -> None:
        """What of a site is no part of a release, and in force at once."""
        if keep_sources(self._data_dir, contents.sources):
            names = ", ".join(contents.sources) or "none"
            self._ledger.note(AuditEntry(by, "site apply", f"sources: {names}"), self._clock.now_ms())
        if keep_retention(self._data_dir, contents.retention):
            self._ledger.note(AuditEntry(by, "site apply", "retention"), self._clock.now_ms())
        if keep_journeys(self._data_dir, contents.journeys):
            names = ", ".join(contents.journeys) or "none"
            self._ledger.note(AuditEntry(by, "site apply", f"journeys: {names}"), self._clock.now_ms())

    def _demand_approved_models(self, built: BuiltBundle) -> None:
        """What no person approved is not promoted: neither is what holds it."""
        for name, version in models_of(built).values():
            row = self._ledger.model(name, version)
            if row is not None and row.status is not ModelStatus.APPROVED:
                cure = f"`edgewise model approve {name}@{version} --by NAME`"
                raise RefusedError(
                    "not-approved", f"release {built.manifest.version} holds {name}@{version}, a {row.status}; {cure}"
                )

    def _assign(self, version: BundleVersion, by: str, what: str) -> ReleaseRow:
        self._approved(version)
        self.repository.chain.check_keys(["assignment"])
        detail: dict[str, Any] = {VERSION: version}
        with suppress(AssignmentDamaged):  # the new one replaces it
            detail[BEFORE] = self.live()
        row = self._ledger.set_release_status(
            version,
            ReleaseStatus.LIVE,
            AuditEntry(by, what, f"release {version}", detail),
            now_ms=self._clock.now_ms(),
            retire_live=True,
        )
        self.repository.assign(version)
        return row

    def _stored(self, version: BundleVersion) -> ReleaseRow:
        """As the ledger has it, whatever the assignment says."""
        found = self._ledger.release(version)
        if found is None:
            known = ", ".join(str(row.version) for row in self._ledger.releases())
            raise InputError(f"no release {version}; there are: {known or 'none'}")
        return found

    def _history(self, live: BundleVersion | None) -> History:
        entries = self._ledger.audit(limit=_AUDITED, what={PROMOTE, ROLLBACK})
        return history(entries[::-1], live)

    def _as_people_said(self, contents: SiteContents) -> SiteContents:
        policy = ramped(contents.policy, self._ledger.ramp_steps())
        return contents._replace(policy=held_back(policy, contents.journeys, self._ledger.enabled_journeys()))

    def _models(
        self, contents: SiteContents, trained: Trained = NOTHING_TRAINED
    ) -> tuple[dict[ModelName, Artefacts], dict[str, str]]:
        models, provenance = {}, {}
        for name, use in contents.models.items():
            version = trained.get(name) or self.registry.resolve(use)
            models[name] = self.registry.artefacts(use.model, version)
            provenance[f"model.{name}"] = f"{use.model}@{version} {self.registry.row(use.model, version).sha256}"
        return models, provenance

    def _plan(self, contents: SiteContents, resources: dict[str, bytes]) -> Plan:
        live = self.live()
        try:
            serving = None if live is None else self.repository.release(live)
        except BundleRefused as damaged:  # the release that is being built may be what mends it
            return plan(None, resources, contents.waiting, str(damaged))
        return plan(serving, resources, contents.waiting)

    def _same(self, resources: Mapping[str, bytes]) -> ReleaseRow | None:
        """The newest release that could still serve, if it holds these resources."""
        newest = next((row for row in self._ledger.releases() if row.status is not ReleaseStatus.REFUSED), None)
        if newest is None:
            return None
        try:
            held = self.bundle(newest.version).resources
        except BundleRefused:
            return None  # damaged: a new one is built beside it
        return self.row(newest.version) if held == resources else None

    def _next_version(self) -> BundleVersion:
        known = [row.version for row in self._ledger.releases()]
        return BundleVersion(max([0, *known, *self.repository.releases()]) + 1)


def _true(row: ReleaseRow, live: BundleVersion | None, ran: Collection[BundleVersion]) -> ReleaseRow:
    """What the signed assignment makes of the ledger's word: a promotion that died half-way made nothing live."""
    status = row.status
    if row.version == live:
        status = ReleaseStatus.LIVE
    elif status in {ReleaseStatus.LIVE, ReleaseStatus.RETIRED}:
        status = ReleaseStatus.RETIRED if row.version in ran else ReleaseStatus.APPROVED
    return msgspec.structs.replace(row, status=status)


def _summary(built: BuiltBundle, planned: Plan, provenance: Mapping[str, str], by: str) -> dict[str, Any]:
    return {
        "by": by,
        "changes": len(planned.changes),
        "against": planned.live,
        "waiting": len(planned.waiting),
        "models": dict(provenance),
        "bytes": sum(map(len, built.resources.values())),
    }
