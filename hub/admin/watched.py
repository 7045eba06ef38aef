"""What `edgewise model watch` found last, and how long ago something came, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from edgewise.clock import Clock
from hub.ledger.ledger import Ledger
from hub.monitor.keeping import kept
from hub.monitor.watch import WatchReport


class WatchCollector(Collector):
    """Gauges that are read off the ledger and the data folder when somebody asks."""

    def __init__(self, data_dir: Path, ledger: Ledger, clock: Clock) -> None:
        self._data_dir = data_dir
        self._ledger = ledger
        self._clock = clock

    @override
    def collect(self) -> Iterator[Metric]:
        now_ms = self._clock.now_ms()
        age = GaugeMetricFamily(
            "edgewise_newest_record_age_seconds",
            "Since the newest record of a kind; none yet: absent.",
            labels=["kind"],
        )
        for kind, newest_ms in (
            ("event", self._ledger.newest_event_ms()),
            ("decision", self._ledger.newest_decision_ms()),
        ):
            if newest_ms is not None:
                age.add_metric([kind], max(0, now_ms - newest_ms) / 1_000)
        yield age
        reports = kept(self._data_dir)
        watched = GaugeMetricFamily(
            "edgewise_model_watched_timestamp_seconds", "When a model was last looked at.", labels=["model"]
        )
        alarm = GaugeMetricFamily(
            "edgewise_model_alarm",
            "1: the last look found it wrong; 0: not, or too little past.",
            labels=["model", "version", "what"],
        )
        drift = GaugeMetricFamily(
            "edgewise_model_drift",
            "Distance from the past, by its threshold: above 1 it is larger than ever.",
            labels=["model", "version", "column"],
        )
        for report in reports:
            name, version = report.model, str(report.version)
            watched.add_metric([name], report.watched_ms / 1_000)
            for what, is_alarm in alarms_of(report).items():
                alarm.add_metric([name, version, what], float(is_alarm))
            for column, ratio in ratios_of(report).items():
                drift.add_metric([name, version, column], ratio)
        yield watched
        yield alarm
        yield drift


def alarms_of(report: WatchReport) -> dict[str, bool]:
    """Whether each of the four things is wrong."""
    return {
        "features": report.features.verdict == "alarm",
        "score": report.score.verdict == "alarm",
        "calibration": report.calibration.verdict == "alarm",
        "freshness": bool(report.freshness.alarms),
    }


def ratios_of(report: WatchReport) -> dict[str, float]:
    """Distance by threshold of every column, of `score` and of `calibration`; absent while there is too little past."""
    found: dict[str, float] = {}
    for column in [*report.features.columns, *report.score.columns]:
        pairs = [(column.psi_distance, column.psi_threshold), (column.ks_distance, column.ks_threshold)]
        known = [distance / threshold for distance, threshold in pairs if threshold]
        if known:
            found[column.name] = max(known)
    if report.calibration.threshold:
        found["calibration"] = report.calibration.distance / report.calibration.threshold
    return found
