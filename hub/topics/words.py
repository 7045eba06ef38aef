"""How a text is cut: words, pairs of words, and three or four letters of a word in a row.

The letters are what makes `activate`, `activation` and `acitvate` resemble each other without a dictionary of any
language. `#` marks them, so that no word is taken for them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_CHARACTERS: Final = 20_000
"""Of a text that are read."""
_MOST_WORD_CHARACTERS: Final = 40
_LETTERS: Final = (3, 4)
_WORD: Final = re.compile(r"\w+")


def cut(text: str) -> Iterator[str]:
    """Everything that is counted in a text, in any case of letters, repetitions included."""
    plain = unicodedata.normalize("NFKC", text[:MOST_CHARACTERS]).lower()
    words = [word[:_MOST_WORD_CHARACTERS] for word in _WORD.findall(plain)]
    yield from words
    yield from (f"{first} {second}" for first, second in pairwise(words))
    for word in words:
        bounded = f"<{word}>"
        yield from (f"#{bounded[at : at + size]}" for size in _LETTERS for at in range(len(bounded) - size + 1))


def counts(texts: Sequence[str], columns: Mapping[str, int]) -> NDArray[np.float32]:
    """How often each text holds each of the known parts, float32 (n, len(columns))."""
    matrix = np.zeros((len(texts), len(columns)), dtype=np.float32)
    for row, text in enumerate(texts):
        for part in cut(text):
            column = columns.get(part)
            if column is not None:
                matrix[row, column] += 1.0
    return matrix
