"""What a column says about a person, recognised by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from edgewise.errors import InputError


class Role(StrEnum):
    """What a column says about a person."""

    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    FULL_NAME = "full_name"
    BIRTH_DATE = "birth_date"
    EMAIL = "email"
    PHONE = "phone"
    POSTCODE = "postcode"
    PLACE = "place"
    GENDER = "gender"
    OCCUPATION = "occupation"

    @property
    def words(self) -> str:
        """As it stands in a sentence."""
        return self.value.replace("_", " ")


_NAMES: Final[dict[Role, tuple[str, ...]]] = {
    Role.FIRST_NAME: ("firstname", "givenname", "forename", "fname", "vorname", "prenom", "givennames"),
    Role.LAST_NAME: ("lastname", "surname", "familyname", "lname", "nachname", "nom", "secondname"),
    Role.FULL_NAME: ("fullname", "name", "customername", "contactname", "personname", "displayname"),
    Role.BIRTH_DATE: ("dob", "dateofbirth", "birthdate", "birthday", "born", "geburtsdatum"),
    Role.EMAIL: ("email", "emailaddress", "mail", "emailid"),
    Role.PHONE: ("phone", "phonenumber", "telephone", "tel", "mobile", "mobilephone", "cell", "mobilenumber"),
    Role.POSTCODE: ("postcode", "postalcode", "zip", "zipcode", "postcodefake", "plz", "mailingpostalcode"),
    Role.PLACE: ("city", "town", "birthplace", "place", "placeofbirth", "mailingcity", "ort", "location"),
    Role.GENDER: ("gender", "sex"),
    Role.OCCUPATION: ("occupation", "job", "jobtitle", "profession"),
}
"""Names of columns without case and punctuation; of several in one file the one that stands first here wins."""
_ROLE_OF: Final = {name: (role, rank) for role, names in _NAMES.items() for rank, name in enumerate(names)}


def recognised(columns: Iterable[str], given: Mapping[str, Role] | None = None) -> dict[Role, str]:
    """The column for each role: those in `given`, the others by their names; roles without a column are absent.

    A column that `given` names plays no second role. Raises InputError when `given` names a column that is not
    there, or a role twice.
    """
    there = list(columns)
    given = given or {}
    found: dict[Role, str] = {}
    for column, role in given.items():
        if column not in there:
            raise InputError(f"--role {column}={role}: no column {column!r}; there are: {', '.join(there)}")
        if role in found:
            raise InputError(f"--role {column}={role}: column {found[role]!r} is the {role} already")
        found[role] = column
    best: dict[Role, tuple[int, str]] = {}
    for column in there:
        known = _ROLE_OF.get(re.sub(r"[^a-z0-9]", "", column.casefold()))
        if known is None or column in given or known[0] in found:
            continue
        role, rank = known
        if role not in best or rank < best[role][0]:
            best[role] = (rank, column)
    return {**found, **{role: column for role, (_, column) in best.items()}}


def role_settings(settings: Iterable[str]) -> dict[str, Role]:
    """`COLUMN=ROLE` of the command line. Raises InputError for anything else."""
    found: dict[str, Role] = {}
    for setting in settings:
        column, equals, role = setting.rpartition("=")
        if not equals or not column or role not in set(Role):
            raise InputError(f"{setting!r}, expected COLUMN=ROLE with ROLE one of {', '.join(Role)}")
        found[column] = Role(role)
    return found
