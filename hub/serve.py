"""Runs a hub: gRPC for nodes, HTTP for people, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import os
import signal
from collections.abc import Callable, Iterator
from email.utils import parseaddr
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from edgewise.clock import Clock, SystemClock
from edgewise.errors import EdgewiseError, UnavailableError
from edgewise.profile.state import DAY_MS
from edgewise.rendering import Links
from hub.admin.app import Admin, admin_app
from hub.admin.journeys import JourneyCollector
from hub.admin.learning import LearningCollector
from hub.admin.server import AdminServer
from hub.admin.watched import WatchCollector
from hub.codes.book import CodeBook, released_promotions
from hub.codes.redeeming import Redeemer
from hub.experiments.policies import ReleasedPolicies
from hub.facts.board import FactsBoard
from hub.facts.keeping import FactsKeeper
from hub.imports.event_site import site_intake
from hub.imports.events import Intake
from hub.imports.stated_consent import StatedConsent
from hub.incarnation import incarnation_of
from hub.journeys.keeping import JourneyDesk, JourneyKeeper
from hub.journeys.worded import Voice
from hub.keys import KeyFolder
from hub.learning.schedule import LearningKeeper
from hub.ledger.dialect import Serving as ServingRight
from hub.ledger.dialect import TakenError
from hub.ledger.lake import Compacted
from hub.ledger.ledger import Ledger
from hub.ledger.suppression import SuppressionList
from hub.log import Log, start_log
from hub.mail.keeping import MailKeeper, check_configured
from hub.meters import Meters
from hub.release.live_policy import LivePolicy
from hub.release.opening import site_repository
from hub.release.releases import Releases
from hub.release.repository import Repository
from hub.rights.keeping import RightsKeeper
from hub.rpc.server import RpcServer
from hub.settings import HubSettings, on_loopback
from hub.sources.document import SourceDocument
from hub.sources.kept import KeptSources
from hub.threads import to_its_end
from hub.webhooks.receiving import Hooks, LiveIntake
from hub.webhooks.secrets import WebhookSecrets

_GC_THRESHOLDS: Final = (100_000, 20, 50)
_RENEW_S: Final = 2.0
"""How soon a hub finds out that its database has forgotten it."""
_BETWEEN_TURNS_S: Final = 0.5
_REDEEM_S: Final = 1.0
"""How soon the code of an order that was stored is redeemed."""


class Serving(NamedTuple):
    """Where a hub answers."""

    hub: str
    """HOST:PORT of gRPC."""
    admin: str
    """URL."""
    pid: int


def serve_until_stopped(data_dir: Path, settings: HubSettings, *, announce: Callable[[Serving], None]) -> None:
    """Run one hub until SIGTERM or SIGINT; `announce` is called once it answers.

    Raises:
        UnavailableError: no site in the folder, another hub on it, a port that is taken, a part that failed.
        InputError: other machines can call, and no token is configured; mail is configured so that none could leave.
    """
    clock = SystemClock()
    check_configured(settings, data_dir, os.environ)
    repository = site_repository(data_dir, clock)
    log = start_log(settings.log_level)

    async def run() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await serve(data_dir, repository, settings, clock=clock, log=log, announce=announce, stopping=stopping)

    # A batch of events is tens of thousands of new objects and no cycle: by the default thresholds, the collector would
    # look through every library's objects several times a batch, which costs a third of storing it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    asyncio.run(run())


async def serve(
    data_dir: Path,
    repository: Repository,
    settings: HubSettings,
    *,
    clock: Clock,
    log: Log,
    announce: Callable[[Serving], None],
    stopping: asyncio.Event,
) -> None:
    """The same inside an event loop, until `stopping` is set."""
    with (
        _only_hub(data_dir),
        contextlib.closing(Ledger.of(data_dir, settings.database)) as ledger,
        ledger.storage.serving() as right,
    ):
        incarnation = incarnation_of(data_dir)
        again = await asyncio.to_thread(ledger.catch_up, data_dir)
        if again:
            log.warning("a backup had brought erased people back; they are erased again", erasures=again)
        meters = Meters()
        meters.registry.register(WatchCollector(data_dir, ledger, clock))
        meters.registry.register(LearningCollector(ledger))
        meters.registry.register(JourneyCollector(ledger))
        codes = CodeBook(ledger, released_promotions(LivePolicy(repository)), clock, os.urandom)
        rpc = RpcServer(
            ledger,
            repository,
            KeyFolder(data_dir).secrets,
            settings=settings,
            incarnation=incarnation,
            clock=clock,
            meters=meters,
            log=log,
            suppressions=SuppressionList(data_dir),
            codes=codes,
        )
        refreshing = asyncio.create_task(_refresh(repository, settings.metadata_refresh_ms, log))
        board = FactsBoard(ledger, repository, clock)
        keeper = FactsKeeper(board, ledger, clock, history_ms=settings.facts_history_days * DAY_MS)
        keeping = asyncio.create_task(_keep_facts(keeper, settings.facts_keep_ms, log))
        rights = asyncio.create_task(RightsKeeper(data_dir, ledger, settings, clock=clock, log=log).run())
        learning = asyncio.create_task(LearningKeeper(data_dir, settings, log=log, environment=os.environ).run())
        settling = asyncio.create_task(_settle(ledger, settings, clock, log))
        holding = asyncio.create_task(_hold(right, rpc, log))
        releases = Releases(data_dir, ledger, clock)
        desk = JourneyDesk(data_dir, ledger, releases, log=log)
        journeys = asyncio.create_task(
            JourneyKeeper(desk, ledger, settings.journeys_every_ms, clock=clock, log=log).run()
        )
        post = MailKeeper(
            data_dir,
            ledger,
            lambda: desk.writer(_voice(settings)),
            settings,
            environment=os.environ,
            clock=clock,
            log=log,
        )
        mail = asyncio.create_task(post.run())
        hooks = _hooks(data_dir, ledger, releases, rpc, board, clock=clock, meters=meters, log=log)
        redeemer = Redeemer(ledger, codes, lambda: KeyFolder(data_dir).secrets().subject_key, log)
        redeeming = asyncio.create_task(_redeem(redeemer, log))
        admin = Admin(
            ledger,
            meters,
            incarnation,
            repository.site,
            releases.rows,
            rpc.trouble,
            clock,
            log,
            board,
            hooks,
            LivePolicy(repository),
            ReleasedPolicies(repository),
            desk.journeys,
            redeemer,
        )
        http = AdminServer(admin_app(admin, settings), settings.admin)
        try:
            serving = Serving(await rpc.start(), f"http://{await http.start()}", os.getpid())
            _say_what_to_know(ledger, settings, serving, log)
            announce(serving)
            await rpc.until_failed(stopping)
        finally:
            beside = (redeeming, refreshing, keeping, rights, holding, settling, learning, journeys, mail)
            for task in beside:
                task.cancel()
            log.info("stopping")
            await rpc.stop()
            await http.stop()
            hooks.close()
            await asyncio.wait(beside)  # their threads still write; the ledger is closed next
            desk.close()


def _voice(settings: HubSettings) -> Voice:
    """Who writes mails."""
    name = parseaddr(settings.mail_from)[0]
    return Voice(Links(settings.mail_links), name, settings.mail_imprint, settings.mail_site)


def _hooks(
    data_dir: Path,
    ledger: Ledger,
    releases: Releases,
    rpc: RpcServer,
    board: FactsBoard,
    *,
    clock: Clock,
    meters: Meters,
    log: Log,
) -> Hooks:
    """What takes the deliveries of the sources that the site applied."""

    def read(document: SourceDocument) -> Intake:
        granted = document.consent == StatedConsent.GRANTED.value
        return site_intake(data_dir, StatedConsent.GRANTED if granted else StatedConsent.SITE_DEFAULT)

    return Hooks(
        KeptSources(data_dir),
        WebhookSecrets(data_dir, os.environ),
        ledger,
        board,
        data_dir=data_dir,
        intake_of=LiveIntake(releases.live, read),
        append=rpc.append,
        clock=clock,
        meters=meters,
        log=log,
    )


async def _refresh(repository: Repository, every_ms: int, log: Log) -> None:
    """Keep the signatures of the online roles from expiring."""
    while True:
        try:
            if await to_its_end(repository.refresh):
                log.info("online metadata signed again")
        except EdgewiseError as missing:
            log.warning("online metadata cannot be signed again; nodes will turn STALE", reason=str(missing))
        await asyncio.sleep(every_ms / 1_000)


async def _keep_facts(keeper: FactsKeeper, every_ms: int, log: Log) -> None:
    """Count trends, renew numbers, publish what a command that died had not."""
    while True:
        try:
            await to_its_end(keeper.keep)
        except EdgewiseError as missing:
            log.warning("live facts cannot be kept up; nodes go on with those that they have", reason=str(missing))
        except Exception:  # a mistake of ours here must not leave nodes without a hub
            log.exception("keeping live facts up failed")
        await asyncio.sleep(every_ms / 1_000)


async def _settle(ledger: Ledger, settings: HubSettings, clock: Clock, log: Log) -> None:
    """Move old records into the lake, a bounded number a turn; turns that come back full follow each other."""
    days = ledger.storage.lake_after_days if settings.lake_after_days is None else settings.lake_after_days
    if days is None:
        return
    moved = Compacted()
    while True:
        # between full turns as well, so that those who store have their turns
        await asyncio.sleep(_BETWEEN_TURNS_S if moved.is_full else settings.lake_every_ms / 1_000)
        moved = Compacted()
        now_ms = clock.now_ms()
        before_ms = now_ms - days * DAY_MS
        try:
            moved = await to_its_end(partial(ledger.lake.compact, before_ms=before_ms, now_ms=now_ms))
        except EdgewiseError as missing:
            log.warning("old records stay in the database", reason=str(missing))
        except Exception:  # as above
            log.exception("moving old records failed")
        else:
            if moved.records:
                log.info("old records moved", records=moved.records, files=moved.files, bytes=moved.bytes)


async def _redeem(redeemer: Redeemer, log: Log) -> None:
    """Redeem the codes of orders soon after they were stored."""
    while True:
        await asyncio.sleep(_REDEEM_S)
        try:
            await to_its_end(redeemer.follow)
        except EdgewiseError as missing:
            log.warning("codes of orders wait to be redeemed", reason=str(missing))
        except Exception:  # as above
            log.exception("redeeming codes of orders failed")


async def _hold(right: ServingRight, rpc: RpcServer, log: Log) -> None:
    """Stay the one hub of the ledger: a database that was restarted has forgotten who that is."""
    away = False
    while True:
        await asyncio.sleep(_RENEW_S)
        try:
            await to_its_end(right.renew)
        except TakenError as taken:
            rpc.fail(str(taken))
            return
        except EdgewiseError as missing:
            if not away:
                log.error("the ledger is away; nodes keep what they have", reason=str(missing))  # noqa: TRY400
            away = True
        else:
            if away:
                log.info("the ledger is back")
            away = False


@contextlib.contextmanager
def _only_hub(data_dir: Path) -> Iterator[None]:
    """Hold the folder: two hubs on one folder would tell nodes different things."""
    path = data_dir / "hub.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UnavailableError(
                f"another hub serves {data_dir} already; stop it, or name another --data-dir"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _say_what_to_know(ledger: Ledger, settings: HubSettings, serving: Serving, log: Log) -> None:
    log.info("serving", hub=serving.hub, admin=serving.admin, ledger=ledger.storage.place)
    if warning := ledger.storage.warning():
        log.warning(warning)
    if not on_loopback(settings.grpc):
        log.warning(
            "gRPC is plain text: tokens and profiles can be read on the way; let only trusted networks reach it",
            address=serving.hub,
        )
    if not on_loopback(settings.admin):
        log.warning("the admin API is not encrypted; put a TLS proxy in front", address=serving.admin)
