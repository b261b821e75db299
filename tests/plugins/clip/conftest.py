"""Golden values, and the formula that their weights come from."""

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from torch import Tensor

from mmx.parts.sizes import Sizes

_HERE = Path(__file__).parent

Formula = Callable[[str, Sequence[int]], Tensor]


@pytest.fixture(scope="session")
def weight() -> Formula:
    spec = importlib.util.spec_from_file_location("golden_weights", _HERE.parents[1] / "golden" / "weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Formula, module.weight)


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    return json.loads((_HERE / "golden_clip.json").read_text())


@pytest.fixture
def sizes() -> Sizes:
    return Sizes(image=16, vocabulary=64, context=6, pad=0, start=62, end=63, image_width=32, text_width=24)
