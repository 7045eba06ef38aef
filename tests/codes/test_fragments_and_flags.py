"""Codes outside of `/v1/decide`: in a visitor's own fragment, never in a shared one, never for a flag."""

from __future__ import annotations

from pathlib import Path

import msgspec
from codes_shop import BEST, files, lend, shop
from codes_world import SPRING, promotion
from edge_world import VISITOR, install, node
from world import HERO, NOW_MS, placement

from edge.node.layout import NodePaths
from edgewise.bundle.manifest import POLICY
from edgewise.bundle.policy import Shared, decode_policy, encode_policy
from edgewise.clock import ManualClock

OWN = {"edgewise-id": VISITOR}


def test_a_fragment_of_his_own_comes_with_his_code(tmp_path: Path) -> None:
    lend(tmp_path)
    with shop(tmp_path) as (client, desk):
        for _ in range(2):
            assert f'data-edgewise-item="{BEST}"' in client.get(f"/v1/fragment/{HERO}", headers=OWN).text
        assert desk.codes.figures().promised == {SPRING: 1}


def test_a_shared_fragment_comes_with_nobodys_code(tmp_path: Path) -> None:
    made = files(promotion())
    policy = decode_policy(made[POLICY])
    hero = placement(fallback=policy.placements[HERO].fallback, shared=Shared())
    made[POLICY] = encode_policy(msgspec.structs.replace(policy, placements={HERO: hero}))
    install(NodePaths(tmp_path), made)
    lend(tmp_path)
    with node(tmp_path, bundle=False, clock=ManualClock(NOW_MS)) as (client, desk):
        shared = client.get(f"/v1/fragment/{HERO}?shared=1", headers=OWN)
        assert shared.headers["cache-control"].startswith("public")
        assert f'data-edgewise-item="{BEST}"' not in shared.text
        assert desk.codes.figures().promised == {}


def test_asking_for_a_flag_promises_no_code_whether_it_is_shown_or_not(tmp_path: Path) -> None:
    lend(tmp_path)
    with shop(tmp_path) as (client, desk):
        for exposure in (False, "deferred", True):
            body = {"context": {"targetingKey": VISITOR, "exposure": exposure}}
            told = client.post(f"/ofrep/v1/evaluate/flags/{HERO}", json=body).json()
            (item,) = told["value"]["items"]
            assert item["id"] != BEST
            assert "code" not in item["content"]
        assert desk.codes.figures().promised == {}
