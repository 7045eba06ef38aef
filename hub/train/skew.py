"""Skew: features as nodes logged them when they decided, against features replayed from the ledger for the same moment.

    logged    the rows of a decision's record: of what was shown, or of every candidate where the decision was sampled
    replayed  the profile folded again up to the sequences that the node had applied, the same bundle, live facts, page

Models learn from replayed features and are served with live ones, so that the two must be equal to the bit. A decision
whose past the ledger does not hold any more is left out, and said to be: nothing can be compared with it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.decision import Decision
from edgewise.errors import BundleRefused, InputError, RefusedError
from edgewise.ids import DecisionId, ItemId, ModelName, PlacementName
from edgewise.ranking import ranker_of
from edgewise.records import DecisionRecord, FeatureRows
from hub.train.skew_cells import Compared, compared

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger
    from hub.replay import Again, Replayer

MOST: Final = 2_000
"""Decisions that are compared, the latest ones."""
EXAMPLES: Final = 10
_decisions = msgspec.json.Decoder(Decision)

Progress = Callable[[int, int], None]


class FeatureSkew(msgspec.Struct, frozen=True):
    """One column."""

    name: str
    cells: int
    """That were compared."""
    mismatch: int
    """Both are numbers, and not the same to the bit."""
    missing: int
    """The node had a number, the replay has none."""
    extra: int
    """The replay has a number, the node had none."""
    largest_difference: float
    """Between two numbers; 0 where all are equal."""

    @property
    def unequal(self) -> int:
        """Cells that differ in any way."""
        return self.mismatch + self.missing + self.extra


class Example(msgspec.Struct, frozen=True):
    """One cell that differs; None for no number."""

    decision_id: DecisionId
    placement: PlacementName
    item: ItemId
    feature: str
    logged: float | None
    replayed: float | None


class Skew(msgspec.Struct, frozen=True):
    """What came of a comparison."""

    decisions: int
    """Compared."""
    rows: int
    unequal: int
    """Cells of all features that differ in any way."""
    features: list[FeatureSkew]
    """The most different first, then by name."""
    left_out: dict[str, int]
    """Why decisions were not compared -> how many. `no-model`: no model ranked, or none of those asked about;
    `no-profile`: the ledger does not hold all that the node had read; `doubtful`: the rows differ, but the past itself
    is in doubt (`edgewise replay` says why); `no-bundle`, `no-facts`: not kept any more; `damaged`."""
    examples: list[Example]
    first_ms: int | None = None
    """When the first and the last of the compared decisions were made."""
    last_ms: int | None = None

    @property
    def is_sound(self) -> bool:
        """Whether everything that could be compared is equal."""
        return not self.unequal


NOTHING: Final = Skew(0, 0, 0, [], {}, [])
"""Of a ledger without decisions."""


def measure_skew(
    ledger: Ledger,
    replayer: Replayer,
    *,
    model: ModelName | None = None,
    since_ms: int = 0,
    after_position: int = 0,
    most: int = MOST,
    progress: Progress = lambda _done, _of: None,
) -> Skew:
    """Of the latest `most` decisions since a moment, or behind a position of the ledger; of one model, or of all."""
    records = deque(
        (
            record
            for _, record in ledger.decisions(after_position=after_position, since_ms=since_ms)
            if _has_rows(record)
        ),
        maxlen=most,
    )
    tallies = _Tallies()
    for done, record in enumerate(records, 1):
        reason = _compare(record, replayer, model, tallies)
        if reason is not None:
            tallies.left_out[reason] += 1
        progress(done, len(records))
    return tallies.result()


class _Tallies:
    def __init__(self) -> None:
        self.counts: dict[str, NDArray[np.int64]] = {}
        """Name -> cells, mismatches, missing, extra."""
        self.largest: dict[str, float] = {}
        self.decisions = self.rows = 0
        self.left_out: Counter[str] = Counter()
        self.examples: list[Example] = []
        self.times_ms: list[int] = []

    def add(self, record: DecisionRecord, found: Mapping[PlacementName, Compared]) -> None:
        self.decisions += 1
        self.times_ms.append(record.time_ms)
        for placement, pair in found.items():
            self.rows += len(pair.items)
            differs = pair.differs()
            here, there = np.isnan(pair.logged), np.isnan(pair.replayed)
            columns = np.stack(
                [
                    np.full(len(pair.names), len(pair.items)),
                    (differs & ~here & ~there).sum(axis=0),
                    (differs & there).sum(axis=0),
                    (differs & here).sum(axis=0),
                ],
                axis=1,
            )
            largest = pair.apart().max(axis=0, initial=0.0).tolist()
            for name, column, most in zip(pair.names, columns, largest, strict=True):
                self.counts[name] = self.counts.get(name, np.zeros(4, np.int64)) + column
                self.largest[name] = max(self.largest.get(name, 0.0), most)
            self._exemplify(record, placement, pair, differs)

    def result(self) -> Skew:
        features = []
        for name, column in self.counts.items():
            cells, mismatch, missing, extra = column.tolist()
            features.append(FeatureSkew(name, cells, mismatch, missing, extra, self.largest[name]))
        features.sort(key=lambda feature: (-feature.unequal, feature.name))
        return Skew(
            decisions=self.decisions,
            rows=self.rows,
            unequal=sum(feature.unequal for feature in features),
            features=features,
            left_out=dict(sorted(self.left_out.items())),
            examples=self.examples,
            first_ms=min(self.times_ms, default=None),
            last_ms=max(self.times_ms, default=None),
        )

    def _exemplify(
        self, record: DecisionRecord, placement: PlacementName, pair: Compared, differs: NDArray[np.bool_]
    ) -> None:
        for row, column in np.argwhere(differs).tolist():
            if len(self.examples) >= EXAMPLES:
                return
            values = [None if np.isnan(one[row, column]) else float(one[row, column]) for one in pair[2:]]
            self.examples.append(
                Example(record.decision_id, placement, pair.items[row], pair.names[column], values[0], values[1])
            )


def _compare(record: DecisionRecord, replayer: Replayer, model: ModelName | None, tallies: _Tallies) -> str | None:
    """Add one decision; or why it is left out."""
    try:
        logged = _logged(record, replayer, model)
        again = replayer.again(record, explain=False, ranks=False) if logged else None
    except BundleRefused:
        return "no-bundle"
    except RefusedError:
        return "no-facts"
    except (msgspec.DecodeError, InputError):  # bytes that are no decision, or one that its own bundle cannot make
        return "damaged"
    if again is None:
        return "no-model"
    return "no-profile" if again.missing else _add(record, logged, again, tallies)


def _add(
    record: DecisionRecord, logged: Mapping[PlacementName, FeatureRows], again: Again, tallies: _Tallies
) -> str | None:
    matrices = {} if again.outcome is None else again.outcome.matrices
    try:
        found = {placement: compared(rows, matrices.get(placement)) for placement, rows in logged.items()}
    except ValueError:
        return "damaged"
    if again.notes and any(pair.differs().any() for pair in found.values()):
        return "doubtful"
    tallies.add(record, found)
    return None


def _has_rows(record: DecisionRecord) -> bool:
    return bool(record.shown or record.sampled) and not record.dry_run


def _logged(record: DecisionRecord, replayer: Replayer, model: ModelName | None) -> dict[PlacementName, FeatureRows]:
    """The rows of the placements that a model ranked; of sampled ones all rows."""
    rows = {**record.shown, **record.sampled}
    if model is None:
        return rows
    policy = replayer.bundle(record).policy
    placed = _decisions.decode(record.decision).placements
    kept = {}
    for placement, logged in rows.items():
        arm = policy.placements[placement].arms.get(placed[placement].policy) if placement in placed else None
        if arm is not None and ranker_of(arm.ranking) == model:
            kept[placement] = logged
    return kept
