"""The demo's film shop with simulated visitors: a site's folder, and a ledger that knows their past."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from edgewise.consent import Grants
from edgewise.ids import ItemId, MessageId, ModelName, Producer, SubjectId
from edgewise.records import EventRecord, Touch
from hub.datasets import world
from hub.datasets.films import FilmHistory
from hub.demo.shop_site import write_shop
from hub.demo.story import Rated, Story, tell
from hub.ledger.ledger import Ledger
from hub.site.loading import SiteContents, load_site

RANKER = ModelName("film_ranker")
HISTORY = Producer("import/history")
GRANTED = Grants(personalisation=True, analytics=True)
NOW_MS = 1_793_491_200_000
TODAY = dt.date(2026, 11, 1)


def films(*, visitors: int = 120, events: int = 7_000) -> FilmHistory:
    """A small world; its truth is that people have tastes, and films are alike."""
    return world.simulate(3, visitors=visitors, films=200, events=events)


def shop(folder: Path, history: FilmHistory) -> tuple[SiteContents, Story]:
    """The demo's own site for these films, and their story; without what it shows beside films, and all columns."""
    story = tell(history)
    write_shop(folder, history, story, origin="http://127.0.0.1:1", today=TODAY)
    for beside in ("features/reading", "placements/home_banner", "placements/reading", "placements/recommended_reads"):
        (folder / f"{beside}.yaml").unlink()
    model = folder / "models" / "film_ranker.yaml"
    model.write_text(re.sub(r"  features: \[.*?\]\n", "", model.read_text(), flags=re.DOTALL))
    return load_site(folder), story


def review(
    history: FilmHistory, number: int, rated: Rated, *, key: str = "", producer: Producer = HISTORY
) -> EventRecord:
    """A rating as the record that an import or a node makes of it; `key` stands for a site's secret."""
    genres = history.items[rated.item].genres
    return EventRecord(
        producer=producer,
        seq=number,
        subject=SubjectId(f"{key}{rated.visitor}"),
        message_id=MessageId(f"{producer}-{number}"),
        type="track",
        name="Product Reviewed",
        time_ms=rated.time_s * 1_000,
        received_ms=NOW_MS if producer == HISTORY else rated.time_s * 1_000,
        grants=GRANTED,
        touches=(Touch(ItemId(rated.item), rating=rated.rating, dimensions={"category": genres} if genres else {}),),
        body=b"{}",
    )


def remember(ledger: Ledger, history: FilmHistory, past: list[Rated], *, key: str = "") -> None:
    """Import the past."""
    ledger.append(HISTORY, [review(history, number, rated, key=key) for number, rated in enumerate(past)], NOW_MS)
