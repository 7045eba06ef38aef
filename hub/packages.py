"""Which packages a model was trained with, as one digest for its card."""

from __future__ import annotations

import hashlib
from importlib import metadata


def packages_digest() -> str:
    """SHA-256 over the names and versions of all packages that were installed, 64 hex digits."""
    installed = sorted({f"{found.name.lower()}=={found.version}" for found in metadata.distributions()})
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()
