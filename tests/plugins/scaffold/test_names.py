"""The names of a new part."""

from pathlib import Path

import pytest

from distributions import install
from mmx.errors import RecipeError
from mmx_scaffold.names import checked, refuse_taken


@pytest.mark.parametrize(
    ("part", "identifier", "distribution", "type"),
    [
        ("my_loss", "my_loss", "mmx-my-loss", "MyLoss"),
        ("resnet50", "resnet50", "mmx-resnet50", "Resnet50"),
        ("none", "none", "mmx-none", "NonePart"),
    ],
)
def test_names(part: str, identifier: str, distribution: str, type: str) -> None:
    names = checked(part)
    assert (names.part, names.identifier, names.module) == (part, identifier, f"mmx_{identifier}")
    assert (names.distribution, names.type) == (distribution, type)


@pytest.mark.parametrize("name", ["", "2fast", "_x", "my loss", "../x", "é", "a" * 33, "a/b"])
def test_what_cannot_be_a_name(name: str) -> None:
    with pytest.raises(RecipeError, match="cannot be a part's name"):
        checked(name)


@pytest.mark.parametrize(
    ("name", "form"),
    [("Hard-Neg", "hard_neg"), ("my-loss", "my_loss"), ("resNet50", "resnet50"), ("a.b", "a_b"), ("a__b_", "a_b")],
)
def test_a_name_that_python_would_write_otherwise(name: str, form: str) -> None:
    with pytest.raises(RecipeError, match=f"'{name}' would be called otherwise in Python; write '{form}', "):
        checked(name)
    assert checked(form).identifier == form


def test_a_taken_module() -> None:
    with pytest.raises(RecipeError, match="there is a module 'csv' already"):
        refuse_taken("csv")
    with pytest.raises(RecipeError, match="'class' is a word of Python"):
        refuse_taken("class")
    refuse_taken("mmx_no_such_module", "mmx-no-such-module")


def test_a_taken_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "mmx-other", version="1.5")
    (tmp_path / "mmx_other.py").rename(tmp_path / "renamed.py")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RecipeError, match=r"mmx-other 1\.5 is installed already"):
        refuse_taken("mmx_other", "mmx-other")
