"""Ends with 1 unless the edge that this Python has installed is free of everything that learns.

The last stage of the image runs it, and CI runs it on the installed wheel. It imports every module of the edge and of
the protocol, because a trainer could hide behind an import that no quick start reaches, and then looks whether any
trainer is installed at all: what is not there cannot be loaded by mistake.
"""

import importlib
import importlib.util
import pkgutil
import sys
from typing import Final

PACKAGES: Final = ("edge", "edgewise")
TRAINERS: Final = ("lightgbm", "sklearn", "pandas", "scipy", "onnx", "skl2onnx", "pyarrow", "sqlalchemy", "shap")


def import_every_module() -> int:
    """Import all of both packages; how many modules that were. Raises what a module raises."""
    names = list(PACKAGES)
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        names += [module.name for module in pkgutil.walk_packages(path, f"{package}.")]
    for name in names:
        importlib.import_module(name)
    return len(names)


def main() -> int:
    """The exit code; says on standard error what is wrong."""
    try:
        modules = import_every_module()
    except ImportError as missing:
        print(f"a module of the edge cannot be imported: {missing}", file=sys.stderr)
        return 1
    loaded = [trainer for trainer in TRAINERS if trainer in sys.modules]
    if loaded:
        print(f"a module of the edge loads {', '.join(loaded)}; expected no trainer", file=sys.stderr)
        return 1
    installed = [trainer for trainer in TRAINERS if _is_installed(trainer)]
    if installed:
        print(f"{', '.join(installed)} can be imported beside the edge; expected no trainer", file=sys.stderr)
        return 1
    print(f"{modules} modules of the edge imported, no trainer among what is installed")
    return 0


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


if __name__ == "__main__":
    sys.exit(main())
