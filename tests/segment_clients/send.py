"""What a shop's server sends by the unmodified PyPI client: send.py URL WRITE_KEY WHO. The same calls as send.mjs."""

from __future__ import annotations

import datetime as dt
import sys

from segment.analytics.client import Client  # type: ignore[import-untyped]


def main(host: str, write_key: str, who: str) -> int:
    """How many batches were given up."""
    user_id, anonymous_id, failed = f"user-{who}", f"anon-{who}", []
    now = dt.datetime.now(dt.UTC)
    # Small batches, so that there are several; a batch that fails is tried again.
    client = Client(
        write_key,
        host=host,
        gzip=True,
        upload_size=3,
        upload_interval=0.05,
        max_retries=8,
        on_error=lambda wrong, _batch: failed.append(wrong),
    )
    # Before he was known, while the shop's own line was down: sent now, with the time at which it happened.
    client.page(anonymous_id=anonymous_id, name="Home", properties={"path": "/"}, timestamp=now - dt.timedelta(days=3))
    client.track(
        anonymous_id=anonymous_id,
        event="Product Viewed",
        properties={"product_id": "earl-grey"},
        timestamp=now - dt.timedelta(days=2),
    )
    client.identify(user_id, {"plan": "gold", "email": f"{who}@shop.example"}, anonymous_id=anonymous_id)
    client.track(user_id, "Product Added", {"product_id": "sencha", "price": 9.5, "quantity": 2})
    order = {
        "order_id": "50314b8e9bcf000000000000",
        "products": [{"product_id": "sencha", "price": 9.5, "quantity": 2}],
    }
    for _ in range(2):  # the second is a repetition: counted once
        client.track(user_id, "Order Completed", order, message_id=f"order-{who}")
    client.screen(user_id, name="Settings")
    client.group(user_id, "club", {"tier": "a"})
    client.alias(f"lead-{who}", user_id)
    client.flush()
    client.join()
    for wrong in failed:
        print(wrong, file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
