"""A personal code: 160 bits in 32 letters, verified with the promotion's key and nothing else, so at any edge, offline.

    generation of the key   5 bits
    number                 30          a unit of the promotion's total; leased to one node, redeemed once
    last day               15          days since 2020-01-01, UTC; the code holds to its end
    owner                  25          of HMAC-SHA-256 over the subject it was promised to
    signature              80          of HMAC-SHA-256 over all of the above and the promotion's name
    check                   5          over GF(32): a slip of the pen is told from a forgery, without a key

The owner stands in it so that a code is verified without knowing him, and him without a list: whoever presents
somebody else's code is told so. Guessing one takes 2^80 tries a promotion. Letters are Crockford's, without look-alikes
(I, L, O, U); what is read as I, L or O is taken for what it looks like.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from edgewise.bundle.promotions import MOST_CODES, PromotionName
from edgewise.ids import SubjectId

KEY_BYTES: Final = 32
SIGNATURE_BITS: Final = 80
OWNER_BITS: Final = 25
LETTERS: Final = 32
DAY_MS: Final = 86_400_000
FIRST_DAY_MS: Final = 1_577_836_800_000
"""2020-01-01, UTC."""
LAST_DAY: Final = (1 << 15) - 1
"""In 2109."""
MOST_WRITTEN: Final = 80
"""Characters that are looked at: letters, and what people put between them."""

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUP: Final = 4
_VALUE_OF: Final = {
    **{letter: value for value, letter in enumerate(_ALPHABET)},
    **{letter.lower(): value for value, letter in enumerate(_ALPHABET)},
    **dict.fromkeys("oO", 0),
    **dict.fromkeys("iIlL", 1),
}
_BETWEEN: Final = frozenset("- \t\u2010\u2011\u2012\u2013\u00a0")
"""What mail programs and people make of the hyphens."""
_SIGNED: Final = b"edgewise code 1\0"
_OWNED: Final = b"edgewise code owner 1\0"
_POLYNOMIAL: Final = 0b100101
"""x^5 + x^2 + 1 is primitive: its root has order 31, the number of letters before the check."""


class CodeKey(NamedTuple):
    """What signs the codes of a promotion; 32 random bytes, known to the hub and to its nodes."""

    promotion: PromotionName
    generation: int
    """1 to 31."""
    key: bytes


class Code(NamedTuple):
    """What a verified code says."""

    promotion: PromotionName
    generation: int
    number: int
    """1 to MOST_CODES."""
    last_day: int
    """Days since 2020-01-01, UTC; the code holds until the end of that day."""
    owner: int
    """25 bits; `owner_of` a subject under the same key."""

    @property
    def ends_ms(self) -> int:
        """The first moment at which it does not hold any more."""
        return FIRST_DAY_MS + (self.last_day + 1) * DAY_MS


Keys = Mapping[tuple[PromotionName, int], CodeKey]
"""By promotion and generation."""


def keys_of(keys: Iterable[CodeKey]) -> dict[tuple[PromotionName, int], CodeKey]:
    """As `verify` wants them."""
    return {(key.promotion, key.generation): key for key in keys}


def day_of(time_ms: int) -> int:
    """The day of a moment, within what a code can say."""
    return min(max((time_ms - FIRST_DAY_MS) // DAY_MS, 0), LAST_DAY)


def day_end_ms(day: int) -> int:
    """The first moment after a day."""
    return FIRST_DAY_MS + (day + 1) * DAY_MS


def owner_of(key: CodeKey, subject: SubjectId) -> int:
    """How a code names whom it was promised to. Two people agree in one case of 33 million."""
    return int.from_bytes(hmac.digest(key.key, _OWNED + subject.encode(), "sha256")[:4]) >> 32 - OWNER_BITS


def write_code(key: CodeKey, number: int, last_day: int, subject: SubjectId) -> str:
    """The code of a number, in eight groups of four letters.

    Raises ValueError for a number, day or generation that a code cannot carry, or without a subject.
    """
    if not (1 <= number <= MOST_CODES and 0 <= last_day <= LAST_DAY and 1 <= key.generation <= 31 and subject):  # noqa: PLR2004
        raise ValueError(f"no code can say number {number}, day {last_day}, generation {key.generation}, {subject!r}")
    said = ((key.generation << 30 | number) << 15 | last_day) << OWNER_BITS | owner_of(key, subject)
    signed = said << SIGNATURE_BITS | _signature(key, said)
    return in_groups(lettered([signed >> shift & 31 for shift in range(5 * (LETTERS - 2), -1, -5)]))


def lettered(values: Sequence[int]) -> str:
    """The 32 letters of 31 values from 0 to 31: the last one is the check, which takes no key."""
    return "".join(_ALPHABET[value] for value in (*values, _check(values)))


def in_groups(letters: str) -> str:
    """With a hyphen after every fourth letter."""
    return "-".join(letters[start : start + _GROUP] for start in range(0, len(letters), _GROUP))


def letters_of(text: str) -> str | None:
    """The 32 letters that somebody wrote, None for what cannot be a code: its length, its letters or its check."""
    if len(text) > MOST_WRITTEN:
        return None
    values = [_VALUE_OF.get(letter, -1) for letter in text.strip() if letter not in _BETWEEN]
    if len(values) != LETTERS or min(values) < 0 or _check(values[:-1]) != values[-1]:
        return None
    return "".join(_ALPHABET[value] for value in values)


def verify(text: str, keys: Keys) -> Code | None:
    """What a code says, None for what none of `keys` has signed; whether it still holds is not asked here."""
    letters = letters_of(text)
    if letters is None:
        return None
    signed = 0
    for letter in letters[:-1]:
        signed = signed << 5 | _VALUE_OF[letter]
    said, signature = signed >> SIGNATURE_BITS, signed & (1 << SIGNATURE_BITS) - 1
    generation = said >> 70
    shown = signature.to_bytes(SIGNATURE_BITS // 8)
    found: Code | None = None
    for key in keys.values():
        if key.generation == generation and hmac.compare_digest(
            _signature(key, said).to_bytes(SIGNATURE_BITS // 8), shown
        ):
            owner = said & (1 << OWNER_BITS) - 1
            found = Code(key.promotion, generation, said >> 40 & MOST_CODES, said >> OWNER_BITS & LAST_DAY, owner)
    return found


def is_owner(code: Code, keys: Keys, subjects: Iterable[SubjectId]) -> bool:
    """Whether a verified code was promised to one of `subjects`."""
    key = keys[code.promotion, code.generation]
    return any(owner_of(key, subject) == code.owner for subject in subjects if subject)


def _signature(key: CodeKey, said: int) -> int:
    message = _SIGNED + key.promotion.encode() + b"\0" + said.to_bytes(10)
    return int.from_bytes(hmac.digest(key.key, message, "sha256")[: SIGNATURE_BITS // 8])


def _check(values: Iterable[int]) -> int:
    """Horner's rule with the root of a primitive polynomial: each place of 31 has a weight of its own.

    So one wrong letter, or two neighbours that were exchanged, are always found.
    """
    total = 0
    for value in values:
        total = _times_root(total ^ value)
    return total


def _times_root(value: int) -> int:
    value <<= 1
    return value ^ _POLYNOMIAL if value & 32 else value
