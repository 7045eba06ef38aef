"""Why an item or a placement was answered as it was: closed lists, so that every reader can count on them."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why this was answered. Degraded is a value here, not an exception."""

    MODEL = "MODEL"
    """The model's greedy choice for this slot."""
    EXPLORE = "EXPLORE"
    """Drawn, and not the greedy choice of its slot."""
    RULE = "RULE"
    """A rule ranked it: priority, an attribute or a formula."""
    FORCED = "FORCED"
    """An operator asked for exactly this."""
    FALLBACK_NO_BUNDLE = "FALLBACK_NO_BUNDLE"
    FALLBACK_NO_CANDIDATE = "FALLBACK_NO_CANDIDATE"
    FALLBACK_SCORER = "FALLBACK_SCORER"
    FALLBACK_DEADLINE = "FALLBACK_DEADLINE"
    FALLBACK_OVERLOAD = "FALLBACK_OVERLOAD"
    OPTED_OUT = "OPTED_OUT"
    """No consent to personalise: answered by page context alone."""
    HOLDOUT = "HOLDOUT"
    """The visitor is kept out of all personalisation, to measure it."""


class State(StrEnum):
    """How current a node is. STALE still serves."""

    READY = "READY"
    STALE = "STALE"
    """The hub was not heard for 60 s, or signed metadata has expired."""
    ERROR = "ERROR"
    """Nothing to serve but the built-in fallback."""


class Degradation(StrEnum):
    """What was left out of a decision, as an input of `decide`, so that a replay leaves out the same.

    Whatever leaves out anything leaves out all visitor scores: they are models, too.
    """

    NONE = "NONE"
    SCORES = "SCORES"
    """A visitor score failed: all of them are missing, and everything else goes on without."""
    SCORER = "SCORER"
    """The scorer failed."""
    DEADLINE = "DEADLINE"
    """Time was up before anybody had been found: nothing was ranked."""
    DEADLINE_SCORING = "DEADLINE_SCORING"
    """Time was up before a model was asked: only rules ranked."""
    UNRANKED = "UNRANKED"
    """High load: no model ranks. Its candidates, found and filtered as ever, stand in the order of their collection."""
    OVERLOAD = "OVERLOAD"
    """Higher load: nothing is looked for, the fallback is shown."""
