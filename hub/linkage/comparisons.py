"""What agreement of two people may look like, field by field: levels from strong to none.

A level is a condition in SQL over `COLUMN_l` and `COLUMN_r`, the words for it, and what it is worth where the
records are too few to learn that from: the chance of it among pairs that are one person (`m`) and among pairs
that are not (`u`). Those were measured on 50,578 historical and 1,000 invented people with known truth; they are
also where learning begins. The first level that holds counts.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, NamedTuple

from hub.linkage.roles import Role

if TYPE_CHECKING:
    from splink.internals.comparison_creator import ComparisonCreator


class Level(NamedTuple):
    """One way to agree, or to differ."""

    words: str
    condition: str
    m: float
    u: float
    rare: str | None = None
    """The column whose rarity counts: to share the name Smith says less than to share Ystwyth."""


class Field(NamedTuple):
    """One comparison."""

    name: str
    columns: tuple[str, ...]
    """Both records must have one of these, or the comparison is silent."""
    levels: tuple[Level, ...]


def fields_of(roles: Collection[Role]) -> tuple[Field, ...]:
    """The comparisons for what the records say. At least one role is expected, so at least one comes back."""
    found = []
    if names := [role for role in (Role.FULL_NAME, Role.FIRST_NAME, Role.LAST_NAME) if role in roles]:
        found.append(_name(whole=Role.FULL_NAME in names))
    return (*found, *(field for role, field in _FIELDS.items() if role in roles))


def as_splink(field: Field, *, rarity: bool) -> ComparisonCreator:
    """The same in Splink's words. Without `rarity` a value counts the same however many have it."""
    import splink.comparison_level_library as levels
    import splink.comparison_library as library

    silent = " AND ".join(f"({column}_l IS NULL OR {column}_r IS NULL)" for column in field.columns)
    made: list[levels.CustomLevel] = [levels.CustomLevel(silent, "nothing to compare")]
    made[0].configure(is_null_level=True)
    for level in field.levels:
        made.append(levels.CustomLevel(level.condition, level.words))
        made[-1].configure(m_probability=level.m, u_probability=level.u)
        if rarity and level.rare is not None:
            made[-1].configure(tf_adjustment_column=level.rare, disable_tf_exact_match_detection=True)
    return library.CustomComparison(output_column_name=field.name, comparison_levels=list(made))


def _same(column: str) -> str:
    return f"{column}_l = {column}_r"


def _alike(column: str, least: float) -> str:
    return f"jaro_winkler_similarity({column}_l, {column}_r) >= {least}"


def _edits(column: str, most: int) -> str:
    return f"damerau_levenshtein({column}_l, {column}_r) <= {most}"


def _same_digits(column: str) -> str:
    return f"regexp_replace({column}_l, '[^0-9]', '', 'g') = regexp_replace({column}_r, '[^0-9]', '', 'g')"


def _name(*, whole: bool) -> Field:
    """Names; `whole`: there is a full name beside its parts, with titles and middle names that tell people apart.

    Parts and whole are one comparison, since they say the same thing twice.
    """
    of_whole = (
        Level("the same full name", _same("full_name"), 0.31, 7e-5, "full_name"),
        Level("almost the same full name", _alike("full_name", 0.95), 0.02, 1e-5),
    )
    swapped = "first_name_l = last_name_r AND last_name_l = first_name_r"
    inside = "contains(full_name_l, last_name_r) OR contains(full_name_r, last_name_l)"
    levels = (
        *of_whole[:1][: int(whole)],
        Level("the same first and last name", _same("both_names"), 0.4, 2e-4, "both_names"),
        Level("first and last name swapped", swapped, 0.01, 5e-6),
        Level(
            "almost the same first and last name",
            f"{_alike('first_name', 0.92)} AND {_alike('last_name', 0.92)}",
            0.09,
            4e-5,
        ),
        Level(
            "similar first and last names",
            f"{_alike('first_name', 0.88)} AND {_alike('last_name', 0.88)}",
            0.05,
            4e-5,
        ),
        *of_whole[1:][: int(whole)],
        Level("the same last name", _same("last_name"), 0.15, 1e-3, "last_name"),
        *([Level("one's last name within the other's full name", inside, 0.05, 3e-3)] if whole else []),
        Level("the same first name", _same("first_name"), 0.08, 0.01, "first_name"),
        Level("different names", "ELSE", 0.1, 0.98),
    )
    return Field("name", ("full_name", "first_name", "last_name"), levels)


_FIELDS: Final[dict[Role, Field]] = {
    Role.BIRTH_DATE: Field(
        "birth_date",
        ("birth_date",),
        (
            Level("the same birth date", _same("birth_date"), 0.6, 1.5e-3, "birth_date"),
            Level(
                "a birth date with one slip of the pen",
                f"{_edits('birth_date', 1)} AND birth_date_l NOT LIKE '%-01-01' AND birth_date_r NOT LIKE '%-01-01'",
                0.2,
                9e-4,
            ),
            # where only the year is known a register says 1 January, and 1850 and 1860 are one digit apart
            Level("a birth date with one digit different, 1 January", _edits("birth_date", 1), 0.1, 0.015),
            Level("the same year of birth", _same("birth_year"), 0.03, 0.016),
            Level("birth dates with two digits different", _edits("birth_date", 2), 0.04, 0.065),
            Level("different birth dates", "ELSE", 0.03, 0.9),
        ),
    ),
    Role.EMAIL: Field(
        "email",
        ("email",),
        (
            Level("the same e-mail", _same("email"), 0.6, 1e-3, "email"),
            Level("the same e-mail name at another domain", _same("email_user"), 0.1, 2e-4, "email_user"),
            # anna.lee7 and anna.lee8 are two people of one name; a slip in the digits is rarer than they are
            Level("an e-mail with a slip of the pen", f"{_edits('email', 4)} AND {_same_digits('email')}", 0.1, 1e-4),
            Level("different e-mails", "ELSE", 0.15, 0.998),
        ),
    ),
    Role.PHONE: Field(
        "phone",
        ("phone",),
        (
            Level("the same phone number", _same("phone"), 0.7, 1e-3, "phone"),
            Level("a phone number with one digit different", _edits("phone", 1), 0.1, 1e-4),
            Level("different phone numbers", "ELSE", 0.2, 0.998),
        ),
    ),
    Role.POSTCODE: Field(
        "postcode",
        ("postcode",),
        (
            Level("the same postcode", _same("postcode"), 0.68, 2e-4, "postcode"),
            Level("a postcode with one character different", _edits("postcode", 1), 0.08, 4e-4),
            Level("the same postal area", _same("postcode_area"), 0.06, 1e-3, "postcode_area"),
            Level("different postcodes", "ELSE", 0.18, 0.998),
        ),
    ),
    Role.PLACE: Field(
        "place",
        ("place",),
        (
            Level("the same place", _same("place"), 0.8, 0.03, "place"),
            Level("almost the same place", _alike("place", 0.92), 0.05, 2e-3),
            Level("different places", "ELSE", 0.15, 0.97),
        ),
    ),
    Role.GENDER: Field(
        "gender",
        ("gender",),
        (
            Level("the same gender", _same("gender"), 0.95, 0.6),
            Level("different genders", "ELSE", 0.05, 0.4),
        ),
    ),
    Role.OCCUPATION: Field(
        "occupation",
        ("occupation",),
        (
            Level("the same occupation", _same("occupation"), 0.88, 0.07, "occupation"),
            Level("different occupations", "ELSE", 0.12, 0.93),
        ),
    ),
}
