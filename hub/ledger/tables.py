"""Tables of the ledger, in SQLAlchemy Core. Times in milliseconds since the epoch, UTC.

Every numbered record of a producer up to its `stored_seq` lies in exactly one of `events`, `decisions`,
`preferences`, `duplicates`, `gaps` and `dead_letters`: that is what "nothing lost" is counted by.

`position` is one count over all records, in the order in which they were stored. It is given out by the storing
transaction, not by the database, because an identity column hands out numbers before commit: a reader that
remembers how far it came would skip what commits late.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from hub.ledger.dialect import Position

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

producers = Table(
    "producers",
    metadata,
    Column("producer", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("epoch", BigInteger),
    Column("worker", BigInteger),
    Column("stored_seq", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("position", Position, primary_key=True, autoincrement=False),
    Column("producer", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("decision_id", Text),
    Column("placement", Text),
    Column("record", LargeBinary, nullable=False),
    Column("partition", BigInteger),
    UniqueConstraint("producer", "seq"),
    UniqueConstraint("message_id"),
    Index(None, "subject"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("producer", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("bundle_version", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("partition", BigInteger),
    UniqueConstraint("producer", "seq"),
    Index(None, "subject"),
    Index(None, "position"),
)

preferences = Table(
    "preferences",
    metadata,
    Column("position", Position, primary_key=True, autoincrement=False),
    Column("producer", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
    UniqueConstraint("producer", "seq"),
    Index(None, "subject"),
)

duplicates = Table(
    "duplicates",
    metadata,
    Column("producer", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("moved", Boolean, nullable=False),
    PrimaryKeyConstraint("producer", "seq"),
    Index(None, "subject"),
)
"""Records whose message or decision id was stored before; `moved`: the profile's sequence was moved past it."""

