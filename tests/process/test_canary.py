"""A hub and two nodes as processes: one tries what a person approved, the other does not, and a halt takes it back."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from loop_world import LoopShop
from processes import Started, ask, edgewise, run_edgewise, until

from hub.ledger.learning import TurnState

pytestmark = [pytest.mark.process, pytest.mark.slow]


def versions(nodes: list[Started]) -> list[int]:
    return sorted(ask(f"{node.said['url']}/status")["bundle"]["version"] for node in nodes)


def learn(shop: LoopShop, *words: str) -> dict[str, object]:
    done = run_edgewise("hub", "learn", "--data-dir", str(shop.data_dir), "--by", "Bob", "--json", *words)
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_one_node_tries_and_both_give_it_back_when_the_loop_is_halted(tmp_path: Path) -> None:
    shop = LoopShop(tmp_path / "shop")
    assert shop.waiting().state is TurnState.WAITING
    shop.ledger.close()
    config = tmp_path / "hub.toml"
    config.write_text("learn_canary_share = 0.5\n")
    quick = tmp_path / "node.toml"
    quick.write_text("reconnect_most_ms = 500\n")
    serve = ("hub", "serve", "--data-dir", str(shop.data_dir), "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    with ExitStack() as running:
        hub = running.enter_context(edgewise(*serve, log=tmp_path / "hub.log"))
        nodes = [
            running.enter_context(
                edgewise(
                    *("edge", "serve", "--port", "0", "--workers", "1", "--data-dir", str(tmp_path / name)),
                    *("--hub", hub.said["hub"], "--config", str(quick)),
                    log=tmp_path / f"{name}.log",
                )
            )
            for name in ("a", "b")
        ]
        until(lambda: versions(nodes) == [1, 1], most_s=60)
        turn = learn(shop, "--approve", "1", "--config", str(config))
        assert turn["state"] == "canary"
        until(lambda: versions(nodes) == [1, 2], most_s=60)
        assert "canary" in str(learn(shop, "--history")["turns"])
        learn(shop, "--halt", "--reason", "a sale begins")
        until(lambda: versions(nodes) == [1, 1], most_s=60)
