"""The file that takes a site's trust to a node on another machine."""

import hashlib
import json
import stat
from pathlib import Path

from google.protobuf import json_format
from hub_process import make_site
from typer.testing import CliRunner

from edge.node.enrolment import read_enrolment
from edgewise.v1.distribution_pb2 import EnrolResponse
from hub.commands.hub import app
from hub.keys import KeyFolder
from hub.release.repository import Repository


def test_it_is_what_a_node_reads_and_only_its_owner_may(tmp_path: Path) -> None:
    make_site(tmp_path)
    written = tmp_path / "site.trust"
    told = CliRunner().invoke(app, ["trust", "--data-dir", str(tmp_path), "--out", str(written), "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["file"] == str(written)
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    answer = json_format.Parse(written.read_text(), EnrolResponse(), ignore_unknown_fields=True)
    repository, secrets = Repository(tmp_path), KeyFolder(tmp_path).secrets()
    assert (answer.site, answer.root) == (repository.site, repository.trust_anchor())
    assert (answer.subject_key, answer.visitor_key) == (secrets.subject_key, secrets.visitor_key)
    token = read_enrolment(written).token
    assert len(token) >= 32
    assert json.loads(told.stdout)["token_sha256"] == hashlib.sha256(token.encode()).hexdigest()
    again = CliRunner().invoke(app, ["trust", "--data-dir", str(tmp_path), "--out", str(written)])
    assert "enrol_tokens_sha256" in again.stdout
    assert read_enrolment(written).token != token, "each node gets its own, so that one can be taken away"
    assert token not in told.stdout + again.stdout


def test_without_a_site_it_says_what_to_run(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["trust", "--data-dir", str(tmp_path), "--out", str(tmp_path / "f")])
    assert "edgewise site apply" in str(told.exception)
    assert not (tmp_path / "f").exists()
