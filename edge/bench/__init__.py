"""`edgewise bench`: load for an edge node as visitors make it, and what they would have waited.

Arrivals are scheduled ahead and never wait for answers (open loop); a latency counts from the moment at which the
request was *meant* to be sent, so that a stall is felt by everybody who came while it lasted. `histogram`, `arrivals`,
`weblog`, `mix`, `threshold`, `knee`, `http1`, `watched` and `tally` are pure; `alarm`, `connection`, `fleet` and
`generator` hold the clock and the sockets; `session` puts them together.
"""
