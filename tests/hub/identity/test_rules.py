"""What a site's `identity.yaml` changes, and what it leaves."""

from __future__ import annotations

from edgewise.ids import SubjectId
from hub.identity.resolve import Link, resolve
from hub.identity.rules import DEFAULT_RULES, IdentityFile, Kind, rules_of

SHORT = rules_of(IdentityFile([Kind("email", limit=2)]), b"k" * 32)


def test_a_short_file_changes_what_it_names_and_nothing_else() -> None:
    assert SHORT.of("email") == Kind("email", limit=2)
    for kind in ("previousId", "userId", "phone", "anonymousId", "orderId", "groupId"):
        assert SHORT.of(kind) == DEFAULT_RULES.of(kind)
    ranked = sorted(["userId", "groupId", "email", "previousId", "crm_id"], key=SHORT.rank)
    assert ranked == ["previousId", "email", "userId", "groupId", "crm_id"]


def test_what_a_file_names_it_may_also_weaken() -> None:
    rules = rules_of(IdentityFile([Kind("userId"), Kind("previousId"), Kind("groupId")]), b"k" * 32)
    assert [each.kind for each in rules.kinds[:3]] == ["userId", "previousId", "groupId"]
    assert rules.of("groupId").links_people


def test_colleagues_stay_two_people_under_a_short_file() -> None:
    ann, bob, firm = SubjectId("u1"), SubjectId("u2"), SubjectId("g1")
    links = [Link(each, "userId", firm, "groupId", 1, "n/1/0", vouched=True) for each in (ann, bob)]
    people = resolve(links, [], SHORT)
    assert not any(ann in members and bob in members for members in people)
