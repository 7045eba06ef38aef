"""Who a row is about: identifiers as the call carries them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from edgewise.identifiers import PHONE, is_blocked, normalised
from hub.sources.document import FieldOrColumn, field_of
from hub.sources.paths import Row
from hub.sources.values import Reader, Readers

OF_THE_CALL: Final = {
    "userId": "userId",
    "anonymousId": "anonymousId",
    "groupId": "groupId",
    "previousId": "previousId",
}
"""Kinds that Segment's envelope has a place for; others travel as `context.externalIds`."""
_TRAITS: Final = ("email", "phone")


class Identifiers:
    """Reads the declared identifiers of a row."""

    def __init__(self, declared: Mapping[str, FieldOrColumn], readers: Readers, region: str | None) -> None:
        self._region = region
        self._readers: list[tuple[str, Reader]] = [
            (kind, readers.reader(field_of(said), "id")) for kind, said in declared.items()
        ]
        names = [field_of(said).column for said in declared.values()]
        self.columns = ", ".join(name if isinstance(name, str) else " or ".join(name or ()) for name in names)
        """For people: where identifiers would stand."""

    def read(self, row: Row) -> dict[str, str]:
        """Kind -> identifier, of those that are there."""
        found = {}
        for kind, read in self._readers:
            value = read(row)
            if value is None:
                continue
            # all other spellings are intake's business; only the source knows whose national numbers these are
            named = normalised(kind, str(value), self._region) if kind == PHONE else str(value)
            if named and not is_blocked(named):
                found[kind] = named
        return found


def into_call(found: Mapping[str, str], call: dict[str, Any], context: dict[str, Any]) -> None:
    """Put identifiers where Segment's calls have them."""
    external = []
    for kind, value in found.items():
        if kind in OF_THE_CALL:
            call[OF_THE_CALL[kind]] = value
        elif kind in _TRAITS:
            context.setdefault("traits", {})[kind] = value
        else:
            external.append({"id": value, "type": kind, "collection": "users", "encoding": "none"})
    if external:
        context["externalIds"] = external


def names_somebody(found: Mapping[str, str]) -> bool:
    """A company, or the name somebody had before, is nobody to count for."""
    return any(kind not in ("groupId", "previousId") for kind in found)


def is_nobody(call: Mapping[str, Any]) -> bool:
    """Whether a call names no person, so that only its items can be counted."""
    context = call.get("context", {})
    named = {"userId": call.get("userId"), "anonymousId": call.get("anonymousId"), **context.get("traits", {})}
    return not (any(named.values()) or context.get("externalIds"))
