"""What a person stated elsewhere of what may be done with their data: an unsubscribe holds here as well.

A call's own consent says what may be done with that call. Where the source says when that was stated (`consent_time`),
it is the person's word and outlives the call, as one of theirs on the site would: the later word holds. The time of the
call itself is no such time: an export writes the same consent again with every row that anybody edits, and would grant
anew what the person denied in between. So without one only a denial lasts, as of the call: who is denied too much can
be asked again.
"""

from __future__ import annotations

from edgewise.consent import Consent, ConsentState, Purpose
from edgewise.ids import Producer, SubjectId
from edgewise.intake import Call, event_time_ms
from edgewise.records import PreferenceRecord


def stated_with(
    call: Call, subject: SubjectId, received_ms: int, consent_ms: int | None = None
) -> PreferenceRecord | None:
    """The statement to store behind the record of a call, not numbered yet; None where nothing is stated that lasts.

    `subject` is whom the call names: a denial of everything leaves a record that names nobody. `consent_ms` is when
    the source says that its consent was stated; one before 1970 stands for none.
    """
    stated_ms = consent_ms if consent_ms is not None and consent_ms > 0 else None
    said = {
        purpose.value: state
        for purpose in Purpose
        if (state := call.consent.of(purpose)) is ConsentState.DENIED
        or (stated_ms is not None and state is ConsentState.GRANTED)
    }
    if not said or not subject:
        return None
    return PreferenceRecord(
        producer=Producer(""),
        seq=0,
        subject=subject,
        time_ms=event_time_ms(call, received_ms) if stated_ms is None else min(stated_ms, received_ms),
        received_ms=received_ms,
        consent=Consent(**said),
    )
