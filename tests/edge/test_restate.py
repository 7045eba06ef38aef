"""Statements come back from the spool to a cache that has forgotten them: all, once a boot, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hub_records import event, preference

from edge.node.layout import NodePaths, segment_name
from edge.profiles.cache import ProfileCache
from edge.profiles.restate import restate
from edgewise.consent import Consent, ConsentState
from edgewise.frames import frame
from edgewise.ids import Producer, SubjectId
from edgewise.profile.preferences import Preferences
from edgewise.records import ANONYMOUS, Record, encode_record

ANN, BOB = SubjectId("a" * 32), SubjectId("b" * 32)
FIRST, SECOND = Producer("n-a/1/0"), Producer("n-a/2/0")


def spool(paths: NodePaths, *segments: list[Record], tail: bytes = b"") -> None:
    """Segments of one producer each, with whatever is left behind the last record."""
    for epoch, records in enumerate(segments, start=1):
        folder = paths.producer(epoch, 0)
        folder.mkdir()
        framed = b"".join(frame(encode_record(record)) for record in records)
        (folder / segment_name(0)).write_bytes(framed + tail)


@pytest.fixture
def paths(tmp_path: Path) -> NodePaths:
    made = NodePaths(tmp_path)
    made.create()
    return made


def test_all_that_was_stated_holds_again_and_the_last_word_last(paths: NodePaths) -> None:
    said = Consent(personalisation=ConsentState.DENIED)
    spool(
        paths,
        [event(0), preference(1, subject=ANN, dial=0), preference(2, subject=BOB, dial=0, time_ms=5)],
        [preference(0, producer=SECOND, subject=BOB, dial=3, time_ms=9, consent=said)],
        tail=frame(encode_record(preference(3, subject=ANN, dial=3)))[:-1],
    )
    cache = ProfileCache.open(paths.profiles, map_bytes=1 << 20)
    assert restate(cache, paths.spool, "boot") == 3
    assert cache.preferences(ANN).dial.value == 0
    assert cache.preferences(BOB).dial.value == 3
    assert cache.preferences(BOB).stored_consent == said
    cache.close()


def test_it_is_done_once_a_boot_and_again_for_another_file(paths: NodePaths) -> None:
    spool(paths, [preference(0, subject=ANN, dial=0)])
    cache = ProfileCache.open(paths.profiles, map_bytes=1 << 20)
    assert [restate(cache, paths.spool, boot) for boot in ("one", "one", "two")] == [1, 0, 1]
    cache.close()
    shutil.rmtree(paths.profiles)
    cache = ProfileCache.open(paths.profiles, map_bytes=1 << 20)
    assert restate(cache, paths.spool, "two") == 1
    cache.close()


def test_what_belongs_to_nobody_or_cannot_be_read_is_passed_over(paths: NodePaths) -> None:
    spool(paths, [preference(0, subject=ANONYMOUS, dial=0)])
    garbage = paths.producer(2, 0)
    garbage.mkdir()
    (garbage / segment_name(0)).write_bytes(frame(b"\x82\xa6record\xaapreference") + frame(b"\xaapreference"))
    cache = ProfileCache.open(paths.profiles, map_bytes=1 << 20)
    assert restate(cache, paths.spool, "boot") == 0
    assert cache.preferences(ANN) == Preferences()
    cache.close()
