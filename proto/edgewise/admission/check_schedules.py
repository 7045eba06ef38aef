"""Whether schedules can be asked: their zones come with the policy, and what they say names days that exist."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from edgewise.bundle.catalogue import Catalogue
from edgewise.bundle.clocks import DAY_S, local_seconds
from edgewise.bundle.manifest import CATALOGUE, POLICY
from edgewise.bundle.policy import Policy
from edgewise.bundle.refusal import require
from edgewise.bundle.schedules import Schedule, Zone, ZoneName

MOST_ZONES: Final = 256
MOST_CHANGES: Final = 1_024
"""Of one zone's clocks."""
MOST_SCHEDULES: Final = 1_024
"""Different ones of the items: each is asked once a minute."""
MOST_DATES: Final = 2_000


def check_schedules(policy: Policy, catalogue: Catalogue) -> None:
    """Raises BundleRefused."""
    zones = policy.site.zones
    message = f"{len(zones)} time zones, at most {MOST_ZONES} are taken"
    require(len(zones) <= MOST_ZONES, "too_large", POLICY, message, "$.site.zones")
    for name, zone in zones.items():
        _check_zone(zone, f"$.site.zones.{name}")
    for placement_name, placement in policy.placements.items():
        if placement.schedule is not None:
            _check(placement.schedule, zones, POLICY, f"$.placements.{placement_name}.schedule")
    different: set[bytes] = set()
    for place, item in enumerate(catalogue.items):
        if item.schedule is not None:
            _check(item.schedule, zones, CATALOGUE, f"$.items[{place}].schedule")
            different.add(item.schedule.key)
    message = f"{len(different)} different schedules, at most {MOST_SCHEDULES} are taken"
    require(len(different) <= MOST_SCHEDULES, "too_large", CATALOGUE, message, "$.items")


def _check_zone(zone: Zone, path: str) -> None:
    require(1 <= len(zone) <= MOST_CHANGES, "invalid", POLICY, f"{len(zone)} changes; expected 1 to 1,024", path)
    ascends = all(earlier[0] < later[0] for earlier, later in pairwise(zone))
    require(ascends, "invalid", POLICY, "changes of clocks are not in the order of time", path)
    is_day = all(abs(offset) < DAY_S for _, offset in zone)
    require(is_day, "invalid", POLICY, "clocks that differ from UTC by a day and more", path)


def _check(schedule: Schedule, zones: Mapping[ZoneName, Zone], resource: str, path: str) -> None:
    is_there = schedule.timezone in zones
    message = f"no time zone {schedule.timezone!r} in the policy"
    require(is_there, "dangling", resource, message, f"{path}.timezone")
    message = f"opens and closes at {schedule.from_}"
    require(schedule.from_ != schedule.to, "invalid", resource, message, f"{path}.to")
    require(schedule.from_ != "24:00", "invalid", resource, "opens at 24:00; say 00:00", f"{path}.from")
    for key, moment in (("starts", schedule.starts), ("ends", schedule.ends)):
        require(moment is None or _exists(moment), "invalid", resource, f"no such day: {moment}", f"{path}.{key}")
    dates = len(schedule.dates) + len(schedule.except_)
    require(dates <= MOST_DATES, "too_large", resource, f"{dates} dates, at most {MOST_DATES} are taken", path)


def _exists(moment: str) -> bool:
    try:
        local_seconds(moment)
    except ValueError:
        return False
    return True
