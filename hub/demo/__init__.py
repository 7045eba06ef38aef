"""`edgewise demo`: a film shop on real behaviour, with a hub, two edge nodes and a page, on one machine."""
