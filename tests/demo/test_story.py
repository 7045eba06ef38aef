"""The story is cut by time, and its past is written as the calls that a shop would have sent."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from hub.datasets import world
from hub.demo.story import TRAIN_SHARE, tell, write_history

NOW_MS = 1_793_491_200_000


def test_nobody_in_the_past_knows_the_future() -> None:
    history = world.simulate(3, visitors=60, films=80, events=2_000)
    story = tell(history)
    assert len(story.past) == int(len(history.ratings) * TRAIN_SHARE)
    assert len(story.past) + len(story.future) == len(history.ratings)
    assert max(rated.time_s for rated in story.past) <= min(rated.time_s for rated in story.future)
    pasts = {rated.visitor for rated in story.past}
    assert story.known == {rated.visitor for rated in story.future if rated.visitor in pasts}


def test_the_past_ends_now_and_keeps_its_distances(tmp_path: Path) -> None:
    story = tell(world.simulate(3, visitors=20, films=40, events=300))
    write_history(story, tmp_path / "history.jsonl", NOW_MS)
    calls = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    times_s = [round(datetime.fromisoformat(call["timestamp"]).timestamp()) for call in calls]
    assert times_s[-1] == NOW_MS // 1_000
    assert [time_s - times_s[0] for time_s in times_s] == [rated.time_s - story.past[0].time_s for rated in story.past]
    assert len({call["messageId"] for call in calls}) == len(calls)
    assert {call["event"] for call in calls} == {"Product Reviewed"}
