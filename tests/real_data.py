"""Public data for tests that compare with published figures; what cannot be had is said, and fails under CI."""

import os
from functools import cache
from pathlib import Path

import pytest
from needs import lacking

from edgewise.errors import UnavailableError
from hub.datasets import movielens, open_bandit
from hub.datasets.download import default_cache
from hub.datasets.films import FilmHistory


def movielens_100k() -> FilmHistory:
    found = _movielens()
    if isinstance(found, UnavailableError):
        lacking(f"needs MovieLens 100k: {found}")
    return found


def open_bandit_log(policy: open_bandit.LoggingPolicy, campaign: open_bandit.Campaign) -> Path:
    absent = _open_bandit()
    if absent is not None:
        lacking(f"needs the Open Bandit sample: {absent}")
    return open_bandit.load(default_cache(os.environ), policy, campaign)


# A failure is remembered, too: without a network one attempt is enough for all tests.


@cache
def _movielens() -> FilmHistory | UnavailableError:
    try:
        return movielens.load(default_cache(os.environ))
    except UnavailableError as absent:
        return absent


@cache
def _open_bandit() -> UnavailableError | None:
    try:
        open_bandit.load(default_cache(os.environ))
    except UnavailableError as absent:
        return absent
    return None


def shared_file(name: str) -> Path:
    """A file of the folder of public data, `$EDGEWISE_DATA` or ../shared/data beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    found = Path(os.environ.get("EDGEWISE_DATA", beside)) / name
    if not found.is_file():
        pytest.skip(f"needs {name} in $EDGEWISE_DATA or {beside}")
    return found
