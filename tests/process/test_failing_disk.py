"""The kernel's own error in the spool's fdatasync, put there by strace: nothing is acknowledged that was lost by it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from needs import lacking
from spool_world import assert_without_holes, records_in

from edgewise.records import EventRecord

pytestmark = pytest.mark.process

CLICKS = 12
SCRIPT = f"""
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from spool_world import event, writer
from edgewise.errors import UnavailableError

async def main():
    # strace counts the calls of each thread for itself: two threads would both come to their own second one.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    spool = writer(Path(sys.argv[1]), segment_bytes=400)
    async def click():
        seq = spool.next_seq
        spool.append(event(seq, size=50))
        try:
            await spool.commit(seq)
        except UnavailableError:
            print("refused", seq)
        else:
            print("acknowledged", seq)
    for _ in range({CLICKS // 2}):
        await asyncio.gather(click(), click())
    print("created", spool.next_seq)
    await spool.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("failing", ["1", "2", "4", "7", "2..3", "4+"])
def test_nothing_is_acknowledged_that_a_failed_fdatasync_has_lost(tmp_path: Path, failing: str) -> None:
    if not shutil.which("strace"):
        lacking("strace, which injects the error, is not installed")
    # ENOSPC would be met by giving room back; EIO says nothing of what has become of the pages.
    inject = f"inject=fdatasync:error=EIO:when={failing}"
    command = ["strace", "-f", "-o", str(tmp_path / "trace"), "-e", "trace=fdatasync", "-e", inject]
    ran = subprocess.run(
        [*command, sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    if "ptrace" in ran.stderr or "PTRACE" in ran.stderr:
        lacking(f"strace may not trace here: {ran.stderr.strip()}")
    assert ran.returncode == 0, ran.stderr
    assert "INJECTED" in (tmp_path / "trace").read_text()
    said: dict[str, set[int]] = {"refused": set(), "acknowledged": set(), "created": set()}
    for line in ran.stdout.splitlines():
        word, number = line.split()
        said[word].add(int(number))
    assert said["created"] == {CLICKS}
    assert said["refused"] | said["acknowledged"] == set(range(CLICKS))
    records = records_in(tmp_path)
    kept = {record.seq for record in records if isinstance(record, EventRecord)}
    assert said["acknowledged"] <= kept, "acknowledged and lost"
    if failing.isdecimal():
        assert not said["refused"], "one failure is mended by a new segment"
        assert_without_holes(records, CLICKS)
    elif failing == "4+":
        assert said["refused"], "a disk that goes on failing is not trusted"
