"""What other systems push to the hub over HTTP: proved to be theirs, taken apart, translated, stored.

`part` is what a source's document says of it, `signatures` prove who sent a delivery, `secrets` is where the proof's
key lies, `bodies` turn a body into rows, `receiving` stores what the rows translate to.
"""
