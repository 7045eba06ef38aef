"""Public data for tests that compare with published figures. Without cache and network they are skipped."""

import os
from functools import cache
from pathlib import Path

import pytest

from edgewise.errors import UnavailableError
from hub.datasets import movielens, open_bandit
from hub.datasets.download import default_cache
from hub.datasets.films import FilmHistory


@cache
def movielens_100k() -> FilmHistory:
    try:
        return movielens.load(default_cache(os.environ))
    except UnavailableError as absent:
        pytest.skip(f"needs MovieLens 100k: {absent}")


@cache
def open_bandit_log(policy: open_bandit.LoggingPolicy, campaign: open_bandit.Campaign) -> Path:
    try:
        return open_bandit.load(default_cache(os.environ), policy, campaign)
    except UnavailableError as absent:
        pytest.skip(f"needs the Open Bandit sample: {absent}")
