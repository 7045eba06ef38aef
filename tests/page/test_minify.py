"""Our scripts made small: the same program, without what only people read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from edge.browser.minify import minify
from edge.browser.script import MOST_CLIENT_BYTES, SCRIPTS, script, source


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    with chromium.new_page() as blank:
        yield blank


@pytest.mark.parametrize(
    ("written", "small"),
    [
        ("// a word\nconst apple = 1; /* two\nlines */ use(apple);", "let a=1;use(a);"),
        ("const first = 1; const second = first; let third;", "let a=1,b=a,c;"),
        ("if (known) { const one = 1; } const two = 2;", "if(known){let a=1}let b=2;"),
        ('const text = "a // b  c"; use(text);', 'let a="a // b  c";use(a);'),
        ("use(/[/\\s]+ a/g, b / c / d);", "use(/[/\\s]+ a/g,b/c/d);"),
        ("const way = 1; use({ path: way, other: 1 }, x.path);", "let a=1;use({path:a,other:1},x.path);"),
        ("const path = 1; use({ path });", "let path=1;use({path});"),
        ("const path = 1; use(x.path, path);", "let path=1;use(x.path,path);"),
        ("const make = (given) => given + +given;", "let b=a=>a+ +a;"),
        ("const make = (one, two = 2) => { use(one++, two--); };", "let c=(a,b=2)=>{use(a++,b--)};"),
        ("for (const [name, ...rest] of all) use(name, rest);", "for(let[a,...b]of all)use(a,b);"),
        ("for (;;); while (x);", "for(;;);while(x);"),
        ("const run = () => { while (take()); };", "let a=()=>{while(take());};"),
        ("const o = { run(to) { return to; }, a: true };", "let b={run(to){return to},a:!0};"),
        ("try { a(); } catch (wrong) { use(wrong); }", "try{a()}catch(b){use(b)}"),
        ("use([1, 2,], { a: 1, });", "use([1,2],{a:1});"),
        ("const half = x < .5 ? x?.y : .5; use(half);", "let a=x<.5?x?.y:.5;use(a);"),
        ("use(a); const bee = 2; use(bee);", "use(a);let b=2;use(b);"),
    ],
)
def test_what_is_written_becomes_this(written: str, small: str) -> None:
    assert minify(written) == small


@pytest.mark.parametrize("foreign", ["const a = `${b}`;", 'use("not closed);', "use('', \"a\n\");", "class A { #b }"])
def test_what_is_not_understood_is_refused_with_its_line(foreign: str) -> None:
    with pytest.raises(ValueError, match=r"line 2: .* is not understood here"):
        minify("use(1);\n" + foreign)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_loses_a_third_at_least_and_its_comments(name: str) -> None:
    small = script(name).small.decode()
    assert len(small) < len(source(name)) * 2 / 3
    assert "\n" not in small
    assert "/*" not in small


def test_the_client_stays_below_its_bound() -> None:
    assert len(script("edgewise.js").packed) <= MOST_CLIENT_BYTES < 3_000


names = st.sampled_from(["apple", "banana", "cherry", "apple2", "a", "b"])
values = st.integers(0, 9).map(str) | names
statements = st.one_of(
    st.builds("{} += {};".format, names, values),
    st.builds("seen.push({{ {0}, {1}: {2} }});".format, names, names, values),
    st.builds("if ({} > {}) {{ const {} = 7; seen.push({}); }}".format, names, values, names, names),
    st.builds("seen.push(((apple) => {{ return apple - -{}; }})({}));".format, values, values),
    st.builds('seen.push("a // {}" + {}.toString());'.format, names, names),
    st.builds("for (const [{}] of [[{}], [2]]) seen.push({});".format, names, values, names),
)
bodies = st.lists(statements, max_size=8).map("\n".join)


@pytest.mark.process
@settings(max_examples=5, deadline=None)
@given(st.lists(bodies, min_size=60, max_size=60))
def test_the_small_program_does_what_the_written_one_does(page: Page, written: list[str]) -> None:
    programs = [
        "((seen) => { let apple = 1; let banana = 2; let cherry = 3; let apple2 = 4; let a = 5; let b = 6;\n"
        + body
        + "\nseen.push(apple, banana, cherry, apple2, a, b); return seen; })([])"
        for body in written
    ]
    run = "programs => programs.map(program => { try { return eval(program) } catch (error) { return error.name } })"
    assert page.evaluate(run, [minify(program) for program in programs]) == page.evaluate(run, programs)
