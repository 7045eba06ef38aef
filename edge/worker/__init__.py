"""A worker process: HTTP in, decisions out."""
