"""The cache's file: what another boot, damage, a full map and other processes do to it, and how it comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest
from cache_world import boot_again, overwrite_pages, statement, view
from hub_records import SUBJECT
from spool_world import PRODUCER, event, preference, writer

from edge.profiles.cache import ProfileCache
from edge.profiles.cache_file import LOCK_FILE_BYTES, CacheError, CacheFile, keys_after
from edge.profiles.generation import begin_anew, current_place
from edge.profiles.readers import ReaderWatch
from edge.profiles.recall import statements_in
from edge.profiles.recent import RecentMessages
from edgewise.errors import UnavailableError
from edgewise.ids import MessageId, SubjectId
from edgewise.profile.preferences import Preferences, encode_preferences
from edgewise.profile.state import Profile, encode_profile

STRANGER = SubjectId("7" * 32)
MAP_BYTES = 1 << 20


def opened(folder: Path) -> ProfileCache:
    """A cache that has taken in what there was to be recalled."""
    cache = ProfileCache.open(folder, map_bytes=MAP_BYTES)
    if cache.is_unrecalled():
        cache.recall([], is_all=False)
    return cache


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ProfileCache]:
    made = opened(tmp_path / "profiles")
    yield made
    made.close()


def is_unknown(cache: ProfileCache, subject: SubjectId) -> bool:
    with cache.reading() as reading:
        return reading.consent_is_unknown(subject)


def in_another_process(folder: Path, what: str) -> subprocess.Popen[str]:
    """A process that has the cache open as `cache`, runs a line, and says so."""
    script = (
        "import os, sys; from pathlib import Path; from edge.profiles.cache import ProfileCache\n"
        f"cache = ProfileCache.open(Path({str(folder)!r}), map_bytes={MAP_BYTES})\n"
        f"{what}\nprint('done', flush=True)\nsys.stdin.read()\n"
    )
    return subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True)


# --- another boot -----------------------------------------------------------------------------------------------------
def test_the_stamp_says_that_it_is_clean_from_the_last_closing_to_the_next_opening(tmp_path: Path) -> None:
    def is_clean() -> bool:
        return bool(json.loads((tmp_path / "stamp.json").read_bytes())["clean"])

    cache = opened(tmp_path)
    assert not is_clean()
    with in_another_process(tmp_path, "") as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "done\n"
        cache.close()
        assert not is_clean(), "somebody else may still write"
        other.kill()
    cache = opened(tmp_path)
    cache.close()
    assert is_clean()
    opened(tmp_path).close()
    assert is_clean()


@pytest.mark.parametrize(
    ("changes", "is_kept"),
    [({}, True), ({"clean": False}, False), ({"format": 1}, False), ({"format": 99}, False), (None, False)],
)
def test_after_another_boot_a_file_is_kept_that_was_closed_in_peace_and_has_our_form(
    tmp_path: Path,
    changes: dict[str, object] | None,
    is_kept: bool,  # noqa: FBT001
) -> None:
    """A power loss takes what was written last, statements too: what is left of the file may look sound."""
    cache = opened(tmp_path)
    cache.state(SUBJECT, statement(0, dial=0))
    cache.close()
    if changes is None:
        (tmp_path / "stamp.json").write_text("garbage")
    else:
        boot_again(tmp_path, **changes)
    cache = opened(tmp_path)
    assert (cache.preferences(SUBJECT).dial.value == 0) is is_kept
    assert is_unknown(cache, STRANGER) is not is_kept
    cache.close()


def test_after_another_boot_message_ids_are_forgotten(tmp_path: Path) -> None:
    """The event behind one of them, of a process that was killed, may not have been durable."""
    for reboots, is_new in ((False, True), (False, False), (True, True)):
        if reboots:
            boot_again(tmp_path)
        cache = opened(tmp_path)
        with cache.file.env.begin(write=True) as txn:
            assert RecentMessages(cache.file).is_new(txn, MessageId("m"), 1) is is_new
        cache.close()


def test_after_another_boot_a_profile_whose_events_the_spool_may_have_lost_is_asked_for_again(tmp_path: Path) -> None:
    """No snapshot would ever contain an event that was lost, so it would count here for ever."""
    cache = opened(tmp_path)
    unsure, sure = [SubjectId(f"{number:032x}") for number in range(1, 151)], SubjectId("f" * 32)
    for subject in unsure:
        cache.apply(subject, [view(0)])
        cache.state(subject, statement(1, dial=1))
    cache.snapshot(sure, encode_profile(Profile(last_ms=7)), encode_preferences(Preferences()))
    cache.close()
    boot_again(tmp_path)
    cache = opened(tmp_path)
    assert all(cache.profile(subject) is None for subject in unsure)
    assert all(cache.preferences(subject).dial.value == 1 for subject in unsure), "a visitor's will is kept"
    assert cache.profile(sure) == Profile(last_ms=7)
    assert cache.snapshot(unsure[0], encode_profile(Profile(last_ms=5)), encode_preferences(Preferences()))
    assert cache.profile(unsure[0]) == Profile(last_ms=5)
    cache.close()


def test_a_file_that_was_damaged_meanwhile_is_dropped_and_nobody_personalised_before_the_hub_has_answered(
    tmp_path: Path,
) -> None:
    cache = opened(tmp_path)
    for number in range(200):
        cache.apply(SubjectId(f"{number:032x}"), [view(number)])
    cache.close()
    data = bytearray((tmp_path / "data.mdb").read_bytes())
    data[8_192:12_288] = bytes(4_096)
    data[16_384:20_480] = bytes(4_096)
    (tmp_path / "data.mdb").write_bytes(bytes(data))
    boot_again(tmp_path)
    cache = opened(tmp_path)
    assert is_unknown(cache, SUBJECT)
    cache.unknown(SUBJECT)
    assert not is_unknown(cache, SUBJECT)
    cache.clear()
    assert not is_unknown(cache, STRANGER)
    cache.close()


# --- damage while it is in use ----------------------------------------------------------------------------------------
def test_a_row_with_a_flipped_bit_is_as_good_as_none_whichever_bit_it_is(cache: ProfileCache) -> None:
    cache.apply(SUBJECT, [view(0)])
    cache.state(SUBJECT, statement(1, dial=0))
    key = bytes.fromhex(SUBJECT)
    for name, first_byte in (("profiles", 4), ("preferences", 0)):  # a wrong minute harms nobody
        with cache.file.env.begin() as txn:
            row = txn.get(key, db=cache.file.db[name])
        assert row is not None
        for bit in range(8 * first_byte, 8 * len(row)):
            flipped = bytearray(row)
            flipped[bit // 8] ^= 1 << bit % 8
            with cache.file.env.begin(write=True) as txn:
                txn.put(key, bytes(flipped), db=cache.file.db[name])
            if name == "profiles":
                assert cache.profile(SUBJECT) is None
            else:
                with pytest.raises(ValueError, match="damaged"):
                    cache.preferences(SUBJECT)


def test_a_damaged_pending_record_keeps_nobody_from_being_erased_or_known(cache: ProfileCache) -> None:
    for damage in (b"\xc1", b"", b"\x81\xa6record\xa3gap"):
        for erased in (False, True):
            cache.apply(SUBJECT, [view(0), view(1)])
            with cache.file.env.begin(write=True) as txn:
                [first, second] = keys_after(txn, cache.file.db["pending"], b"", most=3)
                txn.put(first, damage, db=cache.file.db["pending"])
            if erased:
                cache.erase(SUBJECT)
                assert cache.profile(SUBJECT) is None
            else:
                assert cache.snapshot(SUBJECT, encode_profile(Profile()), encode_preferences(Preferences()))
                known = cache.profile(SUBJECT)
                assert known is not None
                assert known.applied == {PRODUCER: 1}
            with cache.file.env.begin() as txn:
                assert keys_after(txn, cache.file.db["pending"], b"", most=3) == ([] if erased else [second])
            cache.erase(SUBJECT)


def test_a_damaged_file_is_left_behind_by_all_processes_while_they_serve(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.apply(SUBJECT, [view(0)])
    follow = "print('open', flush=True)\nwhile not cache.file.mend(): pass\nprint(cache.file.generation)"
    with in_another_process(tmp_path, follow) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        overwrite_pages(tmp_path)
        with pytest.raises(CacheError):
            cache.apply(SUBJECT, [view(1)])
        assert cache.file.mend()
        assert other.stdout.readline() == "1\n"
        assert is_unknown(cache, STRANGER)
        cache.recall([statement(0, subject=STRANGER, dial=0)], is_all=False)
        assert cache.preferences(STRANGER).dial.value == 0
        assert is_unknown(cache, SUBJECT)
        cache.apply(SUBJECT, [view(1)])
        assert cache.profile(SUBJECT) is not None
        assert not (tmp_path / "data.mdb").exists()
        assert not cache.file.mend(), "once is enough"
        other.kill()
    cache.close()
    again = opened(tmp_path)
    assert (again.file.generation, again.profile(SUBJECT) is not None) == (1, True)
    again.close()


def test_whoever_opens_a_damaged_file_begins_anew(tmp_path: Path) -> None:
    """Or no worker could start where one has ended."""
    cache = opened(tmp_path)
    cache.apply(SUBJECT, [view(0)])
    cache.close()
    overwrite_pages(tmp_path)
    cache = opened(tmp_path)
    assert (cache.file.generation, is_unknown(cache, SUBJECT)) == (1, True)
    cache.close()


def test_a_look_at_a_damaged_file_is_noted_too(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.apply(SUBJECT, [view(0)])
    overwrite_pages(tmp_path)
    with pytest.raises(lmdb.Error):
        cache.profile(SUBJECT)
    assert cache.file.mend()
    assert cache.profile(SUBJECT) is None
    cache.close()


def test_of_several_who_ask_for_a_new_file_at_once_the_first_gets_it(tmp_path: Path) -> None:
    opened(tmp_path).close()
    begin_anew(tmp_path, 0)
    begin_anew(tmp_path, 0)
    assert current_place(tmp_path) == tmp_path / "g1"
    begin_anew(tmp_path)
    assert current_place(tmp_path) == tmp_path / "g2"
    cache = opened(tmp_path)
    assert [path.name for path in tmp_path.glob("g[0-9]")] == ["g2"]
    cache.close()


def test_a_file_that_cannot_be_opened_anew_now_is_tried_again(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    begin_anew(tmp_path)
    (tmp_path / "g1").write_text("in the way")
    for _ in range(2):
        with pytest.raises(UnavailableError):
            cache.file.mend()
        with pytest.raises(lmdb.Error):
            cache.profile(SUBJECT)
    (tmp_path / "g1").unlink()
    assert cache.file.mend()
    assert cache.profile(SUBJECT) is None
    cache.close()


# --- what the spool knows ---------------------------------------------------------------------------------------------
def test_a_node_that_never_shipped_anything_knows_all_statements_again(tmp_path: Path) -> None:
    import asyncio

    async def fill() -> None:
        spool = writer(tmp_path, segment_bytes=300)
        for seq in range(40):
            spool.append(preference(seq) if seq % 7 == 0 else event(seq))
        await spool.close()

    asyncio.run(fill())
    found = list(statements_in(tmp_path / "spool"))
    assert [record.seq for record in found] == [0, 7, 14, 21, 28, 35]
    cache = ProfileCache.open(tmp_path / "profiles", map_bytes=MAP_BYTES)
    stated = preference(0).subject
    assert is_unknown(cache, stated)
    for _ in range(2):
        cache.recall(statements_in(tmp_path / "spool"), is_all=True)
        assert cache.preferences(stated).dial.value == 0
        assert not is_unknown(cache, STRANGER)
        assert not cache.is_unrecalled()
    cache.close()


# --- readers ----------------------------------------------------------------------------------------------------------
def flood(cache: ProfileCache, first: int, until: Callable[[int], bool]) -> int:
    number = first
    while not until(number):
        cache.apply(SubjectId(f"{number:032x}"), [view(number, item="i" * 200)])
        number += 1
    return number


def test_a_stuck_reader_costs_the_cache_and_is_told_of_and_when_he_is_gone_all_is_as_before(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.apply(SUBJECT, [view(0)])
    watch = ReaderWatch(cache.file)
    assert watch.look(0) == {}
    with in_another_process(tmp_path, "held = cache.file.env.begin(); held.get(b'x')") as stuck:
        assert stuck.stdout is not None
        assert stuck.stdout.readline() == "done\n"
        with pytest.raises(CacheError):
            flood(cache, 1, lambda number: number > 50_000)
        assert cache.profile(SUBJECT) is not None, "reading goes on"
        assert {reader.pid: age_ms for reader, age_ms in watch.look(1_000).items()} == {stuck.pid: 0.0}
        assert {reader.pid: age_ms for reader, age_ms in watch.look(62_000).items()} == {stuck.pid: 61_000.0}
        stuck.kill()
        stuck.wait()
    assert watch.look(63_000) == {}
    assert not cache.file.mend(), "nothing is wrong with the file"
    last = flood(cache, 100_000, lambda number: number > 100_500)
    assert cache.profile(SubjectId(f"{last - 1:032x}")) is not None
    cache.close()


def test_all_slots_of_the_reader_table_are_taken_from_the_disk_at_once(tmp_path: Path) -> None:
    """A hole in a mapped file is filled when it is touched, or SIGBUS comes instead."""
    cache = opened(tmp_path)
    status = (tmp_path / "lock.mdb").stat()
    assert status.st_size == LOCK_FILE_BYTES
    assert status.st_blocks * 512 >= LOCK_FILE_BYTES
    assert cache.file.env.info()["max_readers"] >= 2_048
    cache.close()


@pytest.mark.slow
def test_a_thousand_processes_that_are_killed_while_they_read_leave_the_table_usable(tmp_path: Path) -> None:
    import os
    import signal

    CacheFile(tmp_path, map_bytes=MAP_BYTES).close()
    for _ in range(1_000):
        pid = os.fork()  # nothing of LMDB is open here
        if not pid:
            read = CacheFile(tmp_path, map_bytes=MAP_BYTES)
            held = read.env.begin()
            held.get(b"x", db=read.db["profiles"])
            os.kill(os.getpid(), signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    cache = opened(tmp_path)
    cache.apply(SUBJECT, [view(0)])
    assert ReaderWatch(cache.file).look(0) == {}
    cache.close()
