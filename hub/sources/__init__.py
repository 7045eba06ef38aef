"""How a business system's rows become Segment calls: declared in a site's `sources/NAME.yaml`, no code of its own.

`document` is what can be declared, `presets` what is shipped, `paths`, `values`, `moments`, `money` and `conditions`
read single cells, and `translate` makes calls of them. Nothing here reads a file or a clock: imports and webhooks do.
"""
