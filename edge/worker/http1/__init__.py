"""HTTP/1.1 as a node speaks it: strict about framing, bounded in bytes and in time, whatever comes in.

    Server ── Connection ── RequestParts ── Cycle ── the ASGI application
    listens   one client    one request     one answer
    sweeps    deadlines     head and body

Nothing of a request reaches the application before all of it is here and sound.
"""
