"""`Edgewise-Consent: personalisation=granted, analytics=denied`: consent where a request has no body to say it in."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edgewise.consent import Consent
from edgewise.errors import InputError, Problem

NAME = b"edgewise-consent"


def consent_of(headers: Mapping[bytes, bytes]) -> Consent:
    """What a request's header says; nothing where there is none.

    Raises:
        InputError: it names a purpose, or a state, that nobody knows; a misspelt denial must not become a grant.
    """
    value = headers.get(NAME, b"").decode("latin-1")
    said: dict[str, str] = {}
    for part in value.replace(";", ",").split(","):
        purpose, _, state = (each.strip().lower() for each in part.partition("="))
        if purpose:
            # Said twice, the stricter word holds.
            said[purpose] = "denied" if "denied" in (said.get(purpose), state) else state
    try:
        return msgspec.convert(said, Consent)
    except msgspec.ValidationError as wrong:
        message = f"Edgewise-Consent: {wrong}; expected like personalisation=granted, analytics=denied"
        raise InputError(message, (Problem("$.headers.Edgewise-Consent", message),)) from None
