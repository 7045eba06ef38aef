"""A trial of a bundle costs visitors nothing; where nothing is left for it, it takes its part."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from agent_world import patiently, settings_of

from edge.agent.trial import Verdict
from edge.agent.trial_process import TrialProcess
from edge.node.bundles import BundleStore
from edge.node.layout import NodePaths
from edge.testing.fake_hub import eventually
from edge.testing.small_bundle import small_bundle
from hub.prove.victims import children

BUNDLE = small_bundle("shop", version=1)


def staged(folder: Path) -> str:
    paths = NodePaths(folder)
    paths.create()
    return BundleStore(paths).stage(BUNDLE.manifest_bytes, BUNDLE.resources)


def policies() -> list[int]:
    """How the children of this process are scheduled; of other tests there may be some, too."""
    return [os.sched_getscheduler(child) for child in children(os.getpid())]


@pytest.mark.process
def test_a_trial_takes_processor_time_that_nobody_else_wants(tmp_path: Path) -> None:
    async def story() -> None:
        digest = staged(tmp_path)
        trial = asyncio.create_task(TrialProcess(settings_of(tmp_path, "", trial_idle_ms=30_000))(digest))
        await eventually(lambda: os.SCHED_IDLE in policies())
        assert await trial == Verdict()

    patiently(story())


@pytest.mark.process
def test_a_trial_that_gets_none_is_made_at_the_workers_cost(tmp_path: Path) -> None:
    async def story() -> None:
        digest = staged(tmp_path)
        assert await TrialProcess(settings_of(tmp_path, "", trial_idle_ms=1))(digest) == Verdict()

    patiently(story())


@pytest.mark.process
def test_what_is_wrong_with_a_bundle_is_said_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        staged(tmp_path)
        verdict = await TrialProcess(settings_of(tmp_path, ""))("0" * 64)
        assert verdict.code == "missing"

    patiently(story())
