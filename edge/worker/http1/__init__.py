"""HTTP/1.1 as a node speaks it: strict about framing, bounded in bytes and in time, whatever comes in.

    Server ── Connection ───── Cycle ── the ASGI application
    listens   one client       one answer
    sweeps    head and body

Nothing of a request reaches the application before all of it is here and sound.
"""
