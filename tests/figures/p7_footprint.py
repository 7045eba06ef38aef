"""P7: what an edge worker needs: memory, time until its first decision, and room on a disk."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from edge.settings import EdgeSettings, encode_settings
from edgewise.errors import UnavailableError
from figures import shop
from figures.closed_loop import post, send_all
from figures.cores import on_core
from figures.figure import Bound, Measured, Row, judge, not_measured
from figures.floors import QUESTION
from figures.ground import Ground
from figures.processor import meter_of
from hub.processes import last_words

MEMORY: Final = Bound(120.0, 90.0, "MB")
START: Final = Bound(1.5, 0.8, "s")
INSTALLED: Final = Bound(300.0, 300.0, "MB")
MB: Final = 1_000_000
ROOT: Final = Path(__file__).parents[2]
SIZE: Final = "installed size of edgewise[edge]: site-packages of a fresh environment from the wheel"
START_LIMIT_S: Final = 60.0


def measure(ground: Ground) -> Measured:
    """Memory after load, a cold start on the same folder, and a fresh installation."""
    stage, memory = ground.stage, []
    with stage.node(bundle=ground.bundle) as node:
        stage.peak(node.url, ground.mix)
        memory.append(memory_of(node.worker_pid()))
    starts, used = zip(*(first_decision_s(ground, node.data_dir) for _ in range(stage.effort.runs)), strict=True)
    short = ", ".join(f"{name} {size / MB:.0f} MB" for name, size in memory[0].items())
    return Measured(
        [
            judge(
                "P7",
                "edge worker: resident memory (Rss) after load, standard shop",
                MEMORY,
                [each["Rss"] / MB for each in memory],
                short=short,
                detail={"bytes": memory[0]},
            ),
            judge(
                "P7",
                "edge worker: from starting its process to its first decision",
                START,
                starts,
                short=f"{median(used):.2f} s of processor time for imports, bundle, model, cache and server",
                detail={"processor_s": [round(each, 2) for each in used]},
            ),
            _installed(ground),
        ]
    )


def memory_of(pid: int) -> dict[str, int]:
    """Bytes of a process, as the kernel counts them: resident, its share of what is shared, and its own."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    found = re.findall(r"^(Rss|Pss|Anonymous):\s+(\d+) kB$", text, re.MULTILINE)
    return {name: int(kilobytes) * 1_024 for name, kilobytes in found}


def first_decision_s(ground: Ground, data_dir: Path) -> tuple[float, float]:
    """Start one worker on a node's folder, and ask it until it has decided; by the clock, and in processor time.

    Raises:
        UnavailableError: it did not within START_LIMIT_S.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = EdgeSettings(port=port, workers=1, data_dir=str(data_dir))
    url = f"http://127.0.0.1:{port}"
    asked = post(f"{url}/v1/decide", QUESTION, write_key=shop.WRITE_KEY)
    command = [sys.executable, "-m", "edge.child", str(os.getpid()), "edge.worker.run"]
    command += ["--index", "0", "--settings", encode_settings(settings)]
    began_s = time.perf_counter()
    with on_core(ground.stage.cores.server):
        worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.perf_counter() - began_s < START_LIMIT_S and worker.poll() is None:
            try:
                send_all(url, [asked])
            except (OSError, UnavailableError):
                time.sleep(0.002)  # not up yet
                continue
            return time.perf_counter() - began_s, meter_of(worker.pid)()
    finally:
        worker.terminate()
        worker.wait()
    raise UnavailableError(f"a worker alone did not decide within {START_LIMIT_S:g} s ({worker.returncode})")


def _installed(ground: Ground) -> Row:
    folder = ground.stage.fresh("installation")
    folder.mkdir()
    uv = str(Path(sys.executable).parent / "uv")
    constraints = folder / "constraints.txt"
    locked = re.findall(r"^([\w.-]+==[^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    constraints.write_text("\n".join(locked))
    python = folder / "venv" / "bin" / "python"
    try:
        _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
        (wheel,) = folder.glob("*.whl")
        _run(uv, "venv", "-q", "-p", sys.executable, str(folder / "venv"))
        _run(uv, "pip", "install", "-q", "-p", str(python), "-c", str(constraints), f"{wheel}[edge]")
    except UnavailableError as failed:
        return not_measured("P7", SIZE, INSTALLED, str(failed))
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    sizes = {each.name: size_bytes(each) for each in packages.iterdir()}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
    detail: dict[str, Any] = {"largest_mb": {name: round(sizes[name] / MB, 1) for name in largest}}
    short = "the largest: " + ", ".join(f"{name} {sizes[name] / MB:.0f} MB" for name in largest)
    return judge("P7", SIZE, INSTALLED, [sum(sizes.values()) / MB], short=short, detail=detail)


def size_bytes(path: Path) -> int:
    """Of a file, or of everything below a folder; compiled bytecode counts, links do not."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file() and not each.is_symlink())


def _run(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    if done.returncode:
        raise UnavailableError(f"{command[1]} failed: {last_words(done.stderr)}")
