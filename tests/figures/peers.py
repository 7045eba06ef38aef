"""Generic model servers, what a team would use that only wants scores: each in a virtual environment of its own.

A folder of peers (`--peers`, $EDGEWISE_PEERS, or ../shared/bench/peers beside the checkout) holds their programs; how
each is installed and started stands here. They get the very trees that the shop's bundle holds, and rows without gaps,
because JSON has no word for a missing number. Environments are kept in $XDG_CACHE_HOME/edgewise/peers for the next run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from processes import until

from edgewise.errors import UnavailableError
from figures import stock, trees
from figures.closed_loop import peak, post
from figures.cores import on_core
from figures.processor import Meter, family, meter_of_family
from figures.stage import Stage
from hub.processes import last_words

VARIABLE: Final = "EDGEWISE_PEERS"
BESIDE: Final = Path("../shared/bench/peers")
INSTALL_S: Final = 300.0
START_S: Final = 60.0
STOP_S: Final = 2.0
ROWS: Final = 100


class Peer(NamedTuple):
    """How a server is installed, started and asked."""

    name: str
    packages: tuple[str, ...]
    programs: tuple[str, ...]
    """Files of the peers' folder that it runs."""
    command: tuple[str, ...]
    """Within its environment."""
    port: int
    path: str
    is_v2: bool = False
    """Asked as the Open Inference Protocol says."""


PEERS: Final = (
    Peer(
        "FastAPI + onnxruntime",
        ("fastapi", "uvicorn", "uvloop", "httptools", "onnxruntime", "numpy"),
        ("fastapi_app.py",),
        ("uvicorn", "fastapi_app:app", "--port", "9011", "--log-level", "warning", "--no-access-log"),
        9011,
        "/predict",
    ),
    Peer(
        "MLServer",
        ("mlserver", "mlserver-lightgbm"),
        (),
        ("mlserver", "start", "mlserver"),
        9014,
        "/v2/models/rank/infer",
        is_v2=True,
    ),
    Peer(
        "BentoML",
        ("bentoml", "lightgbm", "numpy"),
        ("bento_service.py",),
        ("bentoml", "serve", "bento_service:Rank", "--port", "9013"),
        9013,
        "/predict",
    ),
)


def find_peers(given: Path | None, environment: Mapping[str, str], here: Path) -> Path | None:
    """The folder of peers; None where there is none.

    Raises:
        UnavailableError: one was named, and is not there.
    """
    named = given or (Path(environment[VARIABLE]) if environment.get(VARIABLE) else None)
    if named is not None and not named.is_dir():
        raise UnavailableError(f"{named}: no such folder; expected the programs of generic model servers")
    folder = named or here / BESIDE
    return folder if folder.is_dir() else None


class Rival:
    """A peer that is installed and has the model."""

    def __init__(self, peer: Peer, programs: Path, stage: Stage, cache: Path) -> None:
        """Install it, unless it is.

        Raises:
            UnavailableError: it cannot be installed, with the installer's last words.
        """
        self._peer = peer
        self._stage = stage
        self._environment = cache / _slug(peer.name)
        self._folder = stage.fresh(_slug(peer.name))
        self._folder.mkdir()
        for program in peer.programs:
            shutil.copy(programs / program, self._folder)
        self._install()
        _write_models(self._folder)

    @contextlib.contextmanager
    def serving(self) -> Iterator[tuple[str, Meter]]:
        """Run it on the server's core; its URL, once it answers, and its processor time.

        Raises:
            UnavailableError: it ended, or does not answer.
        """
        log = self._stage.fresh("peer-log")
        binary = self._environment / "bin" / self._peer.command[0]
        quiet = {"BENTOML_DO_NOT_TRACK": "1", "PATH": f"{binary.parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        with on_core(self._stage.cores.server), log.open("wb") as said:
            running = subprocess.Popen(
                [binary, *self._peer.command[1:]],
                cwd=self._folder,
                stdout=said,
                stderr=said,
                env={**os.environ, **quiet},
            )
        url = f"http://127.0.0.1:{self._peer.port}{self._peer.path}"
        try:
            until(lambda: running.poll() is not None or self._answers(url), most_s=START_S)
            if running.poll() is not None:
                raise UnavailableError(f"ended with {running.returncode}: {last_words(log.read_bytes())}")
            yield url, meter_of_family(running.pid)
        except TimeoutError:
            raise UnavailableError(f"no answer within {START_S:g} s: {last_words(log.read_bytes())}") from None
        finally:
            _end(running)

    def request(self, url: str) -> bytes:
        """A hundred rows, as it takes them."""
        rows = np.nan_to_num(trees.training().matrix[:ROWS]).round(4)
        if not self._peer.is_v2:
            return post(url, json.dumps({"x": rows.tolist()}).encode())
        flat = {"name": "x", "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist()}
        return post(url, json.dumps({"inputs": [flat]}).encode())

    def _answers(self, url: str) -> bool:
        try:
            return peak(url, [self.request(url)], connections=1, seconds=0.05, warm_up_s=0.0).rate > 0
        except (UnavailableError, OSError):
            return False

    def _install(self) -> None:
        if (self._environment / "complete").exists():
            return
        shutil.rmtree(self._environment, ignore_errors=True)
        self._environment.parent.mkdir(parents=True, exist_ok=True)
        python = self._environment / "bin" / "python"
        uv = Path(sys.executable).parent / "uv"
        for words in (
            ["venv", "--quiet", "--python", sys.executable, str(self._environment)],
            ["pip", "install", "--quiet", "--python", str(python), *self._peer.packages],
        ):
            try:
                done = subprocess.run([uv, *words], capture_output=True, timeout=INSTALL_S, check=False)
            except (OSError, subprocess.TimeoutExpired) as failed:
                raise UnavailableError(f"not installed: {failed}") from failed
            if done.returncode:
                raise UnavailableError(f"not installed: {last_words(done.stderr)}")
        (self._environment / "complete").touch()


def _write_models(folder: Path) -> None:
    """The shop's trees as LightGBM's own text, and as ONNX by the converter that such teams use."""
    import warnings

    from onnxmltools.convert import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    trained = trees.booster(100)
    trained.save_model(str(folder / "m.txt"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = FloatTensorType([None, stock.FEATURES])
        made = convert_lightgbm(trained, initial_types=[("x", kind)], target_opset=15, zipmap=False)
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    settings = {"http_port": 9014, "grpc_port": 9015, "metrics_port": 9016, "parallel_workers": 0, "debug": False}
    implementation = {"implementation": "mlserver_lightgbm.LightGBMModel", "parameters": {"uri": "../m.txt"}}
    (folder / "mlserver").mkdir()
    (folder / "mlserver" / "settings.json").write_text(json.dumps(settings))
    (folder / "mlserver" / "model-settings.json").write_text(json.dumps({"name": "rank", **implementation}))


def _end(running: subprocess.Popen[bytes]) -> None:
    """Ask a server to end; insist with it and with all that it has started, some of which leave its process group."""
    members = family(running.pid)
    running.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(STOP_S)
    for pid in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    running.wait()


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
