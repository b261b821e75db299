"""The list of what a run does not train."""

from pathlib import Path
from typing import Any, cast

import pytest

from mmx.errors import CheckpointError
from mmx.parts.engine import Engine
from mmx.train.untrained import NAME, Untrained
from mmx_toy.start import sit


class Two:
    """Two processes: what the other has not reached."""

    def __init__(self, other: set[str] | None = None) -> None:
        self.other = other

    def everyone(self, value: set[str]) -> list[set[str]]:
        return [value] if self.other is None else [value, self.other]


def untrained() -> Untrained:
    from torch import nn

    module = nn.ModuleDict({"one": nn.Linear(2, 2), "two": nn.Linear(2, 2), "teachers": nn.Linear(2, 2)})
    module["two"].bias.requires_grad_(False)  # pyright: ignore
    return Untrained(cast(Any, module))


def left(found: Untrained, other: set[str] | None = None) -> list[str]:
    return found.left(cast(Engine, Two(other)))


def test_what_any_process_reached_is_trained() -> None:
    found = untrained()
    assert left(found) == ["one.weight", "one.bias", "two.weight"]
    found.step(["one.bias"])
    assert left(found, {"one.weight", "one.bias"}) == ["one.weight"]


def test_it_goes_on_from_a_checkpoint() -> None:
    found = untrained()
    found.go_on(None)
    found.go_on(["two.weight", "gone"])
    assert left(found) == ["two.weight"]


def test_every_name_is_in_the_file_with_the_reason(tmp_path: Path) -> None:
    found = untrained()
    found.write(tmp_path, ["one.bias"])
    assert (tmp_path / NAME).read_text() == "one.bias\tno loss has reached it\ntwo.bias\tfrozen\n"
    with pytest.raises(CheckpointError, match="cannot write"):
        found.write(tmp_path / "missing", [])


def test_a_long_list_says_how_many_and_where_they_are() -> None:
    assert untrained().said(list("abcde")) == (
        "no loss of this step reaches a, b, c and 2 more: they move once one does (all names: untrained.txt)"
    )


def test_a_run_has_the_file(tmp_path: Path) -> None:
    session, _ = sit(tmp_path, "train.steps=3", 'image_encoder.train="frozen"')
    session.run(None)
    names = [line.split("\t") for line in (tmp_path / "run" / NAME).read_text().splitlines()]
    frozen = [name for name, why in names if why == "frozen"]
    assert frozen and all(name.startswith("model.image_encoder.") for name in frozen)
