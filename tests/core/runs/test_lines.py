"""JSON lines: a row is whole or not there, and the file is cut back to a step."""

import errno
import json
import os
from pathlib import Path

import pytest

from mmx.errors import CheckpointError
from mmx.runs.lines import JsonLines, read_lines


def test_rows_come_back_in_their_order(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "metrics.jsonl")
    rows = [{"step": 1, "loss": 0.1}, {"step": 2, "text": 'line\nbreak "ü"   \ud800', "nested": {"a": [1, None]}}]
    for row in rows:
        lines.append(row)
    assert read_lines(lines.path) == rows
    assert len(lines.path.read_bytes().splitlines()) == 2


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "metrics.jsonl")
    lines.append({"step": 1, "a": float("nan"), "b": {"c": (float("inf"), 2.5)}})
    assert json.loads(lines.path.read_text()) == {"step": 1, "a": None, "b": {"c": [None, 2.5]}}


def test_cut_keeps_rows_without_a_step_and_drops_what_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"run": 1}\n{"step": 1}\n\xff\xfe\n[1]\n{"step": 2}\n{"step": 3}\n{"st')
    cut = JsonLines(path).cut(2)
    assert (cut.later, cut.unreadable) == (1, 3)
    assert path.read_bytes() == b'{"run": 1}\n{"step": 1}\n{"step": 2}\n'


def test_a_torn_last_line_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2}')
    assert read_lines(path) == [{"step": 1}]


def test_a_row_that_does_not_fit_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, real = JsonLines(tmp_path / "metrics.jsonl"), os.write
    lines.append({"step": 1})
    calls: list[int] = []

    def full(handle: int, data: bytes) -> int:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, data[:5])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: No space left"):
        lines.append({"step": 2})
    monkeypatch.undo()
    lines.append({"step": 3})
    assert lines.path.read_bytes() == b'{"step": 1}\n{"step": 3}\n'


def test_a_cut_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = JsonLines(tmp_path / "metrics.jsonl")
    for step in (1, 2):
        lines.append({"step": step})
    before = lines.path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="nothing was changed"):
        lines.cut(1)
    assert lines.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "metrics.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="cannot write"):
        JsonLines(tmp_path / "metrics.jsonl").append({"step": 1})
    assert (tmp_path / "elsewhere").read_text() == ""
