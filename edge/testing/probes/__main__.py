"""`python -m edge.testing.probes URL [--json] [--slow-sockets N]`: exit 0 when the node withstood all, else 1."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

import msgspec

from edge.testing.probes.run import Report, probe_all
from edgewise.errors import InputError


def main(arguments: Sequence[str]) -> int:
    """Run the probes and print what became of them."""
    parser = argparse.ArgumentParser(prog="python -m edge.testing.probes", description=__doc__)
    parser.add_argument("url", help="of a node, http://HOST:PORT")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--slow-sockets", type=int, default=0, metavar="N", help="slow clients, of all kinds together")
    parser.add_argument("--head-seconds", type=float, default=5.0, help="the node's limit for a head")
    parser.add_argument("--body-seconds", type=float, default=10.0, help="the node's limit for a body")
    parser.add_argument("--write-key", default="demo", help="of the site")
    options = parser.parse_args(arguments)
    try:
        report = asyncio.run(
            probe_all(
                options.url,
                slow_sockets=options.slow_sockets,
                head_s=options.head_seconds,
                body_s=options.body_seconds,
                write_key=options.write_key,
            )
        )
    except (InputError, OSError) as failed:
        sys.stderr.write(f"{options.url}: {failed}\n")
        return 2
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n" if options.json else as_text(report))
    return 0 if report.passed else 1


def as_text(report: Report) -> str:
    """A line a probe."""
    lines = [
        f"{_word(told.passed)} {told.kind:8} {told.status or '-':>3} {'closed' if told.closed else 'open':6} "
        f"{'SECOND SERVED ' if told.second_served else ''}{told.name}"
        for told in report.probes
    ]
    lines += [
        f"{_word(slow.passed)} slow     {slow.closed} of {slow.sockets} closed, the last after "
        f"{slow.last_closed_seconds:.1f} s: {slow.kind}"
        for slow in report.slow
    ]
    lines.append(f"{_word(report.alive_afterwards)} answers afterwards")
    return "\n".join(lines) + "\n"


def _word(passed: bool) -> str:  # noqa: FBT001
    return "ok    " if passed else "FAILED"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
