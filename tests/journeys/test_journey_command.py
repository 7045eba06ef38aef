"""`edgewise journey` as a person types it, on a hub whose site has two journeys."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_process import edgewise
from release_world import Shop

from edgewise.bundle.policy import decode_policy
from edgewise.errors import UnavailableError
from edgewise.ids import PlacementName
from hub.site.kept_journeys import FILE, kept_journeys

BANNER = "placements: [home_hero]\nleast_known: 0.4\n"
CART = "kind: mail\ntrigger: {event: Product Added}\nsteps: [{treatments: home_list}]\n"
HERO = PlacementName("home_hero")


def test_a_journey_is_listed_held_back_enabled_and_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "ann")
    shop = Shop(tmp_path)
    (shop.site / "journeys").mkdir(exist_ok=True)
    for left in (shop.site / "journeys").iterdir():
        left.unlink()
    (shop.site / "journeys" / "homepage-banner.yaml").write_text(BANNER)
    (shop.site / "journeys" / "abandoned-cart.yaml").write_text(CART)
    there = ("--data-dir", shop.data_dir, "--site", shop.site, "--json")

    def experiment() -> str | None:
        of = shop.releases.preview(shop.contents(), {})
        return decode_policy(of.resources["policy.json"]).placements[HERO].experiment

    assert experiment() is None, "nobody has enabled it"
    told = edgewise(capsys, "journey", "list", *there).told["journeys"]
    assert [(of["name"], of["kind"], of["state"]) for of in told] == [
        ("abandoned-cart", "mail", "off"),
        ("homepage-banner", "page", "off"),
    ]
    shown = edgewise(capsys, "journey", "show", "homepage-banner", *there).told
    assert [(gate["name"], gate["is_open"]) for gate in shown["gates"]] == [("data", False)]
    assert "nobody was active" in shown["gates"][0]["sentence"]

    refused = edgewise(capsys, "journey", "enable", "homepage-banner", *there)
    assert refused.code == 1
    assert "--override REASON" in refused.stderr
    assert edgewise(capsys, "journey", "enable", "homepage-baner", *there).code == 1
    enabled = edgewise(capsys, "journey", "enable", "homepage-banner", "--override", "to look at it", *there)
    assert (enabled.told["who"], enabled.told["reason"]) == ("ann", "to look at it")
    assert experiment() == "home_hero"

    second = edgewise(capsys, "journey", "enable", "abandoned-cart", *there)
    assert "no verdict yet on homepage-banner" in second.stderr

    paused = edgewise(capsys, "journey", "pause", "homepage-banner", "--reason", "enough", *there[:2], "--json")
    assert paused.told["state"] == "paused"
    assert experiment() is None

    assert kept_journeys(shop.data_dir) == {}
    shop.releases.apply(shop.contents(), by="Ann")
    assert set(kept_journeys(shop.data_dir)) == {"homepage-banner", "abandoned-cart"}
    looked = edgewise(capsys, "journey", "run", *there[:2], "--json").told
    assert looked == {"found": 0, "looked": 0, "put": 0, "failed": 0, "damaged": 0}
    (shop.data_dir / FILE).write_text("{")
    with pytest.raises(UnavailableError, match="`edgewise site apply` writes it again"):
        kept_journeys(shop.data_dir)
