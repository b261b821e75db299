"""Every hook is called by a run, with all the arguments that its page lists."""

import inspect
import sys
from pathlib import Path

import pytest

import mmx
from mmx.plugin import hookspecs
from mmx.plugin.manager import HOOKS
from pages.blocks import blocks

PAGE = Path(__file__).parents[2] / "docs" / "plugins" / "parts.md"
HOOK = """
@mmx.hookimpl
def {hook}({arguments}):
    with open("calls.txt", "a") as file:
        print("{hook}", *[type(value).__name__ for value in ({arguments},)], file=file)
"""
GIVEN = {
    "mmx_register": "Registrar",
    "mmx_run_start": "Run",
    "mmx_step_end": "Run Step",
    "mmx_evaluation_end": "Run int dict",
    "mmx_run_end": "Run Outcome",
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Write the parts of the page; what is imported of them is forgotten."""
    monkeypatch.chdir(tmp_path)
    for block in blocks(PAGE):
        if block.title:
            (tmp_path / block.title).write_text(block.text)
    written = [path for path in sorted(tmp_path.glob("*.py")) if "hookimpl" in path.read_text()]
    for path in [*written, Path("every_hook.py")]:
        monkeypatch.setitem(sys.modules, path.stem, sys)
        monkeypatch.delitem(sys.modules, path.stem)
    return written


def test_a_run_calls_every_hook_with_what_its_page_lists(files: list[Path], tmp_path: Path) -> None:
    code = ["import mmx"]
    for hook in HOOKS:
        arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
        code.append(HOOK.format(hook=hook, arguments=arguments))
    (tmp_path / "every_hook.py").write_text("\n".join(code))
    mmx.run("mine.toml", overrides=["data.workers=0"], plugins=[*files, "every_hook.py"], quiet=True)
    called = dict(line.split(" ", 1) for line in (tmp_path / "calls.txt").read_text().splitlines())
    assert called == GIVEN
    assert set(GIVEN) == set(HOOKS), "a new hook needs a line here, and a run must call it"
