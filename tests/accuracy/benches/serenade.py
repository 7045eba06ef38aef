"""Serenade's toy sessions: session nearest neighbours against the figures of their authors, offline and over HTTP.

The bundle that the node serves is built by the hub's code from the same clicks, and the node knows a visitor's past by
his own events only: what is compared is what ships.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from processes import ask, edgewise

from accuracy.claim import Claim
from accuracy.ground import Ground
from edgewise.bundle.catalogue import Catalogue, Item, content_sha256
from edgewise.bundle.policy import Arm, ByAttribute, ByRetrieval, BySessions, Everything, Placement, Policy, Site
from edgewise.bundle.sessions import Walk, decode_sessions
from edgewise.clock import SystemClock
from edgewise.consent import Consent, ConsentState
from edgewise.features.table import FeatureTable
from edgewise.ids import ArmName, BundleVersion, CollectionName, ItemId, ModelName, PlacementName, SiteName
from edgewise.sessions import SessionIndex
from hub.artefacts import Artefacts
from hub.evaluation.bootstrap import percentile_interval, resampled_sums
from hub.recommend.session_knn import Clicks, learn
from hub.release.bundle import build_bundle
from hub.release.candidates import write_bundle
from hub.site.files import ModelUse
from hub.site.loading import SiteContents

K: Final = 20
WALK: Final = Walk(most_recent=500, neighbours=50, last=2, pause_minutes=525_600)
"""The setting of the published figures. Sessions are given, so that no pause ends one."""
TUNED: Final = Walk(most_recent=1_502, neighbours=288, last=4, pause_minutes=525_600)
SOURCE: Final = "bolcom/serenade README, example.toml"
NEXT: Final = PlacementName("next")
SESSIONS: Final = ModelName("sessions")
PATIENCE_MS: Final = 10_000.0
"""For each answer, however many others use the machine."""
STEP_MS: Final = 1_000
"""Between two clicks over HTTP, as the events state it."""
PROTOCOL: Final = (
    "train.txt learned, 931 evaluations on test.txt: each session by time, after each click but the last one 20 items, "
    "judged by the very next item; m 500, k 50, last 2 items, sessions above the 99.5th length percentile left out; "
    "equal scores: the item that was clicked most recently in train first; intervals by bootstrap over sessions"
)

Listed = Callable[[Sequence[ItemId]], list[ItemId]]
"""From the clicks of a session so far, oldest first, to the 20 items that come next."""


class Clicked(NamedTuple):
    """One line of a file."""

    session: str
    item: ItemId
    time_s: float


class Measured(NamedTuple):
    """Hits of all evaluations."""

    sums: np.ndarray[Any, np.dtype[np.float64]]
    """(sessions, 3): evaluations, hits, reciprocal ranks."""

    def claim(self, what: str, column: int, **bounds: Any) -> Claim:
        """The mean of a column with its interval."""
        total = self.sums.sum(axis=0)
        drawn = resampled_sums(self.sums, 2_000, np.random.default_rng(0))
        low, high = percentile_interval(drawn[:, column] / drawn[:, 0])
        known = {"protocol": PROTOCOL, **bounds}
        return Claim(what=what, value=float(total[column] / total[0]), low=low, high=high, **known)


def measure(ground: Ground) -> list[Claim]:
    """Every claim."""
    train = read(ground.shared("serenade_toy/train.txt.gz"))
    test = sessions(read(ground.shared("serenade_toy/test.txt.gz")))
    learned = learner(train)
    data = learned(WALK, 1)
    index = SessionIndex(decode_sessions(data))
    offline = judged(test, recommending(index))
    by_id = judged(test, recommending(index, numerically=True))
    tuned = judged(test, recommending(SessionIndex(decode_sessions(learned(TUNED, 1)))))
    tie = PROTOCOL.replace("the item that was clicked most recently in train first", "lower item id first")
    return [
        offline.claim("hit rate@20 of session kNN", 1, at_least=0.6402, source=SOURCE),
        offline.claim("MRR@20 of session kNN", 2, at_least=0.3277, source=SOURCE),
        by_id.claim("hit rate@20, ties by lower id", 1, equals=0.6402, within=0.0005, source=SOURCE, protocol=tie),
        by_id.claim("MRR@20, ties by lower id", 2, equals=0.3277, within=0.001, source=SOURCE, protocol=tie),
        tuned.claim("hit rate@20, m 1502, k 288, last 4", 1, source=SOURCE),
        tuned.claim("MRR@20, m 1502, k 288, last 4", 2, source=f"{SOURCE}: .3401"),
        *(
            judged(test, recommending(SessionIndex(decode_sessions(learned(WALK, fewest))))).claim(
                f"hit rate@20, items of fewer than {fewest} sessions left out",
                1,
                reason="what leaving out rare items costs; sessions stand for visitors, who are not known here",
            )
            for fewest in (2, 5)
        ),
        *over_http(ground, train, test, data, index),
    ]


def over_http(
    ground: Ground,
    train: Sequence[Clicked],
    test: dict[str, list[ItemId]],
    data: bytes,
    index: SessionIndex,
) -> Iterator[Claim]:
    """The same from a node of its own process, by its events and answers alone."""
    built = build_bundle(
        shop(train),
        {SESSIONS: Artefacts(sessions=data)},
        version=BundleVersion(1),
        parent=None,
        created_ms=SystemClock().now_ms(),
    )
    folder = ground.folder / "bundle"
    write_bundle(folder, built)
    # On a machine that others use as well, a node would leave out what takes time, which is not what is measured here.
    patient = ground.folder / "patient.toml"
    patient.write_text(f"queue_delay_target_ms = {PATIENCE_MS}\nqueue_delay_most_ms = {PATIENCE_MS}\n", "utf-8")
    words = ("edge", "serve", "--port", "0", "--workers", "1", "--bundle", str(folder), "--config", str(patient))
    with edgewise(*words, "--data-dir", str(ground.folder / "node"), log=ground.folder / "log") as node:
        answers = Answers(node.said["url"], SystemClock().now_ms() - 3_600_000)
        served = judged(test, answers.ask)
    twin = recommending(index)
    equal = [listed[: len(expected)] == expected for clicks, listed in answers.given for expected in [twin(clicks)]]
    http = f"{PROTOCOL}; each click an event in the call that asks, a visitor a session; items of one's past count once"
    yield served.claim("hit rate@20 over HTTP", 1, at_least=0.6402, source=SOURCE, protocol=http)
    yield served.claim("MRR@20 over HTTP", 2, at_least=0.3277, source=SOURCE, protocol=http)
    yield Claim(
        what="answers over HTTP that equal the offline list",
        value=float(np.mean(equal)),
        equals=1.0,
        source="a node decides as it was judged",
        protocol=f"{http}; both lists to the end of the offline one, offline with each item once at its latest click",
    )
    what = "`tookMs` of all answers over HTTP: profile, retrieval among 18,009 items, 20 of them"
    yield _took("p90 of the node's time per answer, ms", answers.again_ms, what, at_most=1.0)
    yield _took("the same with the click stored first, ms", answers.took_ms, f"{what}; the call brings the click")


def _took(what: str, took_ms: Sequence[float], protocol: str, at_most: float | None = None) -> Claim:
    shares = {f"p{part}": float(np.percentile(took_ms, part)) for part in (50, 90, 95, 99)}
    return Claim(what=what, value=shares["p90"], protocol=protocol, detail=shares, at_most=at_most)


class Answers:
    """A node that is asked for what comes next."""

    def __init__(self, url: str, began_ms: int) -> None:
        self._url = f"{url}/v1/decide"
        self._began_ms = began_ms
        self._visitors = 0
        self.took_ms: list[float] = []
        self.again_ms: list[float] = []
        """Of the same question once more, without the click that the node knows by now."""
        self.given: list[tuple[list[ItemId], list[ItemId]]] = []
        """The visit, each item once at its latest click, and the answer."""

    def ask(self, clicks: Sequence[ItemId]) -> list[ItemId]:
        """Tell the node the latest of the clicks; a first click is that of somebody new."""
        self._visitors += len(clicks) == 1
        number = len(clicks)
        event = {
            "type": "track",
            "event": "Product Viewed",
            "messageId": f"m-{self._visitors}-{number}",
            "timestamp": dt.datetime.fromtimestamp((self._began_ms + number * STEP_MS) / 1_000, dt.UTC).isoformat(),
            "properties": {"product_id": clicks[-1]},
        }
        listed = self._answer([event], self.took_ms)
        if listed != self._answer([], self.again_ms):
            raise AssertionError(f"a second answer to visitor-{self._visitors} differs from the first")
        distinct = list(dict.fromkeys(reversed(clicks)))[::-1]
        self.given.append((distinct, listed))
        return listed

    def _answer(self, events: list[dict[str, Any]], took_ms: list[float]) -> list[ItemId]:
        question = {
            "anonymousId": f"visitor-{self._visitors}",
            "placements": [{"name": NEXT}],
            "events": events,
            "options": {"deadlineMs": PATIENCE_MS},
        }
        answer = ask(self._url, question)
        reason = answer["placements"][NEXT]["reason"]
        if reason != "RULE":
            raise AssertionError(f"an answer to visitor-{self._visitors} is {reason}, expected RULE")
        took_ms.append(float(answer["tookMs"]))
        return [ItemId(item["id"]) for item in answer["placements"][NEXT]["items"]]


def shop(train: Sequence[Clicked]) -> SiteContents:
    """A site with all items, of which nothing is known but how often they were clicked."""
    clicks: dict[ItemId, int] = {}
    for clicked in train:
        clicks[clicked.item] = clicks.get(clicked.item, 0) + 1
    content = {"title": "an item"}
    approved = content_sha256(content)
    items = [
        Item(item, content, {"popularity": float(count)}, approved_sha256=approved, approved_by="the bench")
        for item, count in sorted(clicks.items(), key=lambda entry: int(entry[0]))
    ]
    popular = ArmName("popular")
    placement = Placement(
        collection=CollectionName("all"),
        arms={
            ArmName("sessions"): Arm(ByRetrieval(), retrieval=BySessions("popularity", limit=K)),
            popular: Arm(ByAttribute("popularity"), retrieval=Everything()),
        },
        arm=ArmName("sessions"),
        opted_out_arm=popular,
        fallback=[items[0].id],
        count=K,
    )
    granted = Consent(*[ConsentState.GRANTED] * 3)
    return SiteContents(
        policy=Policy(
            site=Site(SiteName("serenade"), "salt", default_consent=granted),
            placements={NEXT: placement},
            collections={CollectionName("all"): [item.id for item in items]},
        ),
        catalogue=Catalogue(items),
        features=FeatureTable([]),
        models={SESSIONS: ModelUse(SESSIONS, "champion")},
    )


def read(path: Path) -> list[Clicked]:
    """The rows of a file, by time and then in file order."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    found = [Clicked(row["SessionId"], ItemId(row["ItemId"]), float(row["Time"])) for row in rows]
    return sorted(found, key=lambda clicked: clicked.time_s)


