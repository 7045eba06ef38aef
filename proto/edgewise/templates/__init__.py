"""Templates: how contents become HTML, and nothing but HTML that was meant.

A source is Jinja in a sandbox of its own (`compiled`): it may ask only for variables that are declared
(`edgewise.bundle.templates`), and a value stands only where escaping it is enough (`markup`, `pages`). Whoever renders
something else than an item of a placement, a mail for example, takes the same two steps:

    >>> from edgewise.bundle.templates import ListVariable, TextVariable, UrlVariable
    >>> from edgewise.templates.compiled import CompiledTemplate
    >>> from edgewise.templates.dialect import MAIL
    >>> declared = {"name": TextVariable(required=True), "link": UrlVariable(), "products": ListVariable()}
    >>> greeting = CompiledTemplate('<p>Hello {{ name }}</p>', declared, MAIL)
    >>> greeting.render({"name": "Ann & Bob"})
    '<p>Hello Ann &amp; Bob</p>'
    >>> CompiledTemplate("Hello {{ name }}", declared, None).render({"name": "Ann & Bob"})  # None: plain text
    'Hello Ann & Bob'

`TemplateRefused` says the line of a source that is not allowed, `Unrenderable` the value that does not fit.
Templates of a release are in its bundle: `bundle.templates.mail(NAME, LOCALE)` has the parts of a mail,
`edgewise.rendering` shows a placement.
"""
