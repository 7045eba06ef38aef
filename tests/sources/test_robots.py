"""Robots say so in their user agent; browsers are not taken for one."""

import pytest

from hub.sources.robots import is_robot

ROBOTS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36",
    "facebookexternalhit/1.1",
    "curl/8.5.0",
    "python-requests/2.31.0",
    "Mozilla/5.0 (compatible; YandexBot/3.0)",
    "Baiduspider+(+http://www.baidu.com/search/spider.htm)",
    "AhrefsBot/7.0",
]
PEOPLE = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 13; CUBOT KINGKONG 5 Pro) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
    "",
    None,
    7,
]


@pytest.mark.parametrize("agent", ROBOTS)
def test_robots_are_told_by_their_name(agent: str) -> None:
    assert is_robot(agent)


@pytest.mark.parametrize("agent", PEOPLE, ids=repr)
def test_people_are_not(agent: object) -> None:
    assert not is_robot(agent)
