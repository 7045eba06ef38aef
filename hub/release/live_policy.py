"""The policy of the release that nodes run by default, read once a release."""

from __future__ import annotations

from edgewise.bundle.manifest import POLICY
from edgewise.bundle.policy import Policy, decode_policy
from edgewise.ids import BundleVersion
from hub.release.repository import Repository


class LivePolicy:
    """Call it for the policy. What a release holds never changes, so that only another default is read again."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._known: tuple[BundleVersion, Policy] | None = None

    def __call__(self) -> Policy | None:
        """None before the first promotion. Raises as `Repository.assignment` and `Repository.release`."""
        assignment = self._repository.assignment() if self._repository.exists else None
        if assignment is None:
            return None
        known = self._known
        if known is None or known[0] != assignment.default:
            resources = self._repository.release(assignment.default).resources
            known = assignment.default, decode_policy(resources[POLICY])
            self._known = known
        return known[1]
