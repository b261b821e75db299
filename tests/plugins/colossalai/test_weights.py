"""Weights that a run starts from, in two processes that hold one model together."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from launched import MMX, TWO, new, start
from safetensors.torch import load_file

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(find_spec("colossalai") is None, reason="ColossalAI is not installed"),
]


@pytest.mark.slow
def test_two_processes_start_from_the_same_weights_and_need_them_once(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    assert start([*MMX, *new(source, 1)], source).wait() == 0
    model = source / "run" / "model"
    options = (*TWO, "parallel.tensor=2", f"weights.from={model}", "seed=5", "train.max_minutes=1e-9")
    stopped = start([*MMX, *new(out, 2, *options)], out)
    assert stopped.wait() == 75, stopped.text
    given = load_file(model / "model.safetensors")
    saved = load_file(out / "run" / "checkpoints" / "step-00000000" / "model.safetensors")
    assert given.keys() == saved.keys() and all(torch.equal(given[name], saved[name]) for name in given)
    assert [row["tensors"] for row in json.loads((out / "run" / "weights.json").read_text())] == [len(given)]
    shutil.rmtree(source)
    on = start([*MMX, "run", "--resume", str(out / "run"), "--unset", "train.max_minutes"], out)
    assert on.wait() == 0, on.text
