"""Personal promotion codes at the hub: lent to nodes, redeemed once, shown to people."""
