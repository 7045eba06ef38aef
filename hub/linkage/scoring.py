"""How probable it is that two records are one person: Splink's Fellegi-Sunter model on DuckDB, learned without truth.

Nobody says who is who. What agreement is worth among strangers (`u`) is counted on random pairs, drawn with a fixed
seed; among records of one person (`m`) by expectation maximisation on pairs that share another field; how many pairs
match at all by rules that are hardly ever wrong. Fellegi, Sunter 1969; Winkler 1988; Linacre et al. 2022 (Splink).

One thread unless asked: sums over several threads differ in their last bits, and the same input must give the same
people.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from hub.linkage.blocking import block, says
from hub.linkage.comparisons import Field, as_splink, fields_of
from hub.linkage.records import Records

if TYPE_CHECKING:
    import duckdb
    from splink import Linker

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LEAST_TO_LEARN: Final = 200
"""Fewer records have too few true pairs to learn from; then the measured worths of `comparisons` hold."""
LEAST_CHANCE: Final = 0.005
"""Of any difference among records of one person."""
_RANDOM_PAIRS: Final = 2e6
_TRAINING_PAIRS: Final = 5e6
_RECALL_OF_RULES: Final = 0.7
"""Share of the true pairs that the deterministic rules find; .65 to .75 on the sets with known truth."""
_CERTAIN: Final = (
    ("email",),
    ("phone", "last_name"),
    ("full_name", "birth_date"),
    ("both_names", "birth_date"),
    ("first_name", "birth_date"),
    ("last_name", "postcode"),
)
"""Rules that are hardly ever wrong. The first-name one only where there are few people, see `_certain_rules`."""
_FEW: Final = 5_000
_TRAINING: Final = (("birth_date",), ("email",), ("both_names",), ("postcode",), ("phone",))
_MEMORY: Final = "512MB"


class Pairs(NamedTuple):
    """Scored pairs, by ascending row numbers; `left` < `right`."""

    left: Integers
    right: Integers
    weight: Floats
    """log2 of the odds that they are one person."""

    @property
    def probability(self) -> Floats:
        """That they are one person, 0 to 1."""
        return 1 / (1 + np.exp2(-np.clip(self.weight, -1000, 1000)))


class Said(NamedTuple):
    """What one field says about a pair."""

    field: str
    words: str
    weight: float
    """log2 of how many times as likely this is among records of one person as among strangers."""


class LevelWorth(NamedTuple):
    """What the model learned about one level."""

    field: str
    words: str
    m: float
    u: float

    @property
    def weight(self) -> float:
        """log2(m / u)."""
        return float(np.log2(max(self.m, 1e-12) / max(self.u, 1e-12)))


class Scorer:
    """A model of one set of records. Use as a context: its tables may spill to a temporary folder."""

    def __init__(self, records: Records, *, seed: int = 0, threads: int = 1) -> None:
        self.records = records
        self.fields: tuple[Field, ...] = fields_of(records.roles)
        self.notes: list[str] = []
        # two of five records have an address: that says nothing of how many people have it
        self._many = len(records.ids) >= LEAST_TO_LEARN
        self._seed = seed
        self._threads = threads
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        import duckdb

        folder = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="edgewise-link-"))
        self._connection: duckdb.DuckDBPyConnection = self._closing.enter_context(
            duckdb.connect(
                config={
                    "threads": self._threads,
                    "memory_limit": _MEMORY,
                    "temp_directory": folder,
                    "custom_extension_repository": folder,
                }
            )
        )
        self._connection.register("incoming", self.records.table)
        self._connection.execute("CREATE TABLE people AS SELECT * FROM incoming ORDER BY number")
        self._connection.unregister("incoming")
        with _quiet():
            self._linker, self._database = self._opened()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def learn(self, working: Callable[[str], None] = lambda _: None) -> None:
        """Estimate what agreement is worth; with few records it stays at what `comparisons` says."""
        count = len(self.records.ids)
        if not self._many:
            self.notes.append(f"{count} records are too few to learn from; agreement counts as measured elsewhere")
            self._set_prior(min(0.1, 1 / (count - 1)))
            return
        with _quiet():
            working("how many pairs match at all")
            self._learn_prior()
            working("what agreement is worth among strangers")
            self._linker.training.estimate_u_using_random_sampling(max_pairs=_RANDOM_PAIRS, seed=self._seed + 1)
            for rule in self._usable(_TRAINING):
                working(f"what agreement is worth among records of one person, by {' and '.join(rule)}")
                self._learn_m(rule)
            self._leave_room_for_error()

    def candidates(self, least_probability: float) -> Pairs:
        """All blocked pairs at or above a probability."""
        block(self._connection, "people", "candidate_numbers", self.records.roles)
        return self._score("candidate_numbers", least_probability)

    def within(self, groups: Sequence[Sequence[int]]) -> Pairs:
        """All pairs inside each group of row numbers, whatever their weight."""
        import pyarrow as pa

        number = np.fromiter((member for group in groups for member in group), np.int64)
        of = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        self._connection.register("grouped", pa.table({"number": number, "of": of}))
        self._connection.execute(
            "CREATE OR REPLACE TABLE group_numbers AS SELECT l.number AS left_number, r.number AS right_number "
            "FROM grouped l JOIN grouped r USING (of) WHERE l.number < r.number ORDER BY 1, 2"
        )
        self._connection.unregister("grouped")
        return self._score("group_numbers", None)

    def evidence(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[Said, ...]]:
        """What each field says about each pair of row numbers; a field that one of them lacks says nothing."""
        import pyarrow as pa

        if not pairs:
            return []
        left, right = (
            np.array(side, np.int64) for side in zip(*((min(pair), max(pair)) for pair in pairs), strict=True)
        )
        self._connection.register("asked", pa.table({"left_number": left, "right_number": right}))
        self._connection.execute("CREATE OR REPLACE TABLE asked_numbers AS SELECT DISTINCT * FROM asked")
        self._connection.unregister("asked")
        found: dict[tuple[int, int], tuple[Said, ...]] = {}
        for row in self._predicted("asked_numbers", None, lambda name: f"SELECT * FROM {name}").to_pylist():  # noqa: S608
            found[row["number_l"], row["number_r"]] = tuple(self._said(row))
        return [found[min(pair), max(pair)] for pair in pairs]

    def worths(self) -> list[LevelWorth]:
        """What the model holds each level to be worth."""
        learned = {comparison.output_column_name: comparison for comparison in self._linker._settings_obj.comparisons}  # noqa: SLF001
        return [
            LevelWorth(field.name, level.words, float(found.m_probability or 0), float(found.u_probability or 0))
            for field in self.fields
            for level, found in zip(
                field.levels,
                [each for each in learned[field.name].comparison_levels if not each.is_null_level],
                strict=True,
            )
        ]

    def _opened(self) -> tuple[Linker, Any]:
        from splink import DuckDBAPI, Linker, SettingsCreator

        database = DuckDBAPI(self._connection)
        settings = SettingsCreator(
            link_type="dedupe_only",
            unique_id_column_name="number",
            comparisons=[as_splink(field, rarity=self._many) for field in self.fields],
            blocking_rules_to_generate_predictions=[],
            retain_matching_columns=True,  # or the levels (`gamma_`) are dropped, which evidence is read from
            retain_intermediate_calculation_columns=True,
            linker_uid="edgewise",
        )
        return Linker(database.register("people"), settings, log_level=None), database

    def _learn_prior(self) -> None:
        from splink import block_on

        rules: list[Any] = [block_on(*rule) for rule in self._certain_rules()]
        count = len(self.records.ids)
        least = 1 / (count * (count - 1) / 2)
        if rules:
            with contextlib.suppress(ValueError):  # more certain pairs than the recall allows: all are one person
                self._linker.training.estimate_probability_two_random_records_match(rules, recall=_RECALL_OF_RULES)
        if not rules or self._prior() <= least:
            self.notes.append("no two records are surely one person; one twin for each record is assumed")
            self._set_prior(1 / count)

    def _certain_rules(self) -> list[tuple[str, ...]]:
        few = len(self.records.ids) <= _FEW
        return [rule for rule in self._usable(_CERTAIN) if few or rule != ("first_name", "birth_date")]

    def _learn_m(self, rule: tuple[str, ...]) -> None:
        from splink import block_on
        from splink.internals.exceptions import EMTrainingException

        try:
            self._linker.training.estimate_parameters_using_expectation_maximisation(
                block_on(*rule), max_pairs=_TRAINING_PAIRS
            )
        except EMTrainingException:
            self.notes.append(f"no pairs with the same {' and '.join(rule)} to learn from")

    def _leave_room_for_error(self) -> None:
        """No field is beyond mistakes: a chance of 0 among the pairs at hand would outvote all the others."""
        for comparison in self._linker._settings_obj.comparisons:  # noqa: SLF001
            for level in comparison.comparison_levels:
                if level.is_null_level or (level.u_probability or 0.0) < LEAST_CHANCE:
                    continue  # rare among strangers, so not a difference
                if (level.m_probability or 0.0) < LEAST_CHANCE:
                    level.m_probability = LEAST_CHANCE

    def _usable(self, rules: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
        return [rule for rule in rules if all(says(column, self.records.roles) for column in rule)]

    def _prior(self) -> float:
        return float(self._linker._settings_obj._probability_two_random_records_match)  # noqa: SLF001

    def _set_prior(self, probability: float) -> None:
        # Splink offers no other way to state it after the linker is made, and before it the count is not known
        self._linker._settings_obj._probability_two_random_records_match = probability  # noqa: SLF001

    def _score(self, numbers: str, least_probability: float | None) -> Pairs:
        found = self._predicted(
            numbers,
            least_probability,
            lambda name: f"SELECT number_l, number_r, match_weight FROM {name} ORDER BY 1, 2",  # noqa: S608
        )
        left, right, weight = (found.column(name).to_numpy() for name in ("number_l", "number_r", "match_weight"))
        return Pairs(left.astype(np.int64), right.astype(np.int64), weight.astype(np.float64))

    def _predicted(self, numbers: str, least_probability: float | None, select: Callable[[str], str]) -> Any:
        self._connection.execute(
            f"CREATE OR REPLACE TABLE {numbers}_blocked AS SELECT '0' AS match_key, "  # noqa: S608
            f"left_number AS join_key_l, right_number AS join_key_r FROM {numbers}"
        )
        with _quiet():
            self._linker.table_management.register_blocked_pairs_for_predict(
                self._database.register(f"{numbers}_blocked")
            )
            scored = self._linker.inference.predict(threshold_match_probability=least_probability, warning_mode="never")
        found = self._connection.sql(select(scored.physical_name)).to_arrow_table()
        scored.drop_table_from_database_and_remove_from_cache()
        return found

    def _said(self, row: dict[str, Any]) -> Iterator[Said]:
        for field in self.fields:
            level = row[f"gamma_{field.name}"]
            if level >= 0:  # Splink numbers levels from the weakest, 0, up; -1 is silence
                weight = row[f"mw_{field.name}"] + (row.get(f"mw_tf_adj_{field.name}") or 0.0)
                yield Said(field.name, field.levels[len(field.levels) - 1 - level].words, float(weight))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Splink speaks through warnings and its log; what a person must know is in `notes`."""
    spoken = logging.getLogger("splink")
    before = spoken.level
    spoken.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        spoken.setLevel(before)
