"""Writes the generated protocol code again, or with --check compares it with what is committed."""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parent
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def generate(into: Path) -> None:
    """Run protoc for every message file of the protocol."""
    sources = sorted(str(path) for path in (ROOT / "edgewise" / "v1").glob("*.proto"))
    well_known = str(files("grpc_tools") / "_proto")
    arguments = ["protoc", f"-I{ROOT}", f"-I{well_known}"]
    arguments += [f"--python_out={into}", f"--pyi_out={into}", f"--grpc_python_out={into}", *sources]
    if protoc.main(arguments):
        sys.exit("protoc failed")


def main() -> None:
    """Generate in place, or compare."""
    if "--check" not in sys.argv[1:]:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = [
            str(fresh.relative_to(folder))
            for pattern in GENERATED
            for fresh in sorted(Path(folder).rglob(pattern))
            if not (ROOT / fresh.relative_to(folder)).is_file()
            or (ROOT / fresh.relative_to(folder)).read_bytes() != fresh.read_bytes()
        ]
    if stale:
        sys.exit(f"generated code is stale: {', '.join(stale)}; run `make generate`")
    sys.stdout.write("generated code is fresh\n")


if __name__ == "__main__":
    main()
