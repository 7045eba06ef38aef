"""Hits of robots, told by the user agent that they state themselves."""

from __future__ import annotations

import re
from typing import Final

# What robots call themselves: the words of RFC 9309's world, programs and libraries, and browsers without a window.
# Cubot makes telephones. One that pretends to be a visitor's browser is not found by its name.
_ROBOT: Final = re.compile(
    r"(?<!\bcu)bots?(\b|_)|crawl|spider|slurp|archiver|scrap(er|y)|facebookexternalhit|mediapartners|"
    r"headless|phantomjs|lighthouse|pingdom|uptime|monitor(ing)?\b|preview|fetcher|"
    r"^(curl|wget|python|java|go-http-client|okhttp|axios|node-fetch|libwww|httpx|aiohttp|ruby|perl|php)\b",
    re.IGNORECASE,
)


def is_robot(user_agent: object) -> bool:
    """Whether a user agent says that no person looked. Nothing stated is no robot."""
    return isinstance(user_agent, str) and _ROBOT.search(user_agent) is not None
