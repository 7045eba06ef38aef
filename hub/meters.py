"""What the hub counts while it runs, for Prometheus; a registry of its own, so that two hubs fit into one process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Meters:
    """Names are a contract (dashboards read them)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.ingested = Counter(
            "edgewise_ingest_events",
            "Records stored, by the table that took them; `duplicates` were stored before.",
            ["table"],
            registry=self.registry,
        )
        self.holes = Counter(
            "edgewise_ingest_holes",
            "Batches cut short because records before them are missing.",
            registry=self.registry,
        )
        self.store_seconds = Histogram(
            "edgewise_ingest_store_seconds",
            "One storing transaction, from taking its batches to its commit.",
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
            registry=self.registry,
        )
        self.inbox_bytes = Gauge("edgewise_inbox_bytes", "Records that wait to be stored.", registry=self.registry)
        self.hook_deliveries = Counter(
            "edgewise_webhook_deliveries",
            "Deliveries of sources' webhooks: taken, taken_in_part, unreadable, unproven, refused, ping.",
            ["source", "outcome"],
            registry=self.registry,
        )
        self.hook_rows = Counter(
            "edgewise_webhook_rows",
            "What became of their rows: stored, known, passed_over, rejected (kept aside at the hub).",
            ["source", "outcome"],
            registry=self.registry,
        )
        self.streams = Gauge("edgewise_streams", "Open gRPC streams, by method.", ["method"], registry=self.registry)
        self.pushed = Counter(
            "edgewise_profile_news", "Profile news sent to nodes, by kind.", ["kind"], registry=self.registry
        )
        self.interest = Gauge(
            "edgewise_profile_interest", "Profiles that nodes follow, summed over nodes.", registry=self.registry
        )
        self.interest_dropped = Counter(
            "edgewise_profile_interest_dropped",
            "Profiles that a node followed beyond its bound; its oldest were let go.",
            registry=self.registry,
        )
        self.offers = Counter("edgewise_offers", "Offers sent to nodes.", registry=self.registry)
        self.answers = Counter(
            "edgewise_offer_answers", "What nodes answered to offers.", ["answer"], registry=self.registry
        )
