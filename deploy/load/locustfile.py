"""Visitors of one edge node, for Locust: `locust -f deploy/load/locustfile.py --host http://127.0.0.1:8090`.

Headless, with an exit code: `… --headless --users 50 --spawn-rate 50 --run-time 30s`; it ends with 1 when a threshold
is crossed. Closed loop: a visitor waits for his answer, so a node that stalls is asked less while it does, and the
percentiles hide it. For honest tails take `edgewise bench` or the k6 script beside this file.
"""

import itertools
import os
import uuid
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task
from locust.env import Environment

WRITE_KEY = os.environ.get("WRITE_KEY", "demo")
"""The starter bundle's; a site's own is shown by `edgewise site init`."""
PLACEMENT = os.environ.get("PLACEMENT", "home_hero")
VISITS_PER_SECOND = float(os.environ.get("VISITS_PER_SECOND", "10"))
"""Of each simulated visitor."""
KNOWN_VISITORS = 10_000
P95_MOST_MS = 10.0
FAILED_MOST = 0.01

_numbers = itertools.count()


class Visitor(FastHttpUser):
    """Of ten visits two are of somebody new, five of somebody who came before, three of somebody who clicks as well."""

    wait_time = constant_throughput(VISITS_PER_SECOND)

    @task
    def visit(self) -> None:
        """One page view, and sometimes a click on what it showed."""
        number = next(_numbers)
        turn = number % 10
        visitor = f"locust-{uuid.uuid4()}" if turn < 2 else f"locust-{number * 7_919 % KNOWN_VISITORS}"  # noqa: PLR2004
        decision = self._ask("decide", {"anonymousId": visitor, "placements": [{"name": PLACEMENT}]})
        if decision is None or turn < 7:  # noqa: PLR2004
            return
        for item in decision["placements"][PLACEMENT]["items"][:1]:
            shown = {"decisionId": decision["decisionId"], "placement": PLACEMENT, "itemId": item["id"]}
            self._ask("track", {"anonymousId": visitor, "event": "Promotion Clicked", "properties": shown})

    def _ask(self, call: str, body: dict[str, Any]) -> Any:
        """The answer's JSON; None, and counted as a failure, when there is none."""
        with self.client.post(f"/v1/{call}", json=body, auth=(WRITE_KEY, ""), name=call, catch_response=True) as answer:
            if answer.status_code != 200:  # noqa: PLR2004
                answer.failure(f"status {answer.status_code}, expected 200")
                return None
            told = answer.json()
            if call == "decide" and not told["placements"][PLACEMENT]["items"]:
                answer.failure("nothing is shown")
                return None
            return told


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """Set the exit code."""
    total, decide = environment.stats.total, environment.stats.get("decide", "POST")
    p95_ms = decide.get_response_time_percentile(0.95) or 0.0
    if decide.num_requests == 0 or total.fail_ratio >= FAILED_MOST or p95_ms >= P95_MOST_MS:
        environment.process_exit_code = 1
    print(
        f"{decide.num_requests} decisions, p95 {p95_ms:.1f} ms (below {P95_MOST_MS:.0f}), "
        f"{total.fail_ratio:.2%} failed (below {FAILED_MOST:.0%})"
    )
