"""Tickets of four topics, made of words that belong to each and words that all share."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

WORDS = {
    "delivery": "parcel late courier tracking arrive shipped delivery lost",
    "payment": "card charged invoice declined payment bank twice amount",
    "product": "broken kettle leaks scratched colour smaller missing lid",
    "returns": "return refund label exchange send back money size",
}
SHARED = "hello my i the is was please help with order and it for today thanks can you"


def ticket(topic: str, seed: int) -> str:
    """A ticket's text; the same arguments, the same text."""
    draw = np.random.default_rng([sorted(WORDS).index(topic), seed])
    words = [*draw.choice(WORDS[topic].split(), 3), *draw.choice(SHARED.split(), 6)]
    return " ".join(draw.permutation(words)) + "?"


def write_tickets(path: Path, topics: list[str], each: int, *, start: int = 0) -> Path:
    """A CSV of `body, topic`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["body", "topic"])
        for number in range(start, start + each):
            for topic in topics:
                writer.writerow([ticket(topic, number), topic])
    return path
