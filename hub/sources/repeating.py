"""What a source says of a person without saying when: the same again is nothing new, the same after something else is.

Such an `identify` is called `NAME:KEY.CONTENT`, by digests of what its row is called by and of what it says. A score of
0.2, then 0.9, then 0.2 again is three statements; a file that is imported again is none. So a statement is new unless
it is the latest of its key; one that was said before gets a number behind its id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from edgewise.ids import MessageId

_CALLED: Final = re.compile(r"(.+:[0-9a-f]{32}\.)([0-9a-f]{32})(?:~([0-9]{1,18}))?", re.DOTALL)


def untimed_id(name: str, key: str, content: str) -> str:
    """The id of a statement that was never made before; `key` and `content` are digests of 32 hexadecimal digits."""
    return f"{name}:{key}.{content}"


def key_of(message_id: MessageId) -> str | None:
    """What the ids of all statements of the same source and key begin with; None: it says when it was made."""
    found = _CALLED.fullmatch(message_id)
    return None if found is None else found[1]


class Statements:
    """Those of one key, in the order in which they were stored."""

    def __init__(self, stored: Sequence[MessageId]) -> None:
        self._id_of: dict[str, MessageId] = {}
        self._latest = ""
        self._number = 0
        for message_id in stored:
            found = _CALLED.fullmatch(message_id)
            if found is not None:
                self._note(found[2], message_id, int(found[3] or 0))

    def is_open(self, message_id: MessageId) -> bool:
        """Whether only what its file says further on shows if this is new: it was said before, but not last."""
        content = _content(message_id)
        return content in self._id_of and content != self._latest

    def ids(self, said: Sequence[MessageId]) -> list[MessageId]:
        """What statements in a row are called: one that is stored by the id that it has, a new one by a new one.

        Up to where they come to the latest that is stored they are the same file once more, if all of them are stored.
        """
        contents = [_content(message_id) for message_id in said]
        known = max((place for place, content in enumerate(contents, 1) if content == self._latest), default=0)
        if any(content not in self._id_of for content in contents[:known]):
            known = 0
        found = [self._id_of[content] for content in contents[:known]]
        for message_id, content in list(zip(said, contents, strict=True))[known:]:
            if content != self._latest:
                is_new = content not in self._id_of
                number = self._number if is_new else self._number + 1
                self._note(content, message_id if is_new else MessageId(f"{message_id}~{number}"), number)
            found.append(self._id_of[content])
        return found

    def _note(self, content: str, message_id: MessageId, number: int) -> None:
        self._id_of[content] = message_id
        self._latest = content
        self._number = max(self._number, number)


def ids_after(said: Sequence[MessageId], stored: Mapping[str, Sequence[MessageId]]) -> list[MessageId]:
    """What messages that arrived together are called, after those that are stored of their keys."""
    places: dict[str, list[int]] = {}
    for place, message_id in enumerate(said):
        if (key := key_of(message_id)) is not None:
            places.setdefault(key, []).append(place)
    found = list(said)
    for key, some in places.items():
        for place, message_id in zip(
            some, Statements(stored.get(key, ())).ids([said[one] for one in some]), strict=True
        ):
            found[place] = message_id
    return found


def _content(message_id: MessageId) -> str:
    found = _CALLED.fullmatch(message_id)
    assert found is not None
    return found[2]
