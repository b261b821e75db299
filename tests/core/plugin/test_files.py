"""Plugins that are one file: imported as a module of their name, hashed, and carried to spawned processes."""

import hashlib
import multiprocessing
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mmx.errors import PluginError
from mmx.plugin import files
from mmx.plugin.files import Carried
from mmx.plugin.manager import Plugins

CODE = """
from mmx.config import LossConfig
from mmx.plugin.hookspecs import hookimpl
from mmx.parts.loss import BatchLoss


class SharpConfig(LossConfig):
    sharp: float = 1.0
    \"\"\"How sharp it is.\"\"\"


class Sharp(BatchLoss):
    def __init__(self, config, sizes):
        super().__init__()
        self.sharp = config.sharp


@hookimpl
def mmx_register(register):
    register("loss", "sharp", config=SharpConfig, part="toy_sharp:Sharp", summary="a sharp loss")
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "toy_sharp.py"
    path.write_text(CODE)
    yield path
    for name in [name for name in sys.modules if name.startswith("toy_")]:
        del sys.modules[name]


def test_its_parts_are_there(file: Path) -> None:
    plugins = Plugins(files=[file])
    entry = plugins.registries["loss"]["sharp"]
    assert entry.load().__name__ == "Sharp" and entry.owner == str(file)
    assert [(found.name, found.sha256) for found in plugins.files] == [
        ("toy_sharp.py", hashlib.sha256(CODE.encode()).hexdigest())
    ]


def test_an_unchanged_file_runs_once_and_a_changed_one_again(file: Path) -> None:
    first = files.load(file)
    assert files.load(file) is first
    file.write_text(CODE.replace("sharp: float = 1.0", "sharp: float = 2.0"))
    again = files.load(file)
    assert again is not first
    assert again.SharpConfig(name="sharp").sharp == 2.0


def test_no_bytecode_is_written(file: Path) -> None:
    files.load(file)
    assert [path.name for path in file.parent.iterdir()] == ["toy_sharp.py"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("toy-sharp.py", "expected a Python file whose name can be a module's"),
        ("toy_sharp.txt", "expected a Python file whose name can be a module's"),
        ("toy_absent.py", "cannot be read: No such file or directory"),
        ("random.py", "there is another module 'random' "),
        ("mmx_clip.py", "there is another module 'mmx_clip' "),
    ],
)
def test_files_that_are_refused(file: Path, name: str, expected: str) -> None:
    path = file.with_name(name)
    if "absent" not in name:
        file.rename(path)
    with pytest.raises(PluginError) as caught:
        Plugins(files=[path], discover=False)
    assert str(caught.value).startswith(f"--plugin {path}: {expected}")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module' ({file}:1)"),
        ("x = 1\n", "it implements no hook"),
        ("def f(:\n", "SyntaxError: "),
    ],
)
def test_a_broken_file_stops_at_once(file: Path, code: str, expected: str) -> None:
    file.write_text(code)
    with pytest.raises(PluginError) as caught:
        Plugins(files=[file], discover=False)
    assert str(caught.value).startswith(f"--plugin {file}: {expected.replace('{file}', str(file))}")


def test_a_spawned_process_can_be_sent_what_it_defines(file: Path) -> None:
    config = files.load(file).SharpConfig(name="sharp", sharp=3.0)
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_answer, args=(theirs, Carried(), config))
    process.start()
    process.join(60)
    assert mine.recv() == (3.0, str(file))


def _answer(pipe: Connection, carried: Carried, config: object) -> None:
    pipe.send((getattr(config, "sharp", None), sys.modules["toy_sharp"].__file__))
