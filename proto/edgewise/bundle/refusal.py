"""How a bundle is refused: one exception, with the file and the `$.path` of what is wrong."""

from __future__ import annotations

from typing import NoReturn

from edgewise.errors import BundleRefused


def refuse(code: str, resource: str, message: str, path: str) -> NoReturn:
    """Raises BundleRefused."""
    raise BundleRefused(code, f"{resource}: {message} - at `{path}`")


def require(holds: bool, code: str, resource: str, message: str, path: str) -> None:  # noqa: FBT001  # reads as a sentence
    """Raises BundleRefused unless `holds`."""
    if not holds:
        refuse(code, resource, message, path)


def malformed(resource: str, error: Exception) -> NoReturn:
    """Raises BundleRefused for what a codec found wrong; msgspec's messages carry the path themselves."""
    message = str(error) or type(error).__name__
    where = "" if "at `$" in message else " - at `$`"
    raise BundleRefused("malformed", f"{resource}: {message}{where}") from error
