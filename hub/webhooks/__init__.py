"""What other systems push to the hub over HTTP: proved to be theirs, taken apart, translated, stored.

`signatures` prove who sent a delivery, `secrets` is where the proof's key lies, `bodies` turn a body into rows,
`translating` makes records of the rows, `rejects` keep what cannot be used, and `receiving` does one after the other.
"""
