"""For tests of nodes, ours and yours: a hub in your own process, and a site that signs.

    site = SignedSite("my-shop")
    site.release(small_bundle("my-shop", version=1))
    site.assign(1)
    async with FakeHub(site) as hub:
        ...  # start a node with --hub hub.address; read hub.answers, hub.records

They implement the production interfaces (gRPC, exact TUF metadata), so nothing of a node is replaced.
"""
