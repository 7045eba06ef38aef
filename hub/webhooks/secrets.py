"""Where the secrets of webhooks lie: the environment, or the keys of the data folder. Never the site's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

PREFIX: Final = "EDGEWISE_HUB_WEBHOOK_SECRET_"


class WebhookSecrets:
    """Read anew for each delivery, so that a secret is replaced without a restart."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str]) -> None:
        self._folder = data_dir / "keys"
        self._environment = environment

    def variable(self, name: str) -> str:
        """`EDGEWISE_HUB_WEBHOOK_SECRET_SHOP_EU` of the source `shop-eu`."""
        return PREFIX + name.upper().replace("-", "_")

    def path(self, name: str) -> Path:
        """The file of a source, one secret a line."""
        return self._folder / f"webhook-{name}.secret"

    def of(self, name: str) -> list[bytes]:
        """All secrets that are accepted from a source; none where nothing can be read.

        While one is replaced, two lines hold the old one and the new one.
        """
        text = self._environment.get(self.variable(name))
        if text is None:
            try:
                text = self.path(name).read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                return []
        return [line.strip().encode() for line in text.splitlines() if line.strip()]
