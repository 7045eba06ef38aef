"""Hostile clients: what a stranger may send to a node's port, and how the node takes it.

`python -m edge.testing.probes URL` runs them against a node that serves; `probe_all` is the same for a program. They
speak to sockets, not through an HTTP library, because no library would send what they send.
"""

from __future__ import annotations

from edge.testing.probes.run import Report, probe_all

__all__ = ["Report", "probe_all"]
