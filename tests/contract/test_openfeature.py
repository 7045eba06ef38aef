"""An OpenFeature SDK from PyPI, unmodified, with its OFREP provider: an experiment and a placement of a real node."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from contract_nodes import Node
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

pytestmark = pytest.mark.process


def somebody(visitor: str = "ann", **attributes: str | bool) -> EvaluationContext:
    return EvaluationContext(visitor, attributes)


@pytest.fixture(scope="module")
def sdk(starter: Node) -> Iterator[OpenFeatureClient]:
    """An application that was configured with nothing but the node's address and the site's write key."""
    key = base64.b64encode(f"{starter.write_key}:".encode()).decode()
    headers = {"Authorization": f"Basic {key}", "Edgewise-Consent": "personalisation=granted"}
    api.set_provider(OFREPProvider(str(starter.http.base_url), headers_factory=lambda: headers))
    yield api.get_client()
    api.clear_providers()


def test_an_sdk_reads_the_arm_of_an_experiment(sdk: OpenFeatureClient, starter: Node) -> None:
    arms = set()
    for number in range(40):
        visitor = f"flagged-{number}"
        told = sdk.get_string_details("home_list", "code default", somebody(visitor))
        assert (told.error_code, told.reason, told.variant) == (None, "SPLIT", told.value)
        decided = starter.decide("home_list", visitor=visitor, consent={"personalisation": "granted"}).json()
        assert told.value == decided["placements"]["home_list"]["experiment"]["arm"]
        assert "decisionId" not in told.flag_metadata
        arms.add(told.value)
    assert arms == {"champion", "challenger"}


def test_an_sdk_reads_what_a_placement_shows(sdk: OpenFeatureClient) -> None:
    told = sdk.get_object_details("placement:home_list", {}, somebody())
    assert told.error_code is None
    assert isinstance(told.value, dict)
    assert len(told.value["items"]) == 6


def test_an_sdk_says_that_it_will_show_a_flag_and_then_that_it_was_seen(sdk: OpenFeatureClient, starter: Node) -> None:
    told = sdk.get_string_details("home_list", "code default", somebody("sees", exposure="deferred"))
    decision = str(told.flag_metadata["decisionId"])
    seen = {"decisionId": decision, "placement": "home_list"}
    assert starter.track("sees", "Promotion Viewed", seen).json() == {"success": True}
    why = starter.ask("GET", f"/v1/why/{decision}")
    assert why.status_code == 200, why.text


def test_an_sdk_falls_back_to_the_code_where_there_is_nothing_to_say(sdk: OpenFeatureClient) -> None:
    unknown = sdk.get_string_details("nowhere", "code default", somebody())
    assert (unknown.value, unknown.error_code) == ("code default", ErrorCode.FLAG_NOT_FOUND)
    assert "home_list" in str(unknown.error_message)
    nobody = sdk.get_string_details("home_list", "code default", EvaluationContext())
    assert (nobody.value, nobody.error_code) == ("code default", ErrorCode.TARGETING_KEY_MISSING)
    wrong = sdk.get_string_details("home_list", "code default", somebody(exposure="soon"))
    assert (wrong.value, wrong.error_code) == ("code default", ErrorCode.INVALID_CONTEXT)
    number = sdk.get_integer_details("home_list", 7, somebody())
    assert (number.value, number.error_code) == (7, ErrorCode.TYPE_MISMATCH)


def test_an_sdk_without_a_key_gets_the_code_default(shop: Node) -> None:
    api.set_provider(OFREPProvider(str(shop.http.base_url)), "keyless")
    told = api.get_client("keyless").get_string_details("home_list", "code default", somebody())
    assert (told.value, told.error_code) == ("code default", ErrorCode.GENERAL)
