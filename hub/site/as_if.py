"""A site as it would be if everything in it were approved: to look at what is to be approved."""

from __future__ import annotations

from typing import Final

import msgspec

from edgewise.bundle.catalogue import content_sha256
from edgewise.bundle.templates import template_sha256
from hub.site.checking_templates import templates_of
from hub.site.files import Approval, Copy, ItemFile
from hub.site.reading import Files

NOBODY: Final = "nobody yet"


def as_if_approved(files: Files) -> Files:
    """The same files with an approval of every content and template as it is now."""
    templates = templates_of(files)
    return files._replace(
        items={item_id: (_item(item), place) for item_id, (item, place) in files.items.items()},
        templates={
            name: (msgspec.structs.replace(file, approved=Approval(NOBODY, template_sha256(templates[name]))), place)
            for name, (file, place) in files.templates.items()
        },
    )


def _item(item: ItemFile) -> ItemFile:
    return msgspec.structs.replace(
        item,
        approved=_approval(item),
        variants=[msgspec.structs.replace(variant, approved=_approval(variant)) for variant in item.variants],
        representations={
            name: msgspec.structs.replace(known, approved=_approval(known))
            for name, known in item.representations.items()
        },
    )


def _approval(copy: Copy) -> Approval:
    return Approval(NOBODY, content_sha256(copy.content))
