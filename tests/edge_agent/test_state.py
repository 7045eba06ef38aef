"""What the agent says of itself: what it says is lost on a full disk, what it does is not."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path

from agent_world import enrolled, log, patiently, running_agent

from edge.agent.state import AgentState
from edge.node.layout import NodePaths
from edge.node.status import AgentStatus, read_status
from edge.spool.writer import SpoolWriter
from edge.testing.fake_hub import FakeHub, eventually
from edge.testing.signed_site import SignedSite
from edgewise.clock import SystemClock
from edgewise.consent import Grants
from edgewise.ids import MessageId, SubjectId, producer
from edgewise.records import EventRecord


def test_a_status_that_cannot_be_written_is_said_once_and_again_after_it_could(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    paths.create()
    said = io.StringIO()
    with redirect_stderr(said):
        state = AgentState(paths, SystemClock(), site=None, root_fingerprint=None, hub="", log=log())
        for _ in range(2):
            # A folder where a file is to be replaced: as good an OSError as a full disk.
            paths.agent_status.mkdir()
            state.write()
            state.write()
            paths.agent_status.rmdir()
            state.write()
            assert read_status(paths.agent_status, AgentStatus) is not None
            paths.agent_status.unlink()
    assert said.getvalue().count("the agent's status cannot be written") == 2


def test_an_agent_that_is_started_again_goes_on_from_what_was_declared_lost(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    paths.create()

    def started() -> AgentState:
        return AgentState(paths, SystemClock(), site=None, root_fingerprint=None, hub="", log=log())

    first = started()
    first.lost(3)
    first.records_lost += 7  # never written down: nobody was told
    assert started().records_lost == 3


def test_the_spool_is_shipped_while_the_status_cannot_be_written(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SignedSite("shop")) as hub:
            paths = enrolled(tmp_path, hub.site)
            paths.agent_status.mkdir()
            async with running_agent(tmp_path, hub, log_level="critical") as node:
                mine = producer(node.id, 1, 0)
                spool = SpoolWriter(paths.producer(1, 0), producer=mine, most_bytes=1 << 20)
                spool.append(
                    EventRecord(
                        producer=mine,
                        seq=0,
                        subject=SubjectId("00" * 16),
                        message_id=MessageId("m"),
                        type="track",
                        name="Product Viewed",
                        time_ms=1,
                        received_ms=1,
                        grants=Grants(),
                    )
                )
                await spool.commit()
                await spool.close()
                await eventually(lambda: bool(hub.marks))
                await eventually(lambda: not list(paths.spool.glob("*/*.seg")))
            paths.agent_status.rmdir()

    patiently(story())


def test_a_line_that_the_log_cannot_take_ends_nobody() -> None:
    code = "from edge.log import start_log; log = start_log('test', 'info'); log.error('lost'); print('alive')"
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, check=False)
    assert ended.stdout == b"alive\n"
