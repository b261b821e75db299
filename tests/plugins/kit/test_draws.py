"""Draws from generators of the process are told with the generator and the line."""

import inspect
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from broken import means, noise

from mmx.config import LossConfig
from mmx.plugin.registry import Registries
from mmx_kit.case import Case
from mmx_kit.check import BrokenError
from mmx_kit.draws import refuse_draws
from mmx_kit.places import line


def case(part: type, folder: Path) -> Case:
    registries = Registries()
    register = registries.owned_by("broken")
    register("loss", "toy", config=LossConfig, part=f"{part.__module__}:{part.__name__}", summary="it may draw")
    return Case(registries["loss"]["toy"], LossConfig(name="toy"), folder, registries)


@pytest.mark.parametrize(
    ("part", "generator", "offset"),
    [
        (noise.GlobalNoise, "torch's global generator", 3),
        (noise.NoiseInTraining, "torch's global generator", 3),
        (noise.PythonNoise, "Python's global generator, 'random'", 3),
        (noise.NumpyStart, "numpy's global generator", 3),
    ],
)
def test_the_generator_and_the_line_are_told(part: type, generator: str, offset: int, tmp_path: Path) -> None:
    place = line(inspect.getfile(part), inspect.getsourcelines(part)[1] + offset)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # pyright: ignore
    with pytest.raises(BrokenError) as caught:
        refuse_draws(case(part, tmp_path))
    assert str(caught.value).startswith(
        f"it draws from {generator} at {place}; a loss draws from a generator of its own"
    )
    assert torch.equal(before[0], torch.get_rng_state()) and before[1] == random.getstate()
    assert before[2] == np.random.get_state()[1].tolist()  # pyright: ignore


@pytest.mark.parametrize("part", [noise.SeededNoise, means.MaskedWords], ids=lambda part: part.__name__)
def test_a_generator_of_its_own_and_dropout_are_fine(part: type, tmp_path: Path) -> None:
    refuse_draws(case(part, tmp_path))
