"""What a node answers over HTTP, one module a family of routes."""
