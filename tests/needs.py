"""What a test needs and this machine lacks: skipped in one line, but never under CI."""

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Skip the test and say why; under CI fail it, so that nothing goes untested unnoticed."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
