"""What the operators' page says is there: files, commands, metrics, settings, and outcomes."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest
from contract_nodes import Node
from processes import until
from typed_commands import typed_in_backticks, typed_in_blocks, unknown_flags

from edge.settings import EdgeSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
PAGE = (DEPLOY / "README.md").read_text()
OF_A_NODE, OF_THE_HUB = (
    set(re.findall(r"`(edgewise_\w+)`", table))
    for table in re.findall(r"^\| metric of .+?(?=\n\n)", PAGE, re.MULTILINE | re.DOTALL)
)
PROMISED = {
    "edgewise_decisions_total",
    "edgewise_decision_seconds",
    "edgewise_bundle_version",
    "edgewise_bundle_age_seconds",
    "edgewise_spool_bytes",
    "edgewise_events_total",
    "edgewise_profile_cache_hits_total",
    "edgewise_shed_total",
    "edgewise_hub_connected",
}
"""The interface's own list of a node's metrics."""


def families(text: str) -> set[str]:
    """Metric names of a Prometheus answer."""
    return set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))


@pytest.mark.process
def test_a_node_has_the_metrics_that_the_page_names(node: Node) -> None:
    assert PROMISED <= OF_A_NODE
    assert families(node.ask("GET", "/metrics").text) >= OF_A_NODE


@pytest.mark.process
def test_a_hub_has_the_metrics_that_the_page_names(hub_url: str) -> None:
    def told() -> str:
        with urllib.request.urlopen(f"{hub_url}/metrics", timeout=20) as answer:
            text: str = answer.read().decode()
            return text

    assert {"edgewise_nodes", "edgewise_release_state", "edgewise_ingest_events_total"} <= OF_THE_HUB
    until(lambda: families(told()) >= OF_THE_HUB)


def test_the_page_names_no_metric_outside_its_tables() -> None:
    """So that each is compared with an answer above."""
    assert set(re.findall(r"`(edgewise_\w+)`", PAGE)) == OF_A_NODE | OF_THE_HUB


def test_every_file_is_explained_and_every_explained_file_exists() -> None:
    table = PAGE.partition("\n## ")[0]
    explained = {name for name in re.findall(r"`([\w./-]+)`", table) if "/" in name or (DEPLOY / name).exists()}
    files = {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert files - {"README.md"} == explained


@pytest.mark.parametrize("typed", [*typed_in_blocks(PAGE), *typed_in_backticks(PAGE)])
def test_commands_and_their_flags_exist(typed: str) -> None:
    assert unknown_flags(typed) == set()


def test_a_node_is_installed_in_five_lines() -> None:
    section = PAGE.split("## Install a node")[1]
    block = re.search(r"(?:^    .+\n)+", section, re.MULTILINE)
    assert block is not None
    assert len(block[0].splitlines()) == 5
    for named in re.findall(r"deploy/[\w./-]+", PAGE):
        if not named.startswith(("deploy/site", "deploy/.env")):
            assert (DEPLOY.parent / named).exists(), named


def test_settings_that_the_page_names_exist() -> None:
    named = {"operator_keys_sha256", "spool_most_bytes"}
    assert all(f"`{name}`" in PAGE for name in named)
    assert named <= set(EdgeSettings.__struct_fields__)
    assert "${EDGEWISE_ENROL_TOKENS_SHA256:-}" in (DEPLOY / "compose.yaml").read_text()
