"""A bench as a process: one that does not end in time, or refuses, is told in words and never as a bug of ours."""

from __future__ import annotations

import pytest

from edgewise.errors import UnavailableError
from hub.prove.load import Load

pytestmark = pytest.mark.process


def test_a_load_that_does_not_end_in_time_is_unavailable() -> None:
    load = Load("http://127.0.0.1:9", "--rate", "1", "--duration", "60", "--write-key", "key")
    try:
        with pytest.raises(UnavailableError, match="did not end within 0 s"):
            load.output(0.0)
        assert load.is_running
    finally:
        load.end()
    assert not load.is_running


def test_a_load_that_refuses_says_why() -> None:
    load = Load("ftp://127.0.0.1", "--rate", "1", "--duration", "1", "--write-key", "key")
    try:
        with pytest.raises(UnavailableError, match=r"the bench failed: .*ftp"):
            load.result(60.0)
    finally:
        load.end()
