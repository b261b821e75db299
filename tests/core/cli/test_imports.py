"""What the command line must not import: it has to answer at once."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "wandb", "webdataset", "torchmetrics", "numpy", "PIL")
SCRIPT = """
import sys
sys.argv = ["mmx", *{arguments!r}]
from mmx.cli.main import main
try:
    main()
except SystemExit as stop:
    print("exit", stop.code, file=sys.stderr)
print("modules", *sys.modules, file=sys.stderr)
"""


def modules_of(folder: Path, *arguments: str, code: int = 0) -> set[str]:
    """Run a command by itself and return the modules it imported."""
    script = SCRIPT.format(arguments=list(arguments))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, timeout=120)
    lines = done.stderr.splitlines()
    assert f"exit {code}" in lines, done.stderr
    return set(next(line for line in lines if line.startswith("modules ")).split())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("run", "quickstart", "--set", "optim.lrr=1"), 2),
        (("run", "no_such_recipe.toml"), 2),
        (("run", "clip_b32"), 2),
        (("run", "clip_b32", "--dry-run", "--set", "data.train={name='shards', urls=['no_such.tar']}"), 4),
        (("run", "--resume", "no_such_run"), 5),
        (("eval", "no_such_run"), 5),
        (("plugins",), 0),
        (("plugins", "show", "engine", "local"), 0),
        (("recipe", "check", "quickstart"), 0),
        (("recipe", "show", "quickstart"), 0),
        (("recipe", "schema", "--json"), 0),
        (("recipe", "schema", "optim"), 0),
        (("recipe", "list"), 0),
        (("recipe", "new", "new.toml"), 0),
        (("plugins", "new", "loss", "mine"), 0),
    ],
)
def test_commands_that_need_no_torch(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    assert not modules_of(tmp_path, *arguments, code=code) & set(HEAVY)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--help"),
        ("doctor", "--help"),
        ("verify", "--help"),
        ("recipe", "--help"),
        ("plugins", "show", "--help"),
    ],
)
def test_help_loads_no_plugins(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    found = modules_of(tmp_path, *arguments)
    assert not found & {*HEAVY, "rich", "tree_sitter", "mmx.plugin.registry", "mmx.plugin.manager", "mmx.recipe"}
    own = f"mmx_{arguments[0]}"  # the help of a plugin's command is in its own module
    assert not [name for name in found if name.startswith("mmx_") and name.partition(".")[0] != own]


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_the_first_help_does_not_even_need_pydantic(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    found = modules_of(tmp_path, *arguments)
    assert not found & {
        *HEAVY,
        "pydantic",
        "rich",
        "tree_sitter",
        "mmx.plugin.registry",
        "mmx.plugin.manager",
        "mmx.recipe",
    }
    assert not [name for name in found if name.startswith("mmx_")]
