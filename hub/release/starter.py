"""The starter bundle: version 0, what an edge serves when it has never heard of a hub.

Made from the invented site and a small model of its simulated visitors. Building it again gives the same bundle,
byte for byte; it is signed by a root whose keys are thrown away, so that nobody can ever sign another one.

    root.json               the root to trust
    metadata/*.json         timestamp, snapshot, targets (and the delegated roles)
    bundle/manifest.json    and the resources that it names

`python -m hub.release.starter FOLDER` writes it, unless the folder holds the same bundle already.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from edgewise.bundle.manifest import MANIFEST
from edgewise.clock import SystemClock
from edgewise.ids import BundleVersion, ModelName
from edgewise.terminal import Terminal
from hub.durable import replace_file
from hub.keys import make_keys
from hub.release.bundle import BuiltBundle, build_bundle, check_bundle
from hub.release.candidates import write_bundle
from hub.release.chain import LIFE_S
from hub.release.repository import Repository
from hub.release.starter_model import NOW_MS, train_starter_model
from hub.site.loading import SiteContents, load_site
from hub.site.starting import invented_files, write_site, yaml_files

VERSION: Final = BundleVersion(0)
WRITE_KEY: Final = "demo"
EXPIRES_MS: Final = 4_102_444_800_000
"""2100-01-01, for bundle and signatures: what ships with a program does not run out before it."""
MODEL: Final = ModelName("hero")


def starter_contents() -> SiteContents:
    """The invented site with the starter's own placements."""
    with tempfile.TemporaryDirectory(prefix="edgewise-starter-") as folder:
        files = invented_files() | yaml_files("hub.release", "starter_site")
        write_site(Path(folder), files, write_key=WRITE_KEY, by="Edgewise")
        return load_site(Path(folder))


def build_starter() -> BuiltBundle:
    """The starter bundle, the same at every call; checked by the edge's own rules and scorer."""
    contents = starter_contents()
    built = build_bundle(
        contents,
        {MODEL: train_starter_model(contents)},
        version=VERSION,
        parent=None,
        created_ms=NOW_MS,
        expires_ms=EXPIRES_MS,
        provenance={"made_by": "python -m hub.release.starter", "visitors": "simulated"},
    )
    check_bundle(built, now_ms=NOW_MS)
    return built


def write_starter(folder: Path, built: BuiltBundle) -> bool:
    """Sign the bundle with keys that are thrown away and write it; False when the folder holds it already."""
    manifest = folder / "bundle" / MANIFEST
    if manifest.exists() and manifest.read_bytes() == built.manifest_bytes:
        return False
    for part in ("bundle", "metadata"):
        shutil.rmtree(folder / part, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="edgewise-starter-") as throw_away:
        make_keys(Path(throw_away))
        clock = SystemClock()
        lives_s = dict.fromkeys(LIFE_S, (EXPIRES_MS - clock.now_ms()) // 1_000)
        repository = Repository(Path(throw_away), clock, lives_s=lives_s)
        repository.create(built.manifest.site)
        repository.publish_release(built.manifest_bytes, built.resources)
        for name in repository.metadata_names():
            replace_file(folder / "metadata" / name, repository.metadata(name) or b"")
        replace_file(folder / "root.json", repository.trust_anchor())
    write_bundle(folder / "bundle", built)
    return True


if __name__ == "__main__":
    made = build_starter()
    written = write_starter(Path(sys.argv[1]), made)
    Terminal().print(f"{'wrote' if written else 'unchanged:'} starter bundle {made.digest}")
