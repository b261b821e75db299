"""What importing a plugin may do, by packages that are each one line away from the unbroken one."""

import sys
from pathlib import Path

import pytest

from mmx.config import TrackerConfig
from mmx.plugin.files import load
from mmx.plugin.manager import Plugins
from mmx_kit import imports
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, NotApplicableError
from mmx_kit.imports import IMPORT_CHECKS

CHECKS = {check.name: check.run for check in IMPORT_CHECKS}
ENTRY = """\
from mmx.config import TrackerConfig
from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar


class QuietConfig(TrackerConfig):
    pass


@hookimpl
def mmx_register(register: Registrar) -> None:
    register("tracker", "quiet", config=QuietConfig, part="{part}:Quiet", summary="watches in silence")
"""
PART = """\
from mmx.plugin.hookspecs import hookimpl
from mmx.parts.tracker import Tracker


class Quiet(Tracker):
    def __init__(self, config: object) -> None:
        self.config = config

    @hookimpl
    def mmx_step_end(self) -> None:
        pass

    def close(self) -> None:
        pass
"""
WORK = {
    "thread": "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
    "file": "from pathlib import Path\nPath(__file__).with_suffix('.cache').write_text('kept')",
    "print": "print('welcome')",
    "environment": "import os\nos.environ['TOKENIZERS_PARALLELISM'] = 'false'",
    "seed": "import random\nrandom.seed(0)",
    "signals": "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "process": "import subprocess\nsubprocess.run(['true'])",
    "network": "import socket\nsocket.socket()",
    "folder": "import os\nos.chdir('/')",
    "path": "import sys\nsys.path.insert(0, '/nowhere')",
    "exit": "import os\nos._exit(3)",
}


SLOW = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end:\n    pass"


def package(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, *, entry: str = "", part: str = "") -> Case:
    """Write a package with lines added to its entry module or to the part's, and return the case of its part."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(ENTRY.replace("{part}", f"{name}.part") + "\n\n" + entry)
    (folder / name / "part.py").write_text(PART + "\n\n" + part)
    monkeypatch.syspath_prepend(str(folder))
    registries = Plugins(discover=False).registries
    register = registries.owned_by(name)
    register("tracker", "quiet", config=TrackerConfig, part=f"{name}.part:Quiet", summary="watches in silence")
    return Case(registries["tracker"]["quiet"], TrackerConfig(name="quiet"), folder, registries)


def test_the_unbroken_package_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = package(tmp_path, "quiet_whole", monkeypatch)
    for run in CHECKS.values():
        run(case)


@pytest.mark.parametrize("work", WORK)
def test_work_at_import_is_found(work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = "entry" if len(work) % 2 else "part"
    case = package(tmp_path, f"quiet_{work}", monkeypatch, **{where: WORK[work]})
    with pytest.raises(BrokenError, match="import"):
        CHECKS["quiet import"](case)


@pytest.mark.parametrize(
    ("what", "line", "said"),
    [("torch", "import torch", "imports torch"), ("slow", SLOW, "computes for")],
)
def test_an_entry_module_is_light(
    what: str, line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "LONGEST", 0.3)
    (tmp_path / "torch.py").touch()  # its name is what matters, and it is quicker than torch
    case = package(tmp_path, f"quiet_{what}", monkeypatch, entry=line)
    with pytest.raises(BrokenError, match=said):
        CHECKS["light import"](case)


def test_what_a_library_does_is_not_blamed_on_the_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_library.py").write_text("\n".join([WORK["environment"], WORK["print"], WORK["seed"]]))
    case = package(tmp_path, "quiet_user", monkeypatch, part="import some_library")
    CHECKS["quiet import"](case)


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [("abstract", "def close(self)", "def closes(self)"), ("stranger", "Quiet(Tracker)", "Quiet")],
)
def test_a_part_fulfils_its_contract(
    what: str, old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = package(tmp_path, f"quiet_{what}", monkeypatch)
    path = tmp_path / f"quiet_{what}" / "part.py"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(Exception, match=r"does not implement close|is not a subclass"):
        CHECKS["contract"](case)


def test_a_single_file_may_import_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "quiet_file.py"
    path.write_text(ENTRY.replace("{part}", "quiet_file") + "\n\nimport torch\n\n\n" + PART)
    try:
        module = load(path)
        registries = Plugins(discover=False).registries
        module.mmx_register(registries.owned_by("quiet_file.py"))
        entry = registries["tracker"]["quiet"]
        case = Case(entry, entry.config(name="quiet"), tmp_path, registries, (path,))
        CHECKS["contract"](case)
        CHECKS["quiet import"](case)
        with pytest.raises(NotApplicableError):
            CHECKS["light import"](case)
    finally:
        sys.modules.pop("quiet_file")
