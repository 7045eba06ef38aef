"""What every mail says below its own content, by language."""

from __future__ import annotations

from typing import Final, NamedTuple


class Words(NamedTuple):
    """One language's."""

    why: str
    preferences: str
    unsubscribe: str


_WORDS: Final = {
    "en": Words("Why this mail?", "How often, and how personal?", "Unsubscribe"),
    "de": Words("Warum diese Mail?", "Wie oft, und wie persönlich?", "Abmelden"),
    "fr": Words("Pourquoi ce message ?", "À quelle fréquence ?", "Se désabonner"),
    "es": Words("¿Por qué este correo?", "¿Con qué frecuencia?", "Darse de baja"),
}


def words_of(locale: str) -> Words:
    """The locale's, its language's, or English ones."""
    return _WORDS.get(locale.partition("-")[0].lower(), _WORDS["en"])
