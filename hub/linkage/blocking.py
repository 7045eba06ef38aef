"""Which pairs are looked at: those that share something, since all pairs of 50,000 people are a billion.

A rule is a set of columns that both must have alike. Within a rule rare values come first, until its budget of
pairs is spent: to share the name Ystwyth or an e-mail is a reason to look closer, to share London is none, and a
junk value that thousands have ("000-000") spends nothing. Whoever shares only frequent things, shares two of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from hub.linkage.roles import Role

if TYPE_CHECKING:
    import duckdb

PAIRS_A_RECORD: Final = 20
"""Budget of one rule; a record shares few values with more than some dozens of true twins."""
_LEAST_PAIRS: Final = 5_000
RULES: Final[tuple[tuple[str, ...], ...]] = (
    ("email",),
    ("phone",),
    ("full_name",),
    ("first_name",),
    ("last_name",),
    ("birth_date",),
    ("postcode",),
    ("email_user",),
    ("both_names",),
    ("last_name", "birth_date"),
    ("first_name", "birth_date"),
    ("first_name", "postcode"),
    ("last_name", "postcode"),
    ("birth_date", "postcode"),
    ("birth_date", "place"),
    ("last_name", "birth_year"),
    ("last_name", "place"),
    ("first_name", "birth_year", "place"),
    ("first_name", "place", "occupation"),
    ("postcode", "place"),
)
_SOURCES: Final[dict[str, tuple[Role, ...]]] = {
    "both_names": (Role.FULL_NAME, Role.FIRST_NAME, Role.LAST_NAME),
    "full_name": (Role.FULL_NAME,),
    "first_name": (Role.FULL_NAME, Role.FIRST_NAME),
    "last_name": (Role.FULL_NAME, Role.LAST_NAME),
    "email_user": (Role.EMAIL,),
    "birth_year": (Role.BIRTH_DATE,),
}


def rules_for(roles: Collection[Role]) -> list[tuple[str, ...]]:
    """The rules whose columns say something."""
    return [rule for rule in RULES if all(says(column, roles) for column in rule)]


def says(column: str, roles: Collection[Role]) -> bool:
    """Whether a prepared column has values when only these roles do."""
    sources = _SOURCES.get(column)
    return any(role in roles for role in sources) if sources else column in {role.value for role in roles}


def block(connection: duckdb.DuckDBPyConnection, people: str, into: str, roles: Collection[Role]) -> int:
    """Write the pairs to look at into a new table (`left_number` < `right_number`); returns how many there are."""
    records = connection.execute(f"SELECT count(*) FROM {people}").fetchall()[0][0]  # noqa: S608  # our own names
    budget = max(_LEAST_PAIRS, PAIRS_A_RECORD * records)
    parts = []
    for rule in rules_for(roles):
        key = " || chr(31) || ".join(rule)
        largest = _largest_block(connection, people, key, budget)
        if largest:
            parts.append(
                f"SELECT l.number AS left_number, r.number AS right_number "  # noqa: S608
                f"FROM (SELECT number, {key} AS key FROM {people}) l "
                f"JOIN (SELECT {key} AS key FROM {people} GROUP BY 1 HAVING count(*) BETWEEN 2 AND {largest}) "
                "USING (key) "
                f"JOIN (SELECT number, {key} AS key FROM {people}) r USING (key) WHERE l.number < r.number"
            )
    nothing = "SELECT 0::BIGINT AS left_number, 0::BIGINT AS right_number WHERE false"
    connection.execute(f"CREATE OR REPLACE TABLE {into} AS {' UNION '.join([nothing, *parts])} ORDER BY 1, 2")
    return int(connection.execute(f"SELECT count(*) FROM {into}").fetchall()[0][0])  # noqa: S608


def _largest_block(connection: duckdb.DuckDBPyConnection, people: str, key: str, budget: int) -> int:
    """How many records may share a value before the pairs of all values up to that frequency exceed the budget."""
    found = connection.execute(
        "SELECT coalesce(max(size), 0) FROM ("  # noqa: S608
        "  SELECT size, sum(count(*) * size * (size - 1) / 2) OVER (ORDER BY size) AS pairs FROM ("
        f"    SELECT count(*) AS size FROM {people} WHERE {key} IS NOT NULL GROUP BY {key} HAVING count(*) > 1"
        "  ) GROUP BY size"
        ") WHERE pairs <= ?",
        [budget],
    ).fetchall()
    return int(found[0][0])
