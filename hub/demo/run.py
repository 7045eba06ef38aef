"""The demo from data to figures: learn, release, serve, replay, break, evaluate."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from edgewise.clock import Clock
from edgewise.errors import UnavailableError
from hub.datasets import movielens, world
from hub.datasets.films import FilmHistory
from hub.demo.checks import (
    Milliseconds,
    Outage,
    click_to_changed,
    quantiles,
    settle,
    wait_for_bundle,
    wait_for_some,
    without_hub,
)
from hub.demo.hits import HitRates, hit_rates
from hub.demo.picks import Picks, guests_of, pick
from hub.demo.shop_site import EDITOR, WRITE_KEY, write_shop
from hub.demo.storefront import Shop, Storefront
from hub.demo.story import Story, tell, write_history
from hub.demo.turning import Loop, Turned, turned
from hub.demo.visitors import replay, settle_known
from hub.processes import Served, edge, hub, run_edgewise

MODEL: Final = "film_ranker"
EDGES: Final = 2
LEARN_UNTIL: Final = 0.5
TRY_UNTIL: Final = 0.625
"""Parts of the guests' visits: what is learned from, and then what one node tries."""
Step = Callable[[str], contextlib.AbstractContextManager[Callable[[int], None]]]
"""Opens a line of progress; what it yields is told how many units were done."""


class Addresses(msgspec.Struct, frozen=True):
    """Where everything answers."""

    storefront: str
    edges: list[str]
    hub: str
    admin: str


class OpenBandit(msgspec.Struct, frozen=True):
    """The Open Bandit sample, random -> Bernoulli Thompson sampling, campaign all."""

    ips: float
    ips_ci_low: float
    ips_ci_high: float
    snips: float
    relative_estimation_error: float
    ess: float
    verdict: str


class Figures(msgspec.Struct, frozen=True):
    """Everything that the demo measured."""

    data: str
    simulated: bool
    hit_rate_at_10: dict[str, HitRates]
    """`all`, `known` and `new` visitors."""
    known_settled: int
    decisions: int
    errors: int
    decide: Milliseconds
    """Of the replayed decisions, as the client saw them."""
    decide_in_node: Milliseconds
    """The same, as the nodes measured them (`tookMs`)."""
    click_same_node: Milliseconds
    click_other_node: Milliseconds
    learning: Turned
    bundle_versions: list[int]
    hub_down: Outage
    open_bandit: OpenBandit | None
    open_bandit_missing: str = ""
    """Why there are no figures of the Open Bandit sample."""

    @property
    def challenger_is_better(self) -> bool:
        """Whether the challenger's lower bound lies above the champion's upper bound."""
        rates = self.hit_rate_at_10["all"]
        return rates.challenger.ci_low > rates.champion.ci_high


def load_history(cache: Path, *, offline: bool = False) -> tuple[FilmHistory, str]:
    """MovieLens 100k, or the simulated world where it cannot be had; the second value says why."""
    if offline:
        return world.simulate(), "asked for the simulated world"
    try:
        return movielens.load(cache), ""
    except UnavailableError as unavailable:
        return world.simulate(), str(unavailable)


class _Release(msgspec.Struct):
    version: int


class _Applied(msgspec.Struct):
    release: _Release


