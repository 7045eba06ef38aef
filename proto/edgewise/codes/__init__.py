"""Personal promotion codes: how they are written and verified, and which numbers a node may spend. No I/O."""
