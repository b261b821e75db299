"""That everything is looked at, and that nothing that is wrong with a machine is raised."""

from pathlib import Path

import pytest

from machines import group, one
from mmx_doctor.examine import examine


def test_every_section_is_there_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    sections = list(dict.fromkeys(finding.section for finding in examine()))
    assert sections == ["mmx", "machine", "torch", "launcher", "optional packages", "plugins"]
    assert capsys.readouterr().out == ""


def test_what_cannot_be_told_is_a_note_and_the_rest_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group(tmp_path, monkeypatch, "0::/\n", {"cpu.max": "some time"})
    assert one("machine", "CPUs").state == "note"
    assert one("machine", "CPUs").value.startswith("cannot be told here: ValueError: ")
    assert one("machine", "memory").state == "ok"
