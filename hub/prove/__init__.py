"""`edgewise prove`: the reliability figures of a hub and its nodes, measured on real processes of this machine.

A scenario breaks something on purpose while visitors come, and compares what they were told with what was kept. It
knows nothing of a node's inside: it starts processes (`hub.processes`), asks over HTTP (`caller`, `visitors`), kills
by pid (`victims`), and counts in the ledger (`account`). `scenarios` lists them, `run` runs them, `page` draws them.
"""
