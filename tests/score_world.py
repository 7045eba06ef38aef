"""What tests and benches of visitor scores share: records that everybody granted, and a site around some columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from edgewise.consent import Grants
from edgewise.ids import MessageId, Producer, SubjectId
from edgewise.records import EventRecord
from hub.site.loading import SiteContents, load_site

HISTORY: Final = Producer("import/history")
GRANTED: Final = Grants(personalisation=True, analytics=True)


def granted_event(who: str, time_ms: int, call: str, name: str = "", **said: Any) -> EventRecord:
    """One call of an imported history; whoever joins several numbers them."""
    return EventRecord(
        producer=HISTORY,
        seq=0,
        subject=SubjectId(who),
        message_id=MessageId(f"{who}-{time_ms}-{name}"),
        type=call,
        name=name,
        time_ms=time_ms,
        received_ms=time_ms,
        grants=GRANTED,
        **said,
    )


def numbered(records: Sequence[EventRecord]) -> list[EventRecord]:
    """In the order of time, as an import stores them."""
    ordered = sorted(records, key=lambda record: record.time_ms)
    return [
        msgspec.structs.replace(record, seq=number, message_id=MessageId(f"m{number}"))
        for number, record in enumerate(ordered)
    ]


def features_of(
    values: Mapping[str, Sequence[str]], *, half_life_days: float, recent: Sequence[int] = ()
) -> list[dict[str, Any]]:
    """A decayed share of each value of each dimension, and its share of the last so many items."""
    columns: list[dict[str, Any]] = []
    for dimension, known in values.items():
        for number, value in enumerate(known):
            named: dict[str, Any] = {"dimension": dimension, "value": value}
            columns.append(
                {"name": f"{dimension}_{number}", "type": "value_share", "half_life_days": half_life_days, **named}
            )
            columns += [
                {"name": f"{dimension}_{number}_of_{last}", "type": "recent_share", "last": last, **named}
                for last in recent
            ]
    return columns


def site_of(
    folder: Path,
    features: Sequence[Mapping[str, Any]],
    items: Mapping[str, Mapping[str, Any]],
    scores: Mapping[str, Mapping[str, Any]] | None = None,
) -> SiteContents:
    """A site of these columns and items (id -> attributes), and how its scores are trained."""
    for kind in ("features", "models", "items"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / "site.yaml").write_text("name: invented-shop\n")
    (folder / "features" / "visitors.yaml").write_text(yaml.safe_dump(list(map(dict, features))))
    for name, score in (scores or {}).items():
        (folder / "models" / f"{name}.yaml").write_text(yaml.safe_dump({"score": dict(score)}))
    encode = msgspec.json.Encoder().encode
    with (folder / "items" / "all.jsonl").open("wb") as lines:
        for item, attributes in items.items():
            lines.write(encode({"id": item, "content": {"title": item}, "attributes": attributes}) + b"\n")
    return load_site(folder)
