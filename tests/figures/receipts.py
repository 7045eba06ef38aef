"""Import of half a million receipt lines as a business brings them: time, processor time and memory of the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import online_retail

from figures.cores import on_cores
from figures.figure import Bound, Measured, Row, judge, not_measured
from figures.ground import Ground

SECONDS: Final = Bound(60.0, 30.0, "s")
MEGABYTES: Final = Bound(600.0, 400.0, "MB")
_COMMAND: Final = """
import atexit, pathlib, sys
from edgewise.cli import main
atexit.register(lambda: pathlib.Path(sys.argv[1]).write_text(pathlib.Path("/proc/self/status").read_text()))
main(sys.argv[2:])
"""
"""What `wait4` says of a child's memory is at least what its parent had when it began it: the kernel carries that over
into the new program. So the command says itself how much it had at most."""
WHAT: Final = f"import of {online_retail.LINES:,} receipt lines"


class Imported(NamedTuple):
    """One run of the command, in a fresh data folder."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    report: dict[str, Any]


def measure(ground: Ground) -> Measured:
    """The command as a process, on all cores; Parquet, and the same rows as CSV."""
    found = online_retail.receipts_file()
    if found is None:
        why = f"online_retail.parquet is not in ${online_retail.VARIABLE}, nor in ../shared/data"
        return Measured([not_measured("receipts", WHAT, SECONDS, why)])
    folder = ground.stage.folder / "receipts"
    site = online_retail.write_site(folder / "site")
    files = {"Parquet": found}
    if not ground.stage.effort.is_quick:
        files["CSV"] = online_retail.write_csv(found, folder / "receipts.csv")
    rows: list[Row] = []
    for form, path in files.items():
        with on_cores(ground.stage.cores.every):
            imported = run_import(site, path, folder / f"hub-{form}")
        report = imported.report
        got = (report["rows"], report["stored"], report["profiles"], report["rejected"])
        expected = (online_retail.LINES, online_retail.INVOICES, online_retail.CUSTOMERS, 0)
        assert got == expected, f"(rows, invoices, customers, refused): expected {expected}, got {got}"
        detail = {"cpu_s": round(imported.cpu_s, 1), "peak_mb": round(imported.peak_mb), **report}
        short = f"{imported.cpu_s:.1f} s of processor time; the rest is waiting for cores and disk"
        rows += [
            judge("receipts", f"{WHAT}, {form}", SECONDS, [imported.wall_s], short=short, detail=detail),
            judge("receipts", f"{WHAT}, {form}: peak memory", MEGABYTES, [imported.peak_mb], short="see sorted runs"),
        ]
    return Measured(rows)


def run_import(site: Path, file: Path, data_dir: Path) -> Imported:
    """Raises AssertionError when the command fails."""
    status_file = data_dir.with_suffix(".status")
    edgewise = [sys.executable, "-c", _COMMAND, str(status_file)]
    if not data_dir.exists():
        subprocess.run([*edgewise, "keys", "init", "--data-dir", str(data_dir), "--quiet"], check=True)
    words = ["import", "source", "receipts", str(file), "--site", str(site), "--data-dir", str(data_dir), "--json"]
    out = data_dir.with_suffix(".json")
    started_s = time.perf_counter()
    with out.open("wb") as told:
        process = subprocess.Popen([*edgewise, *words], stdout=told)
        _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started_s
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"the import ended with {process.returncode}"
    report: dict[str, Any] = json.loads(out.read_text())
    peak_kb = next(int(line.split()[1]) for line in status_file.read_text().splitlines() if line.startswith("VmHWM:"))
    return Imported(wall_s, usage.ru_utime + usage.ru_stime, peak_kb / 1_024, report)
