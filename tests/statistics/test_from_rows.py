"""Files of events: what units did, day by day and segment by segment, and what is left out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgewise.errors import InputError
from hub.statistics.file import Asked, analyse_file
from hub.statistics.results import Analysis

DAY_S = 86_400


def shop(path: Path, *, visitors: int = 3_000, days: int = 6) -> Path:
    """Visitors who spend every day; B's lift of 30 % is Germany's, most of it at high scores, and gone in four days."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[Any]] = {name: [] for name in ("who", "variant", "when", "spend", "country", "score", "old")}
    for who in range(visitors):
        is_b, country, score = bool(rng.random() < 0.5), "DE" if rng.random() < 0.5 else "FR", float(rng.random())
        first = int(rng.integers(0, 2))
        for day in range(first, days):
            fading = max(0.0, 0.6 * (1 - (day - first) / 4))
            lift = fading * is_b * (country == "DE") * 2 * score
            values = (f"v{who}", "AB"[is_b], (20_000 + day) * DAY_S + 60, 10 * (1 + lift) + rng.normal(0, 2))
            for name, value in zip(
                rows, (*values, country, score, None if who % 10 == 0 else 1.0 + score), strict=True
            ):
                rows[name].append(value)
    pq.write_table(pa.table(rows), path)
    return path


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shop(tmp_path_factory.mktemp("events") / "events.parquet")


def analysed(path: Path, **how: Any) -> Analysis:
    asked = Asked(file=path, control="A", metrics=("spend",), unit="who", **how)
    return analyse_file(asked, lambda _: None)


def test_the_lift_fades_by_day_since_exposure(events: Path) -> None:
    found = analysed(events, time="when").metrics["spend"].novelty["B"]
    assert found.fades
    assert [day.day for day in found.days] == list(range(6))
    # those who came on the second day have no sixth
    assert found.days[0].units == 3_000
    assert 1_300 < found.days[5].units < 1_700
    assert found.days[0].relative_lift == pytest.approx(0.3, abs=0.06)
    assert found.days[5].relative_lift == pytest.approx(0.0, abs=0.03)


def test_the_lift_is_that_of_one_country(events: Path) -> None:
    segments = analysed(events, segment="country").metrics["spend"].segments
    assert segments is not None
    assert segments.attribute == "country"
    found = segments.variants["B"]
    assert found.p_value < 1e-6
    assert found.segments["DE"].relative_lift > 0.15
    assert found.segments["FR"].ci_low < 0 < found.segments["FR"].ci_high
    assert sum(of.units for of in found.segments.values()) == 3_000


def test_the_score_finds_them(events: Path) -> None:
    found = analysed(events, score="score").metrics["spend"].targeting["B"]
    assert found.qini_low > 0
    turned = analysed(events, score="score", lower=("spend",)).metrics["spend"].targeting["B"]
    assert turned.qini == pytest.approx(-found.qini)


def test_unknown_covariates_are_the_mean(events: Path) -> None:
    found = analysed(events, covariates=("old",))
    assert "300 units have no old: the mean of the others stands in" in found.warnings
    assert found.metrics["spend"].control.n + found.metrics["spend"].variants["B"].n == 3_000
    assert not any("missing" in warning for warning in found.warnings)
    both = Asked(
        file=events, control="A", metrics=("spend", "score"), unit="who", covariates=("spend=old", "score=score")
    )
    # what came in five or six days, by what it is on each: most of its spread is between visitors
    assert analyse_file(both, lambda _: None).metrics["score"].variants["B"].variance_reduction > 0.9


def test_the_order_of_rows_says_nothing(events: Path, tmp_path: Path) -> None:
    rows = pq.read_table(events)
    shuffled = rows.take(np.random.default_rng(1).permutation(rows.num_rows))
    pq.write_table(shuffled, tmp_path / "shuffled.parquet")
    first, second = (analysed(path, time="when", segment="country") for path in (events, tmp_path / "shuffled.parquet"))
    assert second.srm == first.srm
    of_first, of_second = (of.metrics["spend"].variants["B"] for of in (first, second))
    assert of_second.ci_low == pytest.approx(of_first.ci_low, rel=1e-9)
    assert of_second.p_value == pytest.approx(of_first.p_value, rel=1e-6)
    fading = [of.metrics["spend"].novelty["B"].slope_per_day for of in (first, second)]
    assert fading[1] == pytest.approx(fading[0], rel=1e-9)


def test_yes_and_no_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "bought.jsonl"
    path.write_text("".join(f'{{"variant": {n % 2}, "bought": {"true" if n % 3 else "false"}}}\n' for n in range(600)))
    found = analyse_file(Asked(file=path, control="0", metrics=("bought:binary",)), lambda _: None)
    assert found.metrics["bought"].control.mean == pytest.approx(2 / 3)
    assert found.exposures is None


def test_many_in_several_arms_forbid_a_verdict(tmp_path: Path) -> None:
    rows = [f"{n % 500},{'AB'[n // 500]},{n % 7}" for n in range(510)]
    path = tmp_path / "twice.csv"
    path.write_text("\n".join(["who,variant,spend", *rows]))
    found = analysed(path)
    assert found.exposures is not None
    assert (found.exposures.in_several, found.exposures.alarm) == (10, True)
    assert "10 of 500 units saw several variants" in found.verdicts["B"].sentence if "B" in found.verdicts else False


def test_rows_without_a_time_are_not_in_the_view(tmp_path: Path) -> None:
    rows = [f"{n % 300},{'AB'[n % 2]},{n % 7},{'never' if n == 5 else 1_700_000_000 + n * 600}" for n in range(3_000)]
    path = tmp_path / "times.csv"
    path.write_text("\n".join(["who,variant,spend,when", *rows]))
    found = analysed(path, time="when")
    assert any("1 rows have no time (the first: row 7, column when)" in warning for warning in found.warnings)
    assert found.metrics["spend"].novelty["B"].days[0].units == 300
    with pytest.raises(InputError, match="column 'variant' holds no time"):
        analysed(path, time="variant")
