"""What every test shares: how long property tests search, and which database ledgers lie in (`databases`).

`EDGEWISE_EXAMPLES=500 make test` searches longer. Under CI the search is the same every time, so that a red run can be
repeated; on people's machines it is random, so that something new is tried each day.
"""

import os
import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

pytest_plugins = ["databases"]

examples = int(os.environ.get("EDGEWISE_EXAMPLES", "16"))
settings.register_profile("dev", max_examples=examples, deadline=None)
settings.register_profile("ci", parent=settings.get_profile("ci"), max_examples=examples)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

# Of the nodes that tests start: beside a suite that leaves none over, waiting for processor time that nobody wants
# would make each new bundle ten seconds late.
os.environ.setdefault("EDGEWISE_EDGE_TRIAL_IDLE_MS", "0")
# And an answer in time is what few of them are about: those say so, and measure by a clock of their own.
for name in ("DEADLINE_MS", "QUEUE_DELAY_TARGET_MS", "QUEUE_DELAY_MOST_MS"):
    os.environ.setdefault(f"EDGEWISE_EDGE_{name}", "5000")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the suite in the background has it ignore Ctrl-C, and each process of the tests with it: those
    # that are told to leave by it would stay.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """A log that a test started writes where pytest listened during that test; the next one must not write there."""
    yield
    structlog.reset_defaults()
