"""What clocks make of the times of a schedule is said to whoever checks a site; its zones come with the release."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.site.loading import load_site
from hub.site.zones import zone_table

SITE = {
    "site.yaml": "name: shop\n",
    "items/all.yaml": "- id: tea\n  content: {}\n  schedule: SCHEDULE\n- {id: cup, content: {}}\n",
}


def notes(folder: Path, schedule: str) -> tuple[str, ...]:
    for path, text in SITE.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text.replace("SCHEDULE", schedule))
    contents = load_site(folder)
    assert list(contents.policy.site.zones) == ["Europe/Berlin"]
    assert contents.policy.site.zones["Europe/Berlin"] == zone_table("Europe/Berlin")
    assert [item.schedule is not None for item in contents.catalogue.items] == [True, False]
    return contents.notes


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ('from: "02:30"', "2020-03-29 02:30 does not exist in Europe/Berlin: 03:00 is taken, and so on other days"),
        ('to: "02:30", days: [sun]', "2020-03-29 02:30 does not exist in Europe/Berlin: 03:00 is taken"),
        ("starts: 2026-03-29T02:15", "2026-03-29 02:15 does not exist in Europe/Berlin: 03:00 is taken"),
        ("ends: 2026-10-25T02:15", "2026-10-25 02:15 comes twice in Europe/Berlin: the first is taken"),
        ('from: "02:30", dates: [2026-10-25]', "2026-10-25 02:30 comes twice in Europe/Berlin: the first is taken"),
    ],
)
def test_a_time_that_does_not_exist_or_comes_twice_is_said(tmp_path: Path, said: str, note: str) -> None:
    (told,) = notes(tmp_path, f"{{timezone: Europe/Berlin, {said}}}")
    assert told.startswith(f"items/all.yaml:3: {note}")


@pytest.mark.parametrize("said", ['from: "08:00"', 'from: "02:30", days: [mon]', 'from: "02:30", dates: [2026-12-24]'])
def test_other_times_surprise_nobody(tmp_path: Path, said: str) -> None:
    assert notes(tmp_path, f"{{timezone: Europe/Berlin, {said}}}") == ()
