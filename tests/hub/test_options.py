"""How commands write the files that they are asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hub.commands.options import put


def test_a_file_is_replaced_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the last good one")
    with path.open("rb") as reader:
        put(path, b"the next one")
        assert reader.read() == b"the last good one", "who reads sees the whole old one"
    assert path.read_bytes() == b"the next one"
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]


def test_a_file_that_cannot_be_written_stays(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    put(path, "good")
    with pytest.raises(UnicodeEncodeError):
        put(path, "half a report \ud800")
    assert path.read_text() == "good"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to("there")
    put(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "new"


def test_standard_output_is_written_to() -> None:
    code = "from pathlib import Path; from hub.commands.options import put; put(Path('/dev/stdout'), 'said')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"said"
