"""What a person stated elsewhere of what may be done with their data: an unsubscribe holds here as well.

A call's own consent says what may be done with that call. Where it says when it was stated, it is the person's word
and outlives the call, as one of theirs on the site would: the later word holds. A word without a time is not set
against what they said themselves, unless it is a denial, which counts as of now.
"""

from __future__ import annotations

from edgewise.consent import Consent, ConsentState, Purpose
from edgewise.ids import Producer, SubjectId
from edgewise.intake import Call, event_time_ms
from edgewise.records import PreferenceRecord


def stated_with(call: Call, subject: SubjectId, received_ms: int) -> PreferenceRecord | None:
    """The statement to store behind the record of a call, not numbered yet; None where nothing is stated that lasts.

    `subject` is whom the call names: a denial of everything leaves a record that names nobody.
    """
    has_time = call.timestamp is not None
    said = {
        purpose.value: state
        for purpose in Purpose
        if (state := call.consent.of(purpose)) is ConsentState.DENIED or (has_time and state is ConsentState.GRANTED)
    }
    if not said or not subject:
        return None
    return PreferenceRecord(
        producer=Producer(""),
        seq=0,
        subject=subject,
        time_ms=event_time_ms(call, received_ms),
        received_ms=received_ms,
        consent=Consent(**said),
    )
