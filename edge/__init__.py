"""An edge node: HTTP in, decisions out, from a local profile cache and a signed bundle. It never learns."""
