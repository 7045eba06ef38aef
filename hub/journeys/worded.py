"""The words of a mail: what was decided, by the site's own template, or composed of it without one.

A mail that is due is not kept back by a template: where what was decided does not fit it, the mail is composed without
it, and says so to whoever sends it (`Worded.trouble`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from edgewise.admission.load import Bundle
from edgewise.decision import ChosenItem, Decision
from edgewise.ids import PlacementName
from edgewise.promises import NO_PROMISES, Promises, promised_content
from edgewise.rendering import Links, ShownItem, content_of, render_placement, render_undecided
from edgewise.templates.flaws import Unrenderable
from edgewise.templates.mail_values import Around, Listed, mail_values
from hub.journeys.addresses import addresses_in, relative_in, whole
from hub.journeys.planning import placements_of_step
from hub.mail.composing import PREFERENCES, UNSUBSCRIBE
from hub.site.journey_file import StepFile

_NAMES: Final = ("name", "first_name")
"""Fields of the vault, the first that is there."""
_IN_CART: Final = "You left it in your cart."
"""Why, of what nobody decided."""


class Voice(NamedTuple):
    """Who writes: the same in every mail."""

    links: Links = Links()
    sender: str = ""
    address: str = ""
    site: str = ""
    """Where relative addresses of contents lead: `https://shop.example/`."""


class Chosen(NamedTuple):
    """What a mail is about to say."""

    bundle: Bundle
    decision: Decision
    promises: Promises = NO_PROMISES
    cart: Sequence[ShownItem] = ()
    """What its reader left in the cart: the list of products begins with it."""
    site: str = ""
    addresses: Mapping[PlacementName, frozenset[str]] = {}
    """Names of contents whose addresses are made whole by `site`."""

    def shown(self, name: PlacementName) -> list[ShownItem]:
        """The items that were decided for a placement, with their content."""
        names = self.addresses.get(name, ())
        items = (
            ShownItem(item.id, item.rank, item.reason, self._content(name, item))
            for item in self.decision.placements[name].items
        )
        return [whole(item, names, self.site) for item in items]

    def why(self, step: StepFile) -> tuple[str, ...]:
        """The sentences behind what is shown, each once: a mail brings them along, as no edge knows its decision."""
        decided = [item for name in placements_of_step(step) for item in self.decision.placements[name].items]
        sentences = [why.text for item in decided for why in item.why]
        return tuple(dict.fromkeys([*([_IN_CART] if self.cart else []), *sentences]))

    def _content(self, name: PlacementName, item: ChosenItem) -> Mapping[str, Any] | None:
        variant = item.variant if isinstance(item.variant, str) else ""
        content = content_of(self.bundle, item.id, variant, self.bundle.policy.placements[name].format)
        promise = self.promises.get(item.id)
        if content is None or promise is None:
            return content
        policy = self.bundle.policy
        return promised_content(content, promise, policy.offers[promise.promotion], policy.site.currency)


class Worded(NamedTuple):
    """The parts of a mail."""

    subject: str
    text: str
    html: str
    trouble: str = ""
    """What could not be said as it was meant, and why; blank: nothing."""


def worded(
    chosen: Chosen, step: StepFile, *, journey: str, contact: Mapping[str, Any], locale: str, voice: Voice
) -> Worded | None:
    """The parts of a mail; None: nothing is offered.

    Links of its reader's own stand as `hub.mail.composing` finds them. `contact`: fields of the vault; `journey`: the
    subject of a treatment that says none.
    """
    chosen, nowhere = _with_whole_addresses(chosen, step, voice.site)
    offered = chosen.shown(step.treatments)
    if not offered:
        return None
    relative = [f"{nowhere} leads nowhere in a mail: write all of it, or set mail_site"] if nowhere else []
    trouble: list[str] = []
    if step.template:
        try:
            said = _by_template(chosen, step, offered[0], contact=contact, locale=locale, voice=voice)
            return said._replace(trouble="; ".join(relative))
        except Unrenderable as unfit:
            trouble = [f"without its template {step.template!r}: {offered[0].id}: {unfit.message}"]
    parts = [_Part(step.treatments, offered, is_decided=True)]
    if step.products is not None:
        parts += [_Part(step.products, chosen.cart, is_decided=False)] if chosen.cart else []
        parts += [_Part(step.products, chosen.shown(step.products), is_decided=True)]
    left_out: list[str] = []
    html = "".join(_html(chosen, part, locale, voice, left_out) for part in parts)
    return Worded(
        _subject(offered, journey),
        _text([item for part in parts for item in part.items]),
        html,
        "; ".join([*trouble, *left_out, *relative]),
    )


def _with_whole_addresses(chosen: Chosen, step: StepFile, site: str) -> tuple[Chosen, str]:
    """The same with addresses that lead somewhere, and one that does not all the same; blank: all do."""
    names = {name: addresses_in(chosen.bundle, step.template, name) for name in placements_of_step(step)}
    listed = names[step.products] if step.products is not None else frozenset[str]()
    cart = [whole(item, listed, site) for item in chosen.cart]
    chosen = chosen._replace(site=site, addresses=names, cart=cart)
    shown = [(item, listed) for item in cart] + [(item, names[name]) for name in names for item in chosen.shown(name)]
    return chosen, next(filter(None, (relative_in(item, of) for item, of in shown)), "")


class _Part(NamedTuple):
    placement: PlacementName
    items: Sequence[ShownItem]
    is_decided: bool


def _by_template(
    chosen: Chosen, step: StepFile, treatment: ShownItem, *, contact: Mapping[str, Any], locale: str, voice: Voice
) -> Worded:
    """Raises Unrenderable."""
    parts = chosen.bundle.templates.mail(step.template, locale)
    if parts is None:
        raise Unrenderable("the release has no such template that somebody approved")
    base = voice.links.why_base.rstrip("/")
    around = Around(
        locale=locale,
        name=next((contact[key] for key in _NAMES if isinstance(contact.get(key), str)), ""),
        sender=voice.sender,
        address=voice.address,
        why_link=Links(base).why(chosen.decision.decision_id),
        preferences_link=f"{base}{PREFERENCES}",
        unsubscribe_link=f"{base}{UNSUBSCRIBE}",
    )
    given = mail_values(treatment.content or {}, _listed(chosen, step), around)
    said = Worded(parts.subject.render(given).strip(), parts.text.render(given), parts.html.render(given))
    if not said.subject or not said.html.strip():
        raise Unrenderable(f"its {'HTML' if said.subject else 'subject'} is blank")
    return said


def _listed(chosen: Chosen, step: StepFile) -> Iterator[Listed]:
    if step.products is None:
        return
    for item in chosen.cart:
        yield Listed(item.id, item.content or {}, _IN_CART)
    whys = {item.id: item.why for item in chosen.decision.placements[step.products].items}
    for item in chosen.shown(step.products):
        yield Listed(item.id, item.content or {}, next((why.text for why in whys[item.id]), ""))


def _html(chosen: Chosen, part: _Part, locale: str, voice: Voice, left_out: list[str]) -> str:
    def trouble(item: str, why: str) -> None:
        left_out.append(f"its HTML has no {item}: {why}")

    if not part.is_decided:
        return render_undecided(chosen.bundle, part.placement, part.items, locale=locale, trouble=trouble)
    return render_placement(
        chosen.bundle,
        part.placement,
        part.items,
        locale=locale,
        decision_id=chosen.decision.decision_id,
        deferred=False,
        links=voice.links,
        trouble=trouble,
    )


def _subject(items: Sequence[ShownItem], journey: str) -> str:
    content = items[0].content or {}
    return next((_word(content, key) for key in ("subject", "title") if _word(content, key)), journey)


def _text(items: Sequence[ShownItem]) -> str:
    """The plain part: title, text, code and link of each, a blank line between."""
    keys = ("title", "text", "code", "link")
    parts = ([_word(item.content, key) for key in keys] for item in items if item.content is not None)
    return "\n\n".join("\n".join(line for line in lines if line) for lines in parts if any(lines))


def _word(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key, "")
    return value if isinstance(value, str) else ""
