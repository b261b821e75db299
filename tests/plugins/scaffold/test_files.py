"""The text of new plugins: names replaced everywhere, in the form that ruff wants."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from mmx_scaffold.files import package_files, single_files
from mmx_scaffold.kinds import KINDS, Kind
from mmx_scaffold.names import Names

kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
LONG = "abcdefghijklmnopqrstuvwxyzabcdef"


@kinds
def test_no_name_of_the_template_is_left(kind: Kind) -> None:
    for files in (package_files(kind, Names("my-own")), single_files(kind, Names("my-own"))):
        for path, text in files.items():
            left = re.findall(r"this[-_. ](?:part|kind|file|summary|table|mmx)|ThisPart|scaffold|\$\{?name", text, re.I)
            assert not left, path
            assert "this_part" not in path


@kinds
def test_metadata(kind: Kind) -> None:
    files = package_files(kind, Names("my-own"))
    table = tomllib.loads(files["pyproject.toml"])
    assert table["project"]["name"] == "mmx-my-own"
    assert table["project"]["dependencies"] == [f"mmx>={'.'.join(version('mmx').split('.')[:2])}"]
    assert table["project"]["entry-points"]["mmx.plugins.v1"] == {f"{kind.kind}.my-own": "mmx_my_own"}
    assert f"src/mmx_my_own/{kind.file}.py" in files and "tests/test_my_own.py" in files
    recipe = tomllib.loads(files["recipe.toml"])
    assert recipe["extends"] == "quickstart" and '"my-own' in files["recipe.toml"]
    assert files["recipe.toml"].split("\n\n", 1)[1].strip() in files["README.md"]


def test_the_workflow_says_where_mmx_must_come_from() -> None:
    workflow = package_files(KINDS["loss"], Names("my_own"))[".github/workflows/test.yml"]
    (step,) = re.findall(r"run: (pip install .*MMX.*)", workflow)
    assert workflow.index(step) < workflow.index("pip install -e")
    done = subprocess.run(["bash", "-c", step], env={"MMX": ""}, capture_output=True, text=True)
    assert done.returncode != 0 and "set the variable MMX of this repository" in done.stderr


@kinds
def test_the_single_file_has_the_code_of_the_package(kind: Kind) -> None:
    whole = single_files(kind, Names("my-own"))["my_own.py"]
    package = package_files(kind, Names("my-own"))
    named = {node.name for node in ast.parse(whole).body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    for path in ("__init__", "config", kind.file):
        tree = ast.parse(package[f"src/mmx_my_own/{path}.py"])
        assert {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)} <= named
    assert 'part="my_own:MyOwn"' in whole and "mmx_my_own" not in whole


@pytest.mark.parametrize(
    ("kind", "name", "type"),
    [
        ("loss", "batch_loss", "BatchLossPart"),
        ("loss", "loss", "LossPart"),
        ("tokenizer", "tokenizer", "TokenizerPart"),
        ("image_encoder", "block", "BlockPart"),
        ("loss", "int", "Int"),
    ],
)
def test_a_class_never_hides_what_the_code_uses(kind: str, name: str, type: str) -> None:
    assert f"\nclass {type}(" in single_files(KINDS[kind], Names(name))[f"{name}.py"]


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("name", ["x", "my_part", LONG])
def test_ruff_finds_nothing(tmp_path: Path, name: str) -> None:
    for kind in KINDS.values():
        for path, text in package_files(kind, Names(name)).items():
            file = tmp_path / kind.kind / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        # Beside the package, so that its settings hold for the single file too.
        for path, text in single_files(kind, Names(name)).items():
            (tmp_path / kind.kind / path).write_text(text, encoding="utf-8")
    for command in (["check"], ["format", "--check", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", str(tmp_path)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