class Demo:
    """One run. `folder` is empty and holds everything that is written."""

    def __init__(self, folder: Path, history: FilmHistory, storefront: Storefront, clock: Clock, step: Step) -> None:
        self._folder = folder
        self._history = history
        self._story: Story = tell(history)
        self._storefront = storefront
        self._clock = clock
        self._step = step
        self._hub_dir = folder / "hub"
        self._site_dir = folder / "site"

    def learn_and_release(self) -> int:
        """From history to a release that the nodes may run; its version."""
        with self._step("write the shop's site and its visitors' history"):
            today = dt.datetime.fromtimestamp(self._clock.now_ms() / 1_000, dt.UTC).date()
            write_shop(self._site_dir, self._history, self._story, origin=self._storefront.url, today=today)
            write_history(self._story, self._folder / "history.jsonl", self._clock.now_ms() - 60_000)
        with self._step("make the site's keys"):
            self._edgewise("keys", "init")
        with self._step(f"import {len(self._story.past):,} events"):
            self._edgewise("import", "events", str(self._folder / "history.jsonl"), "--site", str(self._site_dir))
        with self._step("train: EASE, then a LightGBM ranker; export to ONNX; parity by the edge's scorer"):
            self._edgewise("train", "ranker", MODEL, "--site", str(self._site_dir))
        with self._step("approve and promote the model"):
            self._edgewise("model", "approve", MODEL, "--by", EDITOR)
            self._edgewise("model", "promote", MODEL, "--by", EDITOR)
        with self._step("build, approve, sign and promote a release"):
            applied = self._edgewise("site", "apply", str(self._site_dir), "--by", EDITOR)
            version = str(msgspec.json.decode(applied, type=_Applied).release.version)
            self._edgewise("release", "approve", version, "--by", EDITOR)
            self._edgewise("release", "promote", version, "--by", EDITOR)
        return int(version)

    @contextlib.contextmanager
    def serve(self, version: int) -> Iterator[tuple[Addresses, Served]]:
        """The hub, the nodes and the page, until the context ends; the nodes serve the release when it begins."""
        logs = self._folder / "logs"
        with contextlib.ExitStack() as running:
            with self._step("start the hub and two edge nodes; the release travels over gRPC"):
                the_hub = running.enter_context(hub(self._hub_dir, logs / "hub.log", self._clock))
                edges = [
                    running.enter_context(
                        edge(
                            f"edge {number}",
                            self._folder / f"edge-{number}",
                            the_hub.said["hub"],
                            logs / f"edge-{number}.log",
                            self._clock,
                        )
                    )
                    for number in range(1, EDGES + 1)
                ]
                urls = [str(node.said["url"]) for node in edges]
                wait_for_bundle(urls, version, self._clock)
            self._storefront.open(Shop(urls, self.world, WRITE_KEY), self._history.items)
            running.callback(self._storefront.close)
            yield Addresses(self._storefront.url, urls, the_hub.said["hub"], the_hub.said["admin"]), the_hub

    def measure(self, addresses: Addresses, the_hub: Served, version: int, cache: Path) -> Figures:
        """Replay, click, break, evaluate."""
        edges, clock = addresses.edges, self._clock
        with self._step(f"{len(self._story.known)} known visitors arrive; their profiles travel to their nodes"):
            settled = settle_known(self._story, edges, clock)
        with self._step(f"replay {len(self._story.future):,} real events as live visitors") as progress:
            lived = replay(self._story, edges, clock, progress=progress)
        with self._step("time clicks until the list has changed, here and on the other node"):
            same, other = click_to_changed(edges, clock)
        learning, version = self._learn_from_choices(edges, version)
        with self._step("kill the hub; go on deciding; bring it back"):
            outage = without_hub(edges, the_hub.kill, lambda: self._hub_again(the_hub, addresses), clock)
            versions = wait_for_bundle(edges, version, clock)
        open_bandit, missing = self._open_bandit(cache)
        known = self._story.known
        groups = {
            "all": lived.hits,
            "known": [hit for hit in lived.hits if hit.visitor in known],
            "new": [hit for hit in lived.hits if hit.visitor not in known],
        }
        return Figures(
            data=self._history.name,
            simulated=self._history.simulated,
            hit_rate_at_10={name: hit_rates(hits) for name, hits in groups.items() if hits},
            known_settled=settled,
            decisions=lived.decisions,
            errors=lived.errors,
            decide=quantiles(lived.decide_ms),
            decide_in_node=quantiles(lived.took_ms),
            click_same_node=same,
            click_other_node=other,
            learning=learning,
            bundle_versions=versions,
            hub_down=outage,
            open_bandit=open_bandit,
            open_bandit_missing=missing,
        )

    def _learn_from_choices(self, edges: list[str], version: int) -> tuple[Turned, int]:
        """A placement learns from what it chose; the release that serves in the end."""
        guests, clock = guests_of(self._story), self._clock
        loop = Loop(self._site_dir, self._edgewise, EDITOR)
        with self._step(
            f"{len(guests)} guests choose films; the model of release {version} chooses for most"
        ) as progress:
            picks = pick(guests, LEARN_UNTIL, edges, clock, progress=progress)
        with self._step("learn from these choices; judge by those that it has not learned from"):
            settle(edges, clock)
            turn = loop.around()
            predicted = loop.predicted(turn)
        if turn.state != "waiting":
            return turned(picks.made, picks.errors, turn, predicted), version
        with self._step("a person approves; one node tries it, and is watched"):
            turn = loop.say("approve", turn)
            wait_for_some(edges, turn.release or version, clock)
            tried = pick(guests, TRY_UNTIL, edges, clock)
            settle(edges, clock)
            turn = loop.around()
        picks = Picks(picks.made + tried.made, picks.errors + tried.errors)
        if turn.state == "ready":
            with self._step("a person promotes it; both nodes run it, and the guests go on"):
                turn = loop.say("promote", turn)
                version = turn.release or version
                wait_for_bundle(edges, version, clock)
                rest = pick(guests, 1.0, edges, clock)
                picks = Picks(picks.made + rest.made, picks.errors + rest.errors)
        return turned(picks.made, picks.errors, turn, predicted), version

    @property
    def world(self) -> str:
        """Whose behaviour this is, in a sentence for the page."""
        if self._history.simulated:
            return "A simulated world: no real person's behaviour. The data could not be downloaded."
        return f"{self._history.name}: what real people rated, lived again."

    @property
    def future_events(self) -> int:
        """How many events the replay has."""
        return len(self._story.future)

    def _hub_again(self, the_hub: Served, addresses: Addresses) -> None:
        log = self._folder / "logs" / "hub.log"
        admin = addresses.admin.removeprefix("http://")
        the_hub.become(hub(self._hub_dir, log, self._clock, grpc=addresses.hub, admin=admin))

    def _open_bandit(self, cache: Path) -> tuple[OpenBandit | None, str]:
        from hub.evaluation.open_bandit import evaluate_sample

        with self._step("evaluate the Open Bandit sample: real logged decisions with propensities"):
            try:
                report = evaluate_sample(cache, self._hub_dir)
            except UnavailableError as unavailable:
                return None, str(unavailable)
        figures = OpenBandit(
            ips=report.ips,
            ips_ci_low=report.ci_low,
            ips_ci_high=report.ci_high,
            snips=report.snips,
            relative_estimation_error=report.relative_estimation_error,
            ess=report.ess,
            verdict=report.verdict,
        )
        return figures, ""

    def _edgewise(self, *words: str) -> bytes:
        """Run one command on the demo's hub folder, as a person would; its JSON."""
        return run_edgewise([*words, "--data-dir", str(self._hub_dir), "--json"])
