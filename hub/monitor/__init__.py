"""Whether a model still meets what it was trained for: `edgewise model watch`.

`reading` takes what a model saw, scored and brought out of the ledger, `windows` cuts it into stretches of time,
`distances` says how far one stretch is from the others, `alarms` how far is farther than ever before, `freshness`
whether anything came at all, `watch` puts it together, `page` shows it, and `keeping` remembers it.
"""
