"""The Open Bandit sample, counted as its authors and the published quickstart count it."""

import csv
import itertools
import os
from pathlib import Path

import pytest
from real_data import open_bandit_log

from edgewise.errors import InputError, RefusedError
from hub.datasets import open_bandit
from hub.datasets.download import PinnedFile, default_cache

ARMS = {"all": 80, "men": 34, "women": 46}
CLICKS = {
    ("random", "all"): 38,
    ("random", "men"): 46,
    ("random", "women"): 46,
    ("bts", "all"): 42,
    ("bts", "men"): 69,
    ("bts", "women"): 46,
}
POLICIES: tuple[open_bandit.LoggingPolicy, ...] = ("random", "bts")
CAMPAIGNS: tuple[open_bandit.Campaign, ...] = ("all", "men", "women")


@pytest.mark.parametrize(("policy", "campaign"), tuple(itertools.product(POLICIES, CAMPAIGNS)))
def test_clicks_and_arms_are_the_published_ones(
    policy: open_bandit.LoggingPolicy, campaign: open_bandit.Campaign
) -> None:
    with open_bandit_log(policy, campaign).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10_000
    assert sum(int(row["click"]) for row in rows) == CLICKS[policy, campaign]
    assert len(rows[0]) == 10 + ARMS[campaign]
    with open_bandit.item_context(default_cache(os.environ), policy, campaign).open(newline="") as file:
        assert len(list(csv.DictReader(file))) == ARMS[campaign]


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_there_is_one_prior_per_arm(campaign: open_bandit.Campaign) -> None:
    open_bandit_log("random", "all")
    alpha, beta = open_bandit.bts_prior(default_cache(os.environ), campaign)
    assert alpha.shape == beta.shape == (ARMS[campaign],)
    assert (alpha > 0).all()
    assert (beta > 0).all()
    if campaign == "all":
        assert (alpha[0], beta[0]) == (47.0, 12_198.0)


def test_an_unknown_log_is_named_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"policy 'greedy'; there are random, bts"):
        open_bandit.load(tmp_path, "greedy")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"campaign 'kids'; there are all, men, women"):
        open_bandit.load(tmp_path, "bts", "kids")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="campaign 'kids'"):
        open_bandit.bts_prior(tmp_path, "kids")  # type: ignore[arg-type]


def test_another_archive_is_refused(tmp_path: Path) -> None:
    def impostor(wanted: PinnedFile, folder: Path) -> None:
        (folder / wanted.file_name).write_bytes(b"\x1f\x8b")

    with pytest.raises(RefusedError, match="pinned"):
        open_bandit.load(tmp_path, download=impostor)
