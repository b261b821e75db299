"""What can be told of a layout without torch."""

from pathlib import Path

import pytest

from mmx.errors import RecipeError
from mmx.plugin.manager import Plugins
from mmx.recipe import load
from mmx_colossalai import config
from mmx_colossalai.config import INSTALL, ColossalConfig, visible_gpus

REFUSED = [
    (("zero=1", 'precision="fp32"'), "parallel.zero: shares out the fp32 copies", "zero = 0 with fp32, or bf16"),
    (("zero=3",), "parallel.zero: 3 is Gemini", "zero = 2"),
    (("zero=2", "pipeline=2"), "parallel.zero: 2 would exchange gradients", "zero = 1"),
    (('sequence="ring_attention"',), "parallel.sequence: ring attention needs GPUs", 'sequence = "split_gather"'),
    (('sequence="split_gather"',), "parallel.sequence: divides tokens over", "tensor = 2"),
    (("pipeline=4",), "parallel.pipeline: 4 stages need at least as many micro-batches", "train.micro_batches = 4"),
    (("processes=6", "tensor=4"), "parallel.processes: should be a multiple of tensor x pipeline = 4", "as 8 is"),
    (("processes=3",), "parallel.processes: makes 3 data-parallel ranks: data.batch = 128", "as 129 does"),
]


@pytest.mark.parametrize(("options", "problem", "nearest"), REFUSED)
def test_what_cannot_work_is_refused_with_the_nearest_that_can(
    options: tuple[str, ...], problem: str, nearest: str
) -> None:
    sets = ['parallel.engine="colossalai"', *(f"parallel.{option}" for option in options)]
    with pytest.raises(RecipeError) as caught:
        load("quickstart_vit", sets, (), Plugins().registries)
    assert problem in str(caught.value) and nearest in str(caught.value)


def test_what_can_work_is_not_refused() -> None:
    for options in ({}, {"tensor": 2}, {"zero": 2}, {"processes": 8, "tensor": 2, "zero": 1}):
        assert list(ColossalConfig(name="c", **options).refusals(128, 1)) == []  # pyright: ignore[reportArgumentType]
    assert list(ColossalConfig(name="c", pipeline=2).refusals(128, 2)) == []


def test_all_problems_come_at_once() -> None:
    broken = ColossalConfig(name="c", zero=1, precision="fp32", pipeline=2, processes=3)
    assert {key for key, _ in broken.refusals(128, 1)} == {"processes", "zero", "pipeline"}


@pytest.mark.parametrize(
    ("options", "gpus", "processes"),
    [
        ({}, 0, 1),
        ({"tensor": 2, "pipeline": 2}, 0, 4),
        ({"processes": 3}, 8, 3),
        ({}, 8, 8),
        ({"tensor": 3}, 8, 6),
        ({"tensor": 2, "device": "cpu"}, 8, 2),
    ],
)
def test_how_many_processes_are_started(
    options: dict[str, object], gpus: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "visible_gpus", lambda: gpus)
    assert ColossalConfig.model_validate({"name": "c", **options}).processes_here() == processes


def test_a_build_for_cpus_sees_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr(config, "version", lambda name: "2.13.0+cpu")
    assert visible_gpus() == 0
    monkeypatch.setattr(config, "version", lambda name: "2.13.0")
    assert visible_gpus() == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == 0


def test_what_is_missing_comes_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.machinery import ModuleSpec

    there = {"colossalai", "peft"}
    monkeypatch.setattr(
        config.importlib.util, "find_spec", lambda name: ModuleSpec(name, None) if name in there else None
    )
    text = ColossalConfig(name="c").missing()
    assert "einops, galore_torch, psutil, transformers not installed" in text and INSTALL in text


def test_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(config, "version", lambda name: "0.4.9")
    assert "colossalai 0.4.9 is installed, the engine is made for 0.5.0" in ColossalConfig(name="c").missing()


def test_a_run_without_it_stops_with_the_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mmx.errors import MissingPackageError
    from mmx.runs.request import RunRequest
    from mmx.train.prepare import prepare

    monkeypatch.setattr(ColossalConfig, "missing", lambda self: f"colossalai not installed\n  {INSTALL}")
    with pytest.raises(MissingPackageError, match="pip install --no-deps colossalai"):
        prepare(RunRequest(Path("clip_b16"), ("data.train.name=emoji",), out=tmp_path), print)


def test_every_layout_to_verify_is_valid() -> None:
    for name, layout in ColossalConfig.layouts().items():
        made = ColossalConfig.model_validate({"name": "c", **layout.options})
        assert list(made.refusals(16, layout.micro_batches)) == [], name
        assert made.processes_here() == layout.processes, name
    wanted = {"dp2", "tp2", "pp2", "zero1x2", "zero2x2", "tp2xdp2", "tp2xpp2", "pp2xdp2"}
    assert wanted <= set(ColossalConfig.layouts())


@pytest.mark.parametrize("option", ["tensor=2", "zero=1"])
def test_an_optimizer_that_needs_whole_tensors_is_refused_by_name_where_they_are_cut(option: str) -> None:
    registries = Plugins().registries
    sets = ('parallel.engine="colossalai"', f"parallel.{option}")
    load("quickstart_vit", (*sets, "optim.name=lion"), (), registries)
    with pytest.raises(
        RecipeError, match=r"parallel\.\w+: divides tensors, and the optimizer 'lamb' takes each step from"
    ):
        load("quickstart_vit", (*sets, "optim.name=lamb"), (), registries)
    load("quickstart_vit", (sets[0], "parallel.pipeline=2", "train.micro_batches=2", "optim.name=lamb"), (), registries)
