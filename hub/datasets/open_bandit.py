"""The small sample of the Open Bandit Dataset, read from the source archive of obp 0.5.7, never installed.

Saito, Aihara, Matsutani, Narita 2021, NeurIPS Datasets and Benchmarks, arXiv 2008.07146. Real decisions of a
fashion shop with their propensities: 10,000 under each of two logging policies in each of three campaigns.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError, RefusedError, UnavailableError
from hub.datasets.download import Download, PinnedFile, fetch, write_beside_and_rename

SDIST: Final = PinnedFile(
    package="obp",
    version="0.5.7",
    file_name="obp-0.5.7.tar.gz",
    sha256="3060d67fedfcfadf1e7a6f2608987f74412b5eb74d2c567edeb147595c68f2a0",
    size_bytes=1_306_068,
    # It refuses newer Pythons, but only its data is wanted.
    pip_options=("--python-version", "3.10"),
)
LoggingPolicy = Literal["random", "bts"]
"""Uniformly random, or Bernoulli Thompson sampling."""
Campaign = Literal["all", "men", "women"]
"""80, 34 and 46 arms."""


def load(
    cache: Path,
    policy: LoggingPolicy = "random",
    campaign: Campaign = "all",
    *,
    download: Download | None = None,
) -> Path:
    """The CSV of one log in the cache: 10,000 decisions, one row each.

    Columns: an unnamed row number, `timestamp` (UTC), `item_id` (the arm shown), `position` (1 left,
    2 centre, 3 right), `click` (0 or 1), `propensity_score` (of the arm at its position under the logging
    policy), `user_feature_0..3` (hashes) and `user-item_affinity_K` (clicks of this visitor on arm K before).

    Raises:
        InputError: no such policy or campaign.
        UnavailableError: neither cached nor downloadable.
        RefusedError: the archive is not the pinned one.
    """
    return _extracted(cache, _folder(policy, campaign) + f"{campaign}.csv", download)


def item_context(
    cache: Path,
    policy: LoggingPolicy = "random",
    campaign: Campaign = "all",
    *,
    download: Download | None = None,
) -> Path:
    """The CSV of the arms: `item_id`, `item_feature_0` (number), `item_feature_1..3` (hashes).

    Raises as `load`.
    """
    return _extracted(cache, _folder(policy, campaign) + "item_context.csv", download)


def bts_prior(
    cache: Path, campaign: Campaign = "all", *, download: Download | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The Beta parameters (alpha, beta) per arm that the shop's Thompson sampling started from.

    Raises as `load`.
    """
    import yaml

    _one_of("campaign", campaign, get_args(Campaign))
    path = _extracted(cache, "obp/policy/conf/prior_bts.yaml", download)
    prior = yaml.safe_load(path.read_text(encoding="utf-8"))[campaign]
    return np.array(prior["alpha"], dtype=np.float64), np.array(prior["beta"], dtype=np.float64)


def _folder(policy: str, campaign: str) -> str:
    _one_of("policy", policy, get_args(LoggingPolicy))
    _one_of("campaign", campaign, get_args(Campaign))
    return f"obp/dataset/obd/{policy}/{campaign}/"


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"the Open Bandit sample has no {what} {value!r}; there are {', '.join(known)}")


def _extracted(cache: Path, member: str, download: Download | None) -> Path:
    root = f"{SDIST.package}-{SDIST.version}"
    place = cache / root / member.removeprefix("obp/dataset/").removeprefix("obp/policy/conf/")
    if place.is_file():
        return place
    archive = fetch(SDIST, cache, download=download)
    with tarfile.open(archive) as members:
        try:
            file = members.extractfile(f"{root}/{member}")
        except KeyError:
            file = None
        if file is None:
            raise RefusedError("wrong_file", f"{SDIST.file_name} has no {root}/{member}")
        with file:
            content = file.read()
    try:
        return write_beside_and_rename(place, content)
    except OSError as problem:
        raise UnavailableError(f"cannot keep {place.name} in {cache}: {problem}") from problem
