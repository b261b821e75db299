"""``mmx plugins new``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Mmx = Callable[..., Any]


def test_a_package(mmx: Mmx) -> None:
    done = mmx("plugins", "new", "loss", "my_loss")
    assert done.code == 0 and Path("mmx-my-loss/src/mmx_my_loss/loss.py").is_file()
    assert done.out.splitlines() == [
        "wrote mmx-my-loss, the loss 'my_loss': sigmoid loss of every picture with every text of the global batch",
        "",
        "next:",
        "  cd mmx-my-loss",
        "  pip install --no-build-isolation -e '.[dev]'",
        "  mmx run recipe.toml --set train.steps=3",
        "  mmx plugins check mmx_my_loss",
        "  python -m pytest",
    ]


def test_a_single_file_elsewhere(mmx: Mmx) -> None:
    done = mmx("plugins", "new", "encoder", "my_tower", "--single-file", "--into", "a b")
    assert done.code == 0 and Path("a b/my_tower.py").is_file()
    assert "wrote a b/my_tower.py and a b/my_tower.toml, the image_encoder 'my_tower'" in done.out
    assert "  cd 'a b'\n  mmx run my_tower.toml --plugin my_tower.py --set train.steps=3\n" in done.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("loss", "my loss"), "'my loss' cannot be a part's name"),
        (("loss", "Hard-Neg"), "write 'hard_neg'"),
        (("los", "mine"), "no plugin can be started with a 'los'; did you mean 'loss'?"),
        (("loss", "contrast"), "throw-away 1.0 (throwaway) has the loss 'contrast' already"),
        (("loss", "clip"), "there is a module 'mmx_clip' already"),
        (("loss", "csv", "--single-file"), "there is a module 'csv' already"),
    ],
)
def test_refusals(mmx: Mmx, arguments: tuple[str, ...], expected: str) -> None:
    done = mmx("plugins", "new", *arguments)
    assert done.code == 2 and expected in done.err
    assert not list(Path().iterdir())


def test_a_second_time(mmx: Mmx) -> None:
    assert mmx("plugins", "new", "loss", "mine").code == 0
    again = mmx("plugins", "new", "loss", "mine")
    assert again.code == 2 and "mmx-mine exists; it is not overwritten" in again.err
