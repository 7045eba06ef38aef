"""Templates in their sandbox: what is allowed writes what was meant, and everything else is refused with its line."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.templates import (
    ChoiceVariable,
    FlagVariable,
    ImageVariable,
    ListVariable,
    NumberVariable,
    TextVariable,
    UrlVariable,
    Variable,
)
from edgewise.templates.compiled import MOST_WRITTEN, CompiledTemplate
from edgewise.templates.dialect import FRAGMENT, MAIL, Dialect
from edgewise.templates.flaws import TemplateRefused, Unrenderable

DECLARED: Mapping[str, Variable] = {
    "title": TextVariable(required=True),
    "part": TextVariable(),
    "price": NumberVariable(),
    "is_new": FlagVariable(),
    "tone": ChoiceVariable(["warm", "cold"]),
    "link": UrlVariable(),
    "image": ImageVariable(),
    "tags": ListVariable(),
    "products": ListVariable(of={"title": TextVariable(), "image": ImageVariable()}),
    "locale": TextVariable(),
}
VALUES: Mapping[str, Any] = {
    "title": "<b>T & T</b>",
    "part": "a/b&c d",
    "price": 1234.5,
    "is_new": True,
    "tone": "warm",
    "link": "https://shop.example/a?b=1&c=2",
    "image": {"src": "/i.png", "alt": 'a "b"', "width": 30, "height": 20},
    "tags": ["<1>", "two"],
    "products": [{"title": "One", "image": "/1.png"}, {"title": "Two"}],
    "locale": "de-AT",
}


def written(source: str, dialect: Dialect | None = FRAGMENT, **values: Any) -> str:
    """What a source makes of the values."""
    return CompiledTemplate(source, DECLARED, dialect).render({**VALUES, **values})


WRITTEN = [
    ("{{ title }}", "&lt;b&gt;T &amp; T&lt;/b&gt;"),
    ("<i title='{{ title }}'></i>", "<i title='&lt;b&gt;T &amp; T&lt;/b&gt;'></i>"),
    ("{{ price }} {{ price | number(2) }}", "1234.5 1.234,50"),
    ("{% if is_new %}<b>new</b>{% elif price %}x{% else %}y{% endif %}", "<b>new</b>"),
    ('<p class="card card-{{ tone }}"></p>', '<p class="card card-warm"></p>'),
    ('<a href="{{ link }}">x</a>', '<a href="https://shop.example/a?b=1&amp;c=2">x</a>'),
    ('<a href="/q?a=1&amp;p={{ part }}">x</a>', '<a href="/q?a=1&amp;p=a/b%26c%20d">x</a>'),
    ('<a href="{{ link }}&d={{ price }}">x</a>', '<a href="https://shop.example/a?b=1&amp;c=2&amp;d=1234.5">x</a>'),
    (
        '<img src="{{ image.src }}" alt="{{ image.alt }}"{% if image.width %} width="{{ image.width }}"{% endif %}>',
        '<img src="/i.png" alt="a &#34;b&#34;" width="30">',
    ),
    ("{% for tag in tags %}{{ loop.index }}{{ tag }}{% endfor %}", "1&lt;1&gt;2two"),
    ("{% for p in products if p.image %}{{ p.title }}{{ p.image.src }}{% endfor %}", "One/1.png"),
    (
        "{{ tags | join(' + ') }} {{ tags | length }} {{ tags[1] }} {{ tags | first }}",
        "&lt;1&gt; + two 2 two &lt;1&gt;",
    ),
    ("{{ 'two' in tags and price > 3 }}", "true"),
    ("{{ part | default('none') | upper }} {{ title | cut(5) }}", "A/B&amp;C D &lt;b&gt;T…"),
    ("{# nothing #}{{ 'a' ~ price if is_new else 'b' }}", "a1234.5"),
]


@pytest.mark.parametrize(("source", "expected"), WRITTEN, ids=[source for source, _ in WRITTEN])
def test_written(source: str, expected: str) -> None:
    """Values stand where they were put, escaped for that place."""
    assert written(source) == expected


def test_missing_values() -> None:
    """A value that is missing and not required is nothing, false, or an empty list."""
    source = (
        "[{{ part }}{{ price | number }}{% if link or image or is_new %}x{% endif %}{% for t in tags %}y{% endfor %}]"
    )
    assert CompiledTemplate(source, DECLARED, FRAGMENT).render({"title": "T"}) == "[]"


def test_plain_text() -> None:
    """In plain text nothing is markup, so nothing is escaped."""
    assert written("<{{ title }}> {{ link }}\n", None) == "<<b>T & T</b>> https://shop.example/a?b=1&c=2\n"


def test_a_mail_is_a_page() -> None:
    """A mail has a head, styles that are written out, and comments for the programs that need them."""
    source = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>'
        "<style>p > a { color: red }</style></head><body><!--[if mso]><p>x</p><![endif]-->"
        '<table role="presentation"><tr><td style="padding: 0" width="{{ price }}">{{ title }}</td></tr></table>'
        "</body></html>"
    )
    assert "&lt;b&gt;T &amp; T&lt;/b&gt;</td>" in written(source, MAIL)
    with pytest.raises(TemplateRefused):
        written(source, FRAGMENT)


# Each with the line of what is wrong.
REFUSED: list[tuple[int, str]] = [
    # what runs, loads or asks
    (2, "\n<script>{{ title }}</script>"),
    (1, "<style>p { color: {{ title }} }</style>"),
    (1, "<iframe src='/x'></iframe>"),
    (1, "<object data='/x'></object>"),
    (1, "<embed src='/x'>"),
    (1, "<svg><a href='/x'></a></svg>"),
    (1, "<math></math>"),
    (1, "<base href='/x'>"),
    (1, "<meta charset='utf-8'>"),
    (1, "<link href='/x'>"),
    (1, "<form action='/x'></form>"),
    (1, "<input value='x'>"),
    (1, "<button>x</button>"),
    (1, "<template></template>"),
    (1, "<x-card></x-card>"),
    (1, "<p onclick='x()'></p>"),
    (1, "<p style='color: red'></p>"),
    (1, "<p id='x'></p>"),
    (1, "<a ping='/x' href='/x'>x</a>"),
    (1, "<a href='/x' target='main'>x</a>"),
    (1, "<img srcset='/x 2x' alt='' src='/x'>"),
    (1, "<p data-edgewise-item='x'></p>"),
    (1, "<p data-hx-get='/x'></p>"),
    (1, "<!-- {{ title }} -->"),
    # where escaping does not help
    (1, "<{{ title }}>"),
    (1, "<p {{ title }}></p>"),
    (1, "<p {{ title }}='x'></p>"),
    (1, "<p title={{ title }}></p>"),
    (1, "<p title=x{{ title }}></p>"),
    (1, "<p tit{{ part }}='x'></p>"),
    (1, "<p class='{{ title }}'></p>"),
    (1, "<p lang='{{ title }}'></p>"),
    (1, "<a href='/' target='{{ title }}'>x</a>"),
    (1, "<img src='/x' alt='' width='{{ title }}'>"),
    (3, "<a\n href='\n{{ link }}"),
    # addresses
    (1, "<a href='javascript:alert(1)'>x</a>"),
    (1, "<a href='java&#115;cript:alert(1)'>x</a>"),
    (1, "<a href='&#1;javascript:alert(1)'>x</a>"),
    (1, "<a href='data:text/html,x'>x</a>"),
    (1, "<a href='//evil.example'>x</a>"),
    (1, "<a href='{% if title %}/x{% endif %}'>x</a>"),
    (1, "<a href='/{% for t in tags %}{{ t }}{% endfor %}'>x</a>"),
    # a page that browsers would mend
    (1, "<p>"),
    (1, "</p>"),
    (1, "<p></div>"),
    (1, "</div><div>"),
    (1, "<p/>"),
    (1, "<p title='a'title='b'></p>"),
    (1, "<p title='a' title='b'></p>"),
    (1, "<p title='a"),
    (1, "<img src='/x'>"),
    (1, "<a href='/x'><b><a href='/y'>x</a></b></a>"),
    (1, "a < b"),
    (1, "a \x00 b"),
    (1, "{% if title %}<p>{% endif %}</p>"),
    (1, "{% if title %}<p>{% else %}<b>{% endif %}</p>"),
    (1, "{% for t in tags %}<p>{% endfor %}"),
    (1, "<p {% for t in tags %}title='x' {% endfor %}></p>"),
    (1, "<p{% if title %}x{% endif %}></p>"),
    # what reaches for Python
    (1, "{{ ''.__class__.__mro__ }}"),
    (1, "{{ title.__class__ }}"),
    (1, "{{ title['__class__'] }}"),
    (1, "{{ title.format(1) }}"),
    (1, "{{ tags.append('x') }}"),
    (1, "{{ products[0].items }}"),
    (1, "{{ loop }}"),
    (1, "{{ self }}"),
    (1, "{{ self._TemplateReference__context }}"),
    (1, "{{ cycler.__init__.__globals__ }}"),
    (1, "{{ lipsum.__globals__ }}"),
    (1, "{{ namespace() }}"),
    (1, "{{ title | attr('__class__') }}"),
    (1, "{{ title | format }}"),
    (1, "{{ title | safe }}"),
    (1, "{{ title | map('upper') }}"),
    (1, "{{ title | upper(x=1) }}"),
    (1, "{{ title | cut(*tags) }}"),
    (1, "{% filter safe %}{{ title }}{% endfilter %}"),
    (1, "{% autoescape false %}{{ title }}{% endautoescape %}"),
    (1, "{% for c in title.__class__ %}{% endfor %}"),
    (1, "{% for t in tags %}{{ loop.__class__ }}{% endfor %}"),
    (1, "{% for t in tags %}{{ loop.cycle('a') }}{% endfor %}"),
    # what grows without bound
    (1, "{{ 'x' * 1000000000 }}"),
    (1, "{{ 9 ** 99999 }}"),
    (1, "{{ '%1000000000d' % 1 }}"),
    (1, "{% for t in range(1000000000) %}x{% endfor %}"),
    (1, "{% for t in [1, 2] %}x{% endfor %}"),
    (1, "{% for t in 'xxx' %}x{% endfor %}"),
    (1, "{% for a in tags %}{% for b in tags %}{% for c in tags %}x{% endfor %}{% endfor %}{% endfor %}"),
    (1, "{% for t in tags recursive %}x{% endfor %}"),
    (1, "{{ " + "(" * 2_000 + "title" + ")" * 2_000 + " }}"),
    (1, "{{ " + "not " * 40 + "title }}"),
    (1, "{% if title %}" * 30 + "x" + "{% endif %}" * 30),
    (1, "x" * 100_001),
    # other templates, names of its own
    (1, "{% include 'x' %}"),
    (1, "{% import 'x' as x %}"),
    (1, "{% from 'x' import y %}"),
    (1, "{% extends 'x' %}"),
    (1, "{% block x %}{% endblock %}"),
    (1, "{% macro x() %}{% endmacro %}"),
    (1, "{% set x = title %}"),
    (1, "{% set x %}y{% endset %}"),
    (1, "{% with x = title %}{% endwith %}"),
    # what was not declared, or not so
    (3, "\n\n{{ titel }}"),
    (1, "{{ image }}"),
    (1, "{{ image.url }}"),
    (1, "{{ products }}"),
    (1, "{{ products | join }}"),
    (1, "{{ tags | upper }}"),
    (1, "{{ title | upperr }}"),
    (1, "{{ title is odder }}"),
    (1, "{{ title if is_new }}"),
    (1, "{% for title in tags %}{% endfor %}"),
    (1, "{% for a, b in products %}{% endfor %}"),
    (2, "x\n{{ title"),
    (1, "{% if title %}"),
]


@pytest.mark.parametrize(("line", "source"), REFUSED, ids=[source[:60] for _, source in REFUSED])
def test_refused(line: int, source: str) -> None:
    """It is not compiled, and the message says where and what."""
    with pytest.raises(TemplateRefused) as refused:
        CompiledTemplate(source, DECLARED, FRAGMENT)
    assert refused.value.line == line
    assert refused.value.code == "template"


STYLES = ["p{background:url(x)}@import 'x';", "p{width:expression(1)}", "p{behavior:url(x)}", "p{a:'\\6a'}"]


@pytest.mark.parametrize("style", STYLES)
def test_styles_of_a_mail_load_no_code(style: str) -> None:
    """Nor through the entities of an attribute."""
    with pytest.raises(TemplateRefused):
        CompiledTemplate(f"<style>{style}</style>", {}, MAIL)
    with pytest.raises(TemplateRefused):
        CompiledTemplate(f'<p style="{style.replace("e", "&#101;")}"></p>', {}, MAIL)


UNRENDERABLE: list[tuple[str, dict[str, Any]]] = [
    ('<a href="{{ part }}">x</a>', {"part": "javascript:alert(1)"}),
    ('<a href="{{ part }}">x</a>', {"part": "java\tscript:alert(1)"}),
    ('<a href="{{ part }}:{{ title }}">x</a>', {"part": "javascript", "title": "alert(1)"}),
    ('<a href="{{ part }}script:alert(1)">x</a>', {"part": "java"}),
    ('<a href="{{ part }}/evil.example">x</a>', {"part": "/"}),
    ('<a href="{{ link }}">x</a>', {"link": None}),
    ('<a href="{{ link }}">x</a>', {"link": "vbscript:x"}),
    ('<img src="{{ image.src }}" alt="">', {"image": {"src": "data:image/svg+xml,x"}}),
    ("{{ title > price }}", {}),
    ("{{ tags[7] }}", {}),
    ("{{ image.src }}", {"image": None}),
]


@pytest.mark.parametrize(("source", "values"), UNRENDERABLE, ids=[str(case) for case in UNRENDERABLE])
def test_unrenderable(source: str, values: dict[str, Any]) -> None:
    """An address is judged when it is whole, and nothing half is written."""
    with pytest.raises(Unrenderable):
        written(source, **values)


def test_line_of_what_cannot_be_rendered() -> None:
    """The line is of the source."""
    with pytest.raises(Unrenderable) as wrong:
        written('{{ title }}\n\n<a href="{{ part }}:x">x</a>', part="javascript")
    assert wrong.value.line == 3


def test_bounded_output() -> None:
    """Lists in lists of long texts are the most that a template can do, and they are cut off."""
    declared = {"tags": ListVariable(most=50, most_characters=5_000)}
    source = "{% for a in tags %}{% for b in tags %}{{ a }}{{ b }}{% endfor %}{% endfor %}"
    with pytest.raises(Unrenderable, match=str(MOST_WRITTEN)):
        CompiledTemplate(source, declared, FRAGMENT).render({"tags": ["x" * 5_000] * 50})


HOSTILE = st.text(st.sampled_from("<>\"'`=&;:/\\#?{%}|javscriptonle \t\n\x00\u202e\u2028"), max_size=40) | st.text(
    max_size=40
)


@given(HOSTILE, HOSTILE, st.lists(HOSTILE, max_size=3))
def test_no_value_is_markup(title: str, part: str, tags: list[str]) -> None:
    """With any values the page has the elements that its source has, in its order; or it is not written."""
    source = (
        '<p title="{{ title }}">{{ part }}</p>{% for tag in tags %}<i>{{ tag }}</i>{% endfor %}'
        '{% if part %}<a href="{{ part }}{{ title }}">{{ title }}</a>{% endif %}'
    )
    try:
        page = CompiledTemplate(source, DECLARED, FRAGMENT).render({"title": title, "part": part, "tags": tags})
    except Unrenderable:
        return
    # Every `<` of the page is one of the source's own.
    has_link = "<a" in page
    assert page.count("<") == 2 + 2 * len(tags) + 2 * has_link
    assert page.count('"') == 2 + 2 * has_link


@given(HOSTILE)
def test_values_are_never_templates(text: str) -> None:
    """What looks like a template in a value is text."""
    assert "49" not in written("{{ part }}", None, part="{{ 7 * 7 }}{% raw %}" + text.replace("4", ""))


WORDS = """{{ }} {% %} {# #} if else elif endif for in endfor title part tags products image loop . [ ] 0 ( ) |
 upper cut join number is none not and == < > ' " , : <p> </p> <a href=' ' <img alt=' '> javascript: &#1; set raw endraw
 * ** true"""


@given(
    st.lists(st.sampled_from(WORDS.split()) | st.text(max_size=3), max_size=20).map(" ".join),
    st.sampled_from([FRAGMENT, MAIL, None]),
)
def test_any_source_is_compiled_or_refused(source: str, dialect: Dialect | None) -> None:
    """Nothing else is ever raised: a bundle with it is refused by name and line, and no node stumbles over it."""
    line = 1
    try:
        CompiledTemplate(source, DECLARED, dialect).render(VALUES)
    except TemplateRefused as refused:
        line = refused.line
    except Unrenderable as wrong:
        line = max(1, wrong.line)
    # What Jinja takes for a line may end otherwise than by \n.
    assert 1 <= line <= len(source.splitlines()) + 1
