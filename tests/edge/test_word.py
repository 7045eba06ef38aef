"""What a worker says of itself reaches its files in the order in which it was said."""

from pathlib import Path

from edge.node.layout import NodePaths
from edge.node.status import WorkerStatus, read_last_status
from edge.worker.tally import Tally, read_tally
from edge.worker.word import Word


def said(pid: int) -> WorkerStatus:
    return WorkerStatus(
        index=0,
        pid=pid,
        epoch=1,
        written_ms=pid,
        listening=True,
        bundle_digest=None,
        bundle_version=None,
        refused_digest=None,
        refused_detail="",
        decisions=0,
    )


def test_a_word_that_is_written_late_replaces_no_newer_one(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    paths.create()
    word = Word(paths.worker_status(0), paths.tally(0))
    first, second = word.spoken(said(1), Tally(created=1)), word.spoken(said(2), Tally(created=2))
    second()
    first()
    status = read_last_status(paths.worker_status(0), WorkerStatus)
    assert status is not None
    assert status.pid == 2
    assert read_tally(paths.tally(0)).created == 2


def test_what_is_counted_after_a_word_was_spoken_is_not_in_it(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    paths.create()
    tally = Tally()
    write = Word(paths.worker_status(0), paths.tally(0)).spoken(said(1), tally)
    tally.counts.cache_hits = 7
    write()
    assert read_tally(paths.tally(0)).counts.cache_hits == 0
