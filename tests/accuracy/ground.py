"""What every bench stands on: where public data lie, where it may write, and how it tells what it does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from edgewise.errors import UnavailableError
from edgewise.terminal import Terminal

VARIABLE: Final = "EDGEWISE_DATA"


class Ground(NamedTuple):
    """Of one run."""

    folder: Path
    """Fresh, and deleted at the end."""
    terminal: Terminal

    def shared(self, name: str) -> Path:
        """A file of the folder of public data: `$EDGEWISE_DATA`, else ../shared/data beside the checkout.

        Raises:
            UnavailableError: it is not there.
        """
        beside = Path(__file__).parents[3] / "shared" / "data"
        found = Path(os.environ.get(VARIABLE, beside)) / name
        if not found.is_file():
            raise UnavailableError(f"{name} is not in ${VARIABLE}, nor in ../shared/data")
        return found
