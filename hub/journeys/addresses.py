"""Addresses of a mail are whole: what is relative to a page of the site leads nowhere in a mail program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from edgewise.admission.load import Bundle
from edgewise.bundle.templates import ImageVariable, UrlVariable
from edgewise.ids import PlacementName, TemplateName
from edgewise.rendering import ShownItem

_KNOWN: Final = frozenset({"link", "image"})
"""What mails without a template of their own read as addresses."""


def addresses_in(bundle: Bundle, template: TemplateName, placement: PlacementName) -> frozenset[str]:
    """Names of the contents that are addresses: as the mail's template and the placement's declare them."""
    shown = bundle.policy.placements[placement]
    fragment = bundle.templates.fragment(shown.template, shown.format)
    declared = {**bundle.templates.variables(template), **(fragment.template.variables if fragment else {})}
    return _KNOWN | {name for name, variable in declared.items() if isinstance(variable, UrlVariable | ImageVariable)}


def whole(item: ShownItem, names: Iterable[str], base: str) -> ShownItem:
    """An item whose relative addresses lead to the site at `base`; blank: they stay as they are."""
    content = item.content
    if not base or content is None:
        return item
    return item._replace(
        content={**content, **{name: _whole(content[name], base) for name in names if name in content}}
    )


def relative_in(item: ShownItem, names: Iterable[str]) -> str:
    """The first of an item's addresses that leads nowhere; blank: none does."""
    found = (_address(item.content[name]) for name in sorted(names) if item.content and name in item.content)
    return next((address for address in found if address and not urlsplit(address).scheme), "")


def _whole(value: Any, base: str) -> Any:
    if isinstance(value, str):
        return urljoin(base, value)
    if isinstance(value, Mapping) and isinstance(value.get("src"), str):
        return {**value, "src": urljoin(base, value["src"])}
    return value


def _address(value: Any) -> str:
    said = value.get("src") if isinstance(value, Mapping) else value
    return said if isinstance(said, str) else ""