rewards = Table(
    "rewards",
    metadata,
    Column("decision_id", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("placement", Text),
    Column("kind", Text, nullable=False),
    Column("value", Double, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("decision_id", "item", "message_id"),
)

gaps = Table(
    "gaps",
    metadata,
    Column("producer", Text, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("lane", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("stored_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("producer", "first_seq"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("producer", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("stored_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("producer", "seq"),
)

erasure_requests = Table(
    "erasure_requests",
    metadata,
    Column("id", Text, nullable=False),
    Column("producer", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("certificate", Text),
    PrimaryKeyConstraint("producer", "seq"),
    Index(None, "certificate"),
)
"""Visitors who asked a node to be erased; `certificate` is null until the hub has done so."""

NUMBERED: Final = (events, decisions, preferences, duplicates, dead_letters, erasure_requests)
"""Tables with a row a number, `producer` and `seq`; `gaps` has a row a range of them."""

profiles = Table(
    "profiles",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("profile", LargeBinary, nullable=False),
    Column("preferences", LargeBinary, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index(None, "revision"),
)
"""Canonical profiles. `revision` is the last position of the transaction that changed it."""

erasures = Table(
    "erasures",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("forever", Boolean, nullable=False, server_default=false()),
    Index(None, "revision"),
)
"""Subjects that were erased. What happened until `time_ms` stays away, however late it comes; `forever`: and whatever
happens after it."""

nodes = Table(
    "nodes",
    metadata,
    Column("node", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("bundle_version", BigInteger, nullable=False),
    Column("bundle_digest", Text, nullable=False),
    Column("protocol_version", Integer, nullable=False),
    Column("connected", Boolean, nullable=False),
    Column("first_seen_ms", BigInteger, nullable=False),
    Column("last_seen_ms", BigInteger, nullable=False),
    Column("spool_bytes", BigInteger, nullable=False),
    Column("decisions", BigInteger, nullable=False),
    Column("acked_ms", BigInteger),
    Column("nack_code", Text),
    Column("nack_detail", Text),
    Column("nacked_ms", BigInteger),
    Column("facts_version", BigInteger),
    Column("facts_code", Text),
    Column("facts_detail", Text),
)

facts = Table(
    "facts",
    metadata,
    Column("name", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("since_version", BigInteger, nullable=False),
    Column("until_version", BigInteger),
    Column("value", Double, nullable=False),
    PrimaryKeyConstraint("name", "item", "since_version"),
    Index(None, "until_version"),
)
"""Live facts. A number held from `since_version` (included) to `until_version` (excluded; null: it still holds)."""

fact_sheets = Table(
    "fact_sheets",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("issued_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("halted", Boolean, nullable=False),
    Column("numbers", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("who", Text, nullable=False),
)
"""Versions of the live facts that are remembered; `sha256` is that of the published bytes."""

models = Table(
    "models",
    metadata,
    Column("name", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("approved_by", Text),
    Column("approved_ms", BigInteger),
    Column("card", JSON, nullable=False),
    PrimaryKeyConstraint("name", "version"),
)

releases = Table(
    "releases",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("parent", BigInteger),
    Column("status", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("approved_by", Text),
    Column("approved_ms", BigInteger),
    Column("summary", JSON, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
)

links = Table(
    "links",
    metadata,
    Column("subject", Text, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("vouched", Boolean, nullable=False),
    PrimaryKeyConstraint("subject", "identifier", "kind"),
    Index(None, "identifier", "kind"),
)
"""A record's subject named another identifier; both are keyed hashes of one name space. `first_ms` and `source` are
those of the earliest record that says so; `vouched`: a server or an import is among those. A subject
that only ever named itself has no row."""

identity_statements = Table(
    "identity_statements",
    metadata,
    Column("position", Position, primary_key=True, autoincrement=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("left_subject", Text, nullable=False),
    Column("right_subject", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "left_subject"),
    Index(None, "right_subject"),
)
"""What people stated: `merge`, `unmerge`. The left subject is the smaller one."""

persons = Table(
    "persons",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index(None, "person"),
    Index(None, "revision"),
)
"""Whose subject it is, as `hub.identity.resolve` computes it from links, statements and rules; a view that can be
computed again. Subjects that nothing was ever linked to have no row. `person` is the subject of one of its members."""

identity_rules = Table(
    "identity_rules",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("document", LargeBinary, nullable=False),
)
"""The rules in force are those of the greatest revision; without a row, the built-in ones."""

node_erasures = Table(
    "node_erasures",
    metadata,
    Column("node", Text, primary_key=True),
    Column("log", Text, nullable=False),
    Column("through", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)
"""How far each node has carried out erasures: all of the suppression list `log` up to the number `through`."""

passed_marks = Table(
    "passed_marks",
    metadata,
    Column("subject", Text, nullable=False),
    Column("producer", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    PrimaryKeyConstraint("subject", "producer"),
)
"""Numbers that a subject's profile has been moved past, although the records are gone: expired, or erased on arrival.
Without them a rebuilt profile would seem to miss what a node still holds as pending, and the node would count it again.
"""
partitions = Table(
    "partitions",
    metadata,
    Column("partition", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("month", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("first_position", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("is_stale", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)
"""Files of the lake. A row of `events` or `decisions` that names one has its record there, and none here."""


source_runs = Table(
    "source_runs",
    metadata,
    Column("source", Text, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("file_sha256", Text, nullable=False),
    Column("finished_ms", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("known", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("first_ms", BigInteger),
    Column("last_ms", BigInteger),
    PrimaryKeyConstraint("source", "started_ms", "file_sha256"),
)
"""Imports of business systems' files. `first_ms` and `last_ms`: times of the earliest and latest event of the file."""

contact_records = Table(
    "contact_records",
    metadata,
    Column("source", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("source", "key"),
    Index(None, "subject"),
)
"""The vault: what sources say of people in plain words, only fields that their documents name. The one place where raw
identifiers are kept; `key` is a digest."""

suggestions = Table(
    "suggestions",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("left_subject", Text, nullable=False),
    Column("right_subject", Text, nullable=False),
    Column("probability", Double, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("found_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger),
    Column("who", Text),
    UniqueConstraint("left_subject", "right_subject"),
    Index(None, "right_subject"),
    Index(None, "state"),
)
"""Pairs of records that are probably one person, for people to accept or refuse; `evidence` is words, no values."""

flags = Table(
    "flags",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("decision_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("placement", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("rank", BigInteger, nullable=False),
    Column("words", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("flagged_ms", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("answer", Text),
    Column("answered_by", Text),
    Column("answered_ms", BigInteger),
    Column("release", BigInteger),
    Index(None, "decision_id"),
    Index(None, "subject"),
)
"""Items that staff found wrong at their place in a logged decision; each is a case that releases must answer. `subject`
and `time_ms` are the decision's, so that a flag goes when it does; `release` is the one that the state comes from."""

fact_moments = Table(
    "fact_moments",
    metadata,
    Column("source", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("source", "item"),
)
"""When the newest numbers held that a source's deliveries told of an item."""

learning_turns = Table(
    "learning_turns",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("model", Text, nullable=False),
    Column("registered", Text, nullable=False),
    Column("placement", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("began_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("version", BigInteger),
    Column("release", BigInteger),
    Column("reason", Text, nullable=False),
    Index(None, "state"),
)
"""Turns of the learning loop, one model each; open ones are those whose state says so (`hub.ledger.learning`)."""

learning_steps = Table(
    "learning_steps",
    metadata,
    Column("turn", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("result", JSON, nullable=False),
    Column("reasons", JSON, nullable=False),
    PrimaryKeyConstraint("turn", "number"),
)
"""What each turn did, in its order; only ever added to. Figures and names of versions, nothing of anybody."""

learning_switches = Table(
    "learning_switches",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("halted", Boolean, nullable=False),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
)
"""Who halted the loop, and who let it go on; the row of the greatest number holds."""

learning_leases = Table(
    "learning_leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)
"""Which process may take steps, and until when."""

ramp_steps = Table(
    "ramp_steps",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("experiment", Text, nullable=False),
    Column("seed", Text, nullable=False),
    Column("bucket_version", BigInteger, nullable=False),
    Column("coverage", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("gates", JSON, nullable=False),
    Index(None, "experiment"),
)
"""Coverage that people gave experiments with a ramp; the row of the greatest number holds, for the same seed and bucket
version. `gates` is what held it back or let it go, in words."""

journey_switches = Table(
    "journey_switches",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("journey", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("gates", JSON, nullable=False),
)
"""Journeys that people enabled or paused; of each the row of the greatest number holds. `gates` is what held it back or
let it go, in words."""

journey_watches = Table(
    "journey_watches",
    metadata,
    Column("journey", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("look_ms", BigInteger, nullable=False),
    Column("tries", BigInteger, nullable=False),
    PrimaryKeyConstraint("journey", "subject"),
    Index(None, "look_ms"),
)
"""Who did something that begins a journey's run, and when he is looked at again. `tries`: how often that failed."""

mail_outbox = Table(
    "mail_outbox",
    metadata,
    Column("key", Text, primary_key=True),
    Column("journey", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("not_after_ms", BigInteger, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("handed_ms", BigInteger),
    Column("tries", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("decision_id", Text, nullable=False),
    Column("shown", JSON, nullable=False),
    Column("payload", JSON, nullable=False),
    Index(None, "state", "due_ms"),
    Index(None, "subject"),
    Index(None, "identifier"),
    Index(None, "message_id"),
    Index(None, "decision_id"),
)
"""Mails that are to be sent, and what became of each. `identifier` is the keyed hash of the address, blank until it was
handed over; `shown` is what counts as shown once it is sent: (decision, placement, grants)."""

mail_suppressed = Table(
    "mail_suppressed",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
)
"""Who is not written to, whatever else is stored: keyed hashes of addresses, or of people. Kept when a person is
erased: that he was not to be written to is what must not be forgotten."""

code_promotions = Table(
    "code_promotions",
    metadata,
    Column("promotion", Text, primary_key=True),
    Column("total", BigInteger, nullable=False),
    Column("lent", BigInteger, nullable=False),
    Column("open", BigInteger, nullable=False),
    Column("redeemed", BigInteger, nullable=False),
    Column("terms", JSON, nullable=False),
)
"""Budgets of codes. `total` and `terms` are what the released policy said when numbers were last lent, `lent` the last
number that was given out: numbers are never given out twice. `open` are those that somebody may still redeem:
redeemed + open never exceeds the total."""

code_keys = Table(
    "code_keys",
    metadata,
    Column("promotion", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("promotion", "generation"),
)
"""What signs the codes of a promotion; beside the numbers, so that a backup holds either both or none."""

code_leases = Table(
    "code_leases",
    metadata,
    Column("lease", Text, primary_key=True),
    Column("promotion", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("incarnation", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("taken", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("last_day", BigInteger, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    UniqueConstraint("promotion", "first"),
    Index(None, "state", "ends_ms"),
)
"""Ranges of numbers that were lent to one incarnation of one node. `taken` of them it has given out, as far as it said.
`last` falls when the rest is given back. States: lent, settled (nothing is taken any more), over (nothing is redeemed
any more, from `ends_ms` on)."""

code_redemptions = Table(
    "code_redemptions",
    metadata,
    Column("promotion", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("order_sha256", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    PrimaryKeyConstraint("promotion", "number"),
)
"""Each number once. Names nobody, and outlives erasures: whoever was erased has redeemed his code all the same."""

code_holders = Table(
    "code_holders",
    metadata,
    Column("promotion", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("promotion", "number"),
    Index(None, "subject"),
)
"""Who redeemed it, for the limit a person."""

code_revocations = Table(
    "code_revocations",
    metadata,
    Column("promotion", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("promotion", "number"),
)
"""Numbers that a person has taken back."""

code_denials = Table(
    "code_denials",
    metadata,
    Column("promotion", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("promotion", "reason"),
)
"""How often a code was not accepted here, and why; a blank promotion where none had signed it."""
