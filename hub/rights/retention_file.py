"""What a site's folder says of retention: `retention.yaml`, and `retention` in its sources."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hub.rights.retention import Retention, SourceRetention
from hub.site.files import RetentionFile
from hub.site.loading import load_site


def retention_of(site: Path) -> Retention:
    """Both together.

    Raises:
        SiteError: everything that is wrong with the site, with file and line.
    """
    contents = load_site(site)
    sources = getattr(contents, "sources", {})
    return Retention(
        site=contents.retention or RetentionFile(),
        sources={
            name: msgspec.convert(msgspec.to_builtins(document.retention), SourceRetention)
            for name, document in sources.items()
        },
    )
