"""What may go wrong in a simulated history, each under a name; the world draws one after the other."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from fault_node import Node
from fault_proxy import Way

from edgewise.profile.state import DAY_MS

if TYPE_CHECKING:
    from fault_simulation import World

REPORT = "/edgewise.v1.Uplink/Report"
Mishap = Callable[["World", Node], Awaitable[None]]


async def worker(world: World, node: Node) -> None:
    """One is killed, another takes its place."""
    node.replace_worker(world.random.randrange(len(node.workers)))


async def agent(_: World, node: Node) -> None:
    """The same."""
    node.kill_agent()
    node.start_agent()


async def hub(world: World, _: Node) -> None:
    """It is away for a moment."""
    world.hub.kill()
    await asyncio.sleep(world.random.random() * 0.3)
    world.hub.start()


async def inbox(world: World, node: Node) -> None:
    """The hub's database is busy: profiles are still told, records not taken."""
    services = node.network.services
    taking = services.pop(REPORT, None)
    node.network.cut()
    if taking is not None:
        asyncio.get_running_loop().call_later(world.random.random() * 0.8, services.setdefault, REPORT, taking)


async def cut(_: World, node: Node) -> None:
    """All connections of a node break."""
    node.network.cut()


async def hole(world: World, node: Node) -> None:
    """Nothing passes for a while."""
    _silence(world, node, *Way)


async def one_way(world: World, node: Node) -> None:
    """Nothing passes in one direction for a while."""
    _silence(world, node, world.random.choice(list(Way)))


async def power(_: World, node: Node) -> None:
    """Everything stops, and what was not synced may be gone."""
    await node.lose_power()


async def cache(_: World, node: Node) -> None:
    """A node begins without what it knew of anybody."""
    await node.lose_cache()


async def release(world: World, _: Node) -> None:
    """Something new is to be served, or something older again."""
    world.publishing.go_on()


async def older_hub(world: World, _: Node) -> None:
    """Another hub answers under the same name, or this one was restored from a backup."""
    world.publishing.at = world.random.randrange(world.publishing.newest + 1)


async def foreign_hub(world: World, _: Node) -> None:
    """Somebody else's answers, for a while."""
    world.publishing.is_foreign = True
    await asyncio.sleep(world.random.random() * 0.3)
    world.publishing.is_foreign = False


async def bit(_: World, node: Node) -> None:
    """One flips in a bundle on disk."""
    await node.find_a_bit_flipped()


async def crash(_: World, node: Node) -> None:
    """Two workers die natively, one after the other."""
    for index in (0, len(node.workers) - 1):
        node.replace_worker(index, signal.SIGSEGV)


async def clock(world: World, node: Node) -> None:
    """The time of day jumps, by up to a day either way, or back to what it should be."""
    node.clock.off_ms = world.random.choice([0, world.random.randint(-DAY_MS, DAY_MS)])


MISHAPS: dict[str, Mishap] = {
    what.__name__.replace("_", " "): what
    for what in (
        *(worker, agent, hub, inbox, cut, hole, one_way, power, cache),
        *(release, older_hub, foreign_hub, bit, crash, clock),
    )
}
USUAL = [*MISHAPS, "worker", "release", "release"]
"""From which one is drawn: what happens most stands there more than once."""


def _silence(world: World, node: Node, *ways: Way) -> None:
    node.network.silence(*ways)
    asyncio.get_running_loop().call_later(world.random.random() * 0.8, node.network.heal)
