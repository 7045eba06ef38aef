"""The load scripts: ten visits of each are asked of a real node, by stand-ins for what k6 and Locust offer a script.

Neither tool is installed here. A stand-in is as narrow as what the script uses of it, so a script that reaches for more
fails; what the tools do with rates and figures is theirs to test.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from contract_nodes import Node
from needs import lacking
from processes import until

LOAD = Path(__file__).parents[2] / "deploy" / "load"
VISITS = 10
CLICKS = 3

pytestmark = pytest.mark.process

K6 = {
    "index.js": """
        export const failed = [];
        export function check(value, tests) {
          const wrong = Object.keys(tests).filter((name) => !tests[name](value));
          failed.push(...wrong);
          return wrong.length === 0;
        }""",
    "encoding.js": "export default { b64encode: (text) => Buffer.from(text).toString('base64') };",
    "execution.js": "export default { scenario: { iterationInTest: 0 }, vu: { idInTest: 1 } };",
    # k6 waits for each answer; here a thread asks, and the script sleeps until it has.
    "http.js": """
        import { MessageChannel, Worker, receiveMessageOnPort } from "node:worker_threads";
        export const asked = [];
        const bell = new Int32Array(new SharedArrayBuffer(4));
        const { port1, port2 } = new MessageChannel();
        const ask = `const { workerData: { bell, port } } = require("node:worker_threads");
          port.on("message", async ([url, body, headers]) => {
            const answer = await fetch(url, { method: "POST", body, headers }).then(
              async (got) => [got.status, await got.text()], (failed) => [0, String(failed)]);
            port.postMessage(answer);
            Atomics.store(bell, 0, 1);
            Atomics.notify(bell, 0);
          })`;
        new Worker(ask, { eval: true, workerData: { bell, port: port2 }, transferList: [port2] }).unref();
        function post(url, body, { headers, tags }) {
          Atomics.store(bell, 0, 0);
          port1.postMessage([url, body, headers]);
          Atomics.wait(bell, 0, 0, 20000);
          const [status, text] = receiveMessageOnPort(port1).message;
          asked.push([tags.call, status]);
          return { status, json: () => JSON.parse(text) };
        }
        export default { post };""",
    "package.json": """{"type": "module", "exports": {".": "./index.js", "./encoding": "./encoding.js",
        "./execution": "./execution.js", "./http": "./http.js"}}""",
}
RUN_K6 = """
    globalThis.__ENV = { NODE: process.argv[2] };
    const { default: visit, options } = await import("./decide.mjs");
    const { default: exec } = await import("k6/execution");
    const { asked } = await import("k6/http");
    const { failed } = await import("k6");
    for (; exec.scenario.iterationInTest < 10; exec.scenario.iterationInTest += 1) visit();
    console.log(JSON.stringify({ options, asked, failed }));
"""

LOCUST = """
import json, urllib.request
from contextlib import contextmanager

asked = []
failures = []

class _Answer:
    def __init__(self, status, body):
        self.status_code, self._body = status, body
    def json(self):
        return json.loads(self._body)
    def failure(self, why):
        failures.append(why)

class _Client:
    @contextmanager
    def post(self, path, *, json, auth, name, catch_response):
        import base64
        basic = base64.b64encode(":".join(auth).encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {basic}"}
        body = __import__("json").dumps(json).encode()
        with urllib.request.urlopen(urllib.request.Request(FastHttpUser.host + path, body, headers)) as answer:
            asked.append([name, answer.status])
            yield _Answer(answer.status, answer.read())

class FastHttpUser:
    host = ""
    client = _Client()

class _Hook:
    def add_listener(self, listener):
        return listener

class events:
    quitting = _Hook()

def constant_throughput(rate):
    return rate

def task(function):
    return function
"""
RUN_LOCUST = """
import json, sys
from types import SimpleNamespace
import locust, locustfile
locust.FastHttpUser.host = sys.argv[1]
visitor = locustfile.Visitor()
for _ in range(10):
    visitor.visit()
def code(decisions, p95_ms, failed):
    decide = SimpleNamespace(num_requests=decisions, get_response_time_percentile=lambda _: p95_ms)
    stats = SimpleNamespace(total=SimpleNamespace(fail_ratio=failed), get=lambda *_: decide)
    environment = SimpleNamespace(stats=stats, process_exit_code=0)
    locustfile.judge(environment)
    return environment.process_exit_code
codes = [code(9, 9.0, 0.0), code(9, 10.0, 0.0), code(9, 9.0, 0.01), code(0, None, 0.0)]
print(json.dumps({"asked": locust.asked, "failures": locust.failures, "codes": codes}))
"""


def last_line(*command: str | Path, cwd: Path) -> Any:
    environment = {**os.environ, "PYTHONPATH": str(cwd)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def clicks(node: Node) -> int:
    found = re.search(
        r'^edgewise_events_total{outcome="accepted",type="track"} (\d+)|'
        r'^edgewise_events_total{type="track",outcome="accepted"} (\d+)',
        node.ask("GET", "/metrics").text,
        re.MULTILINE,
    )
    return int(found[1] or found[2]) if found else 0


def assert_the_mix(node: Node, before: int, asked: list[list[Any]]) -> None:
    """Every visit decides, the last three of ten click, and the node has counted the clicks."""
    calls = [call for call, _ in asked]
    assert (calls.count("decide"), calls.count("track")) == (VISITS, CLICKS)
    assert {status for _, status in asked} == {200}
    until(lambda: clicks(node) == before + CLICKS)


def test_the_k6_script_asks_a_node(node: Node, tmp_path: Path) -> None:
    program = shutil.which("node")
    if program is None:
        lacking("no node on PATH; `make tools` installs Debian's")
    (tmp_path / "decide.mjs").write_text((LOAD / "decide.js").read_text())
    subprocess.run([program, "--check", tmp_path / "decide.mjs"], check=True)
    package = tmp_path / "node_modules" / "k6"
    package.mkdir(parents=True)
    for name, text in K6.items():
        (package / name).write_text(text)
    (tmp_path / "run.mjs").write_text(RUN_K6)
    before = clicks(node)
    told = last_line(program, "run.mjs", str(node.http.base_url).rstrip("/"), cwd=tmp_path)
    assert told["failed"] == []
    assert_the_mix(node, before, told["asked"])
    assert told["options"]["thresholds"]["http_req_duration{call:decide}"] == ["p(95)<10"]
    assert told["options"]["thresholds"]["http_req_failed"] == ["rate<0.01"]
    assert told["options"]["scenarios"]["visits"]["executor"] == "constant-arrival-rate"


def test_the_locust_file_asks_a_node_and_judges(node: Node, tmp_path: Path) -> None:
    (tmp_path / "locust").mkdir()
    (tmp_path / "locust" / "__init__.py").write_text(LOCUST)
    (tmp_path / "locust" / "env.py").write_text("class Environment: ...\n")
    shutil.copy(LOAD / "locustfile.py", tmp_path)
    (tmp_path / "run.py").write_text(RUN_LOCUST)
    before = clicks(node)
    told = last_line(sys.executable, "run.py", str(node.http.base_url).rstrip("/"), cwd=tmp_path)
    assert told["failures"] == []
    assert_the_mix(node, before, told["asked"])
    assert told["codes"] == [0, 1, 1, 1]
