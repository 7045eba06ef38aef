"""What may join two people: the kinds of identifiers, strongest first, and how far each of them may be believed.

The settings are those of Segment's identity resolution (priority, limit, blocked values; twilio.com/docs/segment/unify/
identity-resolution/identity-resolution-settings), and two more for what goes wrong in practice: an address that
hundreds of records share names nobody, and a device that several users used is nobody's.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edgewise.identifiers import PREVIOUS, normalised
from edgewise.ids import SubjectId
from edgewise.subjects import subject_of

USER: Final = "userId"
"""The kind whose bearers are people by definition: what `most_users` counts."""

Count = Annotated[int, Meta(ge=1, le=100_000)]
KindName = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,63}$")]


class Kind(msgspec.Struct, frozen=True):
    """How identifiers of one kind are believed."""

    kind: KindName
    limit: Count | None = None
    """How many a person may have; a link that would give him more joins nobody. None: as many as there are."""
    most_people: Count = 200
    """How many records' subjects may name one identifier; named by more it joins nobody (`info@shop.example`)."""
    most_users: Count | None = None
    """How many users one identifier may be seen with; seen with more it joins nobody (a shared device)."""
    links_people: bool = True
    """False: it names no person (a group, a company)."""


class IdentityFile(msgspec.Struct, frozen=True):
    """`identity.yaml` of a site."""

    kinds: Annotated[list[Kind], Meta(min_length=1, max_length=50)]
    """Strongest first. Kinds that are not listed hold as without a file and come behind; but an alias's (`previousId`)
    stays before all, unless it is listed."""
    blocked: dict[KindName, list[Annotated[str, Meta(min_length=1, max_length=500)]]] = {}
    """Kind -> values that name nobody here, beside those that name nobody anywhere (`edgewise.identifiers`)."""
    browsers_link: bool = False
    """Whether a browser that has proven its own id may name the user that it belongs to, as analytics services let it.
    Where it may, whoever knows another's user id can join himself to him, and is served what is personal of him; False:
    only servers and imports link."""
    most_identifiers: Count = 500
    """How many identifiers one subject may name; one that names more (a test account, a bot) joins nobody."""


class IdentityRules(msgspec.Struct, frozen=True):
    """Rules as the ledger keeps them: blocked values as hashes, so that no identifier lies there in the clear."""

    kinds: tuple[Kind, ...]
    blocked: tuple[SubjectId, ...] = ()
    most_identifiers: int = 500
    browsers_link: bool = False

    def of(self, kind: str) -> Kind:
        """What holds for a kind."""
        return next((each for each in self.kinds if each.kind == kind), msgspec.structs.replace(OTHER, kind=kind))

    def rank(self, kind: str) -> tuple[int, str]:
        """Where a kind stands; smaller is stronger. Unlisted kinds come behind all others, by name."""
        known = next((place for place, each in enumerate(self.kinds) if each.kind == kind), len(self.kinds))
        return (known, kind)


OTHER: Final = Kind("other", limit=5)
"""What holds for a kind that nobody listed; 5 is Segment's own default."""

DEFAULT_RULES: Final = IdentityRules(
    kinds=(
        Kind(PREVIOUS, limit=20),
        Kind(USER, limit=1, most_people=500),
        Kind("email", limit=5, most_users=3),
        Kind("phone", limit=5, most_users=3),
        Kind("anonymousId", limit=100, most_users=1),
        Kind("orderId", most_people=20),
        Kind("groupId", links_people=False),
    )
)
"""What holds where a site has no `identity.yaml`.

`previousId` is what an alias renamed: such an id is no user any more, so a renamed user keeps to his limit of one.
`orderId` is what a refund names and nothing else: an order is one person's, and a person has as many as he likes.
"""


def rules_of(file: IdentityFile, subject_key: bytes) -> IdentityRules:
    """The rules of a file over the built-in ones, its blocked values normalised and hashed with the site's key.

    A short file changes what it names and nothing else: colleagues are not joined by their group because of it.
    """
    listed = {each.kind for each in file.kinds}
    others = [each for each in DEFAULT_RULES.kinds if each.kind not in listed]
    aliases = [each for each in others if each.kind == PREVIOUS]
    kinds = (*aliases, *file.kinds, *(each for each in others if each.kind != PREVIOUS))
    blocked = {
        subject_of(subject_key, kind, named)
        for kind, values in file.blocked.items()
        for value in values
        if (named := normalised(kind, value))
    }
    return IdentityRules(kinds, tuple(sorted(blocked)), file.most_identifiers, file.browsers_link)
