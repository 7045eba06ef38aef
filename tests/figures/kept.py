"""One connection to a node that is kept, for figures that look at single answers."""

from __future__ import annotations

import http.client
import json
from base64 import b64encode
from typing import Any, Final
from urllib.parse import urlsplit

from edgewise.errors import UnavailableError
from figures import shop

PATIENCE_S: Final = 10.0
HEADERS: Final = {
    "Content-Type": "application/json",
    "Authorization": f"Basic {b64encode(f'{shop.WRITE_KEY}:'.encode()).decode()}",
}


class Asking:
    """Asks one thing after the other."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)

    def post(self, path: str, said: Any) -> Any:
        """Send JSON; the answer's.

        Raises:
            UnavailableError: its status is not 200.
        """
        self._connection.request("POST", path, json.dumps(said), HEADERS)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise UnavailableError(f"{self.url}{path}: {answer.status}: {body[:200]!r}")
        return json.loads(body)

    def shown(self, visitor: str, placement: str, **options: bool) -> list[str]:
        """The items that a placement shows a visitor."""
        said = {"anonymousId": visitor, "placements": [{"name": placement}], "options": options}
        return [item["id"] for item in self.post("/v1/decide", said)["placements"][placement]["items"]]
