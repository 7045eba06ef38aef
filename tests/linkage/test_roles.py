"""Columns are recognised by their names, or by what a person says of them."""

import pytest

from edgewise.errors import InputError
from hub.linkage.roles import Role, recognised, role_settings


def test_columns_of_a_crm_are_recognised() -> None:
    columns = ["Contact Id", "First Name", "LAST_NAME", "E-Mail", "Date of birth", "Mobile Phone", "Zip", "City", "Job"]
    assert recognised(columns) == {
        Role.FIRST_NAME: "First Name",
        Role.LAST_NAME: "LAST_NAME",
        Role.EMAIL: "E-Mail",
        Role.BIRTH_DATE: "Date of birth",
        Role.PHONE: "Mobile Phone",
        Role.POSTCODE: "Zip",
        Role.PLACE: "City",
        Role.OCCUPATION: "Job",
    }


def test_of_two_columns_the_better_name_wins_whatever_the_order() -> None:
    assert recognised(["birth_place", "city"]) == recognised(["city", "birth_place"]) == {Role.PLACE: "city"}


def test_what_a_person_says_beats_the_name() -> None:
    given = {"name": Role.LAST_NAME, "c7": Role.EMAIL}
    assert recognised(["name", "email", "c7"], given) == {Role.LAST_NAME: "name", Role.EMAIL: "c7"}


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no column 'mail'; there are: name"):
        recognised(["name"], {"mail": Role.EMAIL})


def test_two_columns_for_one_role_are_refused() -> None:
    with pytest.raises(InputError, match="'a' is the email already"):
        recognised(["a", "b"], {"a": Role.EMAIL, "b": Role.EMAIL})


def test_settings_are_column_and_role() -> None:
    assert role_settings(["a=b=email"]) == {"a=b": Role.EMAIL}
    for wrong in ("email", "=email", "a=mail"):
        with pytest.raises(InputError, match="expected COLUMN=ROLE"):
            role_settings([wrong])