def sessions(clicks: Sequence[Clicked]) -> dict[str, list[ItemId]]:
    """The items of each session, in order of time."""
    found: dict[str, list[ItemId]] = {}
    for clicked in clicks:
        found.setdefault(clicked.session, []).append(clicked.item)
    return found


def learner(train: Sequence[Clicked]) -> Callable[[Walk, int], bytes]:
    """From a walk, and how many sessions an item needs, to the resource."""
    session_code: dict[str, int] = {}
    item_code: dict[ItemId, int] = {}
    visit = np.array([session_code.setdefault(clicked.session, len(session_code)) for clicked in train])
    item = np.array([item_code.setdefault(clicked.item, len(item_code)) for clicked in train])
    items = list(item_code)
    return lambda walk, fewest: learn(items, Clicks(visit, visit, item), walk, fewest_people=fewest)


def recommending(index: SessionIndex, *, numerically: bool = False) -> Listed:
    """The list that an index comes to; `numerically`: equal scores by the number of the item."""
    items = list(index.code_of)
    numbers = np.array([int(item) for item in items])

    def listed(clicks: Sequence[ItemId]) -> list[ItemId]:
        heard = index.hear(clicks[-index.walk.last :][::-1])
        tie = numbers[heard.codes] if numerically else heard.codes
        order = np.lexsort((tie, -heard.scores))[:K]
        return [items[code] for code in heard.codes[order].tolist()]

    return listed


def judged(test: dict[str, list[ItemId]], listed: Listed) -> Measured:
    """Each session of the test, click by click."""
    sums = np.zeros((len(test), 3))
    for row, clicks in enumerate(test.values()):
        for place in range(1, len(clicks)):
            found = listed(clicks[:place])[:K]
            rank = found.index(clicks[place]) + 1 if clicks[place] in found else 0
            sums[row] += (1, rank > 0, 1 / rank if rank else 0)
    return Measured(sums)
