"""Broken datasets, transforms, tokenizers, evaluators, trackers, engines and options: each is caught by its check."""

import random
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from broken.datasets import DATASET, DATASETS
from broken.engines import ENGINE, ENGINES
from broken.evaluators import EVALUATOR, EVALUATORS
from broken.filters import FILTER_TWINS, FILTERS
from broken.optimizers import OPTIMIZER, OPTIMIZERS
from broken.options import OPTIONED, OPTIONS
from broken.schedules import SCHEDULE, SCHEDULES
from broken.table import Broken, Twin
from broken.tokenizers import TOKENIZER, TOKENIZERS
from broken.trackers import TRACKER, TRACKERS, LeavesProcess
from broken.transforms import IMAGE_TRANSFORM, PAIRED_TRANSFORM, TEXT_TRANSFORM, TRANSFORMS
from broken.travelling import TRAVELLING
from broken.weights import WEIGHT_FORMAT, WEIGHTS
from jaxtyping import TypeCheckError

import mmx_clip
from mmx.plugin.registry import Registries
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check
from mmx_kit.configs import CONFIG_CHECKS
from mmx_kit.datasets import DATASET_CHECKS
from mmx_kit.engines import ENGINE_CHECKS
from mmx_kit.evaluators import EVALUATOR_CHECKS
from mmx_kit.filters import FILTER_CHECKS
from mmx_kit.globals_kept import GLOBAL_CHECKS, restored
from mmx_kit.optimizers import OPTIMIZER_CHECKS
from mmx_kit.schedules import SCHEDULE_CHECKS
from mmx_kit.tokenizers import TOKENIZER_CHECKS
from mmx_kit.trackers import TRACKER_CHECKS
from mmx_kit.transforms import TRANSFORM_CHECKS
from mmx_kit.weights import WEIGHTS_CHECKS
from mmx_kit.workers import WORKER_CHECKS

CHECKS = (
    *CONFIG_CHECKS,
    *GLOBAL_CHECKS,
    *WORKER_CHECKS,
    *DATASET_CHECKS,
    *FILTER_CHECKS,
    *TRANSFORM_CHECKS,
    *TOKENIZER_CHECKS,
    *OPTIMIZER_CHECKS,
    *SCHEDULE_CHECKS,
    *EVALUATOR_CHECKS,
    *TRACKER_CHECKS,
    *ENGINE_CHECKS,
    *WEIGHTS_CHECKS,
)
TWINS = (
    *(DATASET, *FILTER_TWINS, IMAGE_TRANSFORM, TEXT_TRANSFORM, PAIRED_TRANSFORM, TOKENIZER, OPTIMIZER, SCHEDULE),
    *(EVALUATOR, TRACKER, ENGINE, OPTIONED, WEIGHT_FORMAT),
)
BROKEN = (
    *(*OPTIONS, *DATASETS, *FILTERS, *TRAVELLING, *TRANSFORMS, *TOKENIZERS, *OPTIMIZERS, *SCHEDULES),
    *(*EVALUATORS, *TRACKERS, *ENGINES, *WEIGHTS),
)


@pytest.fixture(autouse=True)
def whole() -> Iterator[None]:
    """Put back what broken parts change of the process."""
    with restored():
        yield
    for process in LeavesProcess.started_here:
        process.kill()
        process.wait()
    LeavesProcess.started_here.clear()


def case_of(part: Broken | Twin, folder: Path) -> Case:
    registries = Registries()
    mmx_clip.mmx_register(registries.owned_by("mmx_clip"))  # formats of weights hold models of installed parts
    register = registries.owned_by("broken")
    register(part.kind, part.name, config=part.config, part=part.part, summary="a part that may be broken")
    return Case(registries[part.kind][part.name], part.config.example(part.name, folder), folder, registries)


def applying(kind: str) -> list[Check]:
    return [check for check in CHECKS if kind in check.kinds]


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("broken", BROKEN, ids=lambda part: f"{part.caught_by}: {part.kind} {part.name}")
def test_a_broken_part_is_caught_by_its_check(broken: Broken, tmp_path: Path) -> None:
    (check,) = [check for check in applying(broken.kind) if check.name == broken.caught_by]
    # In this suite signatures are checked as well, and may be the first to notice.
    with pytest.raises((BrokenError, TypeCheckError)):
        check.run(case_of(broken, tmp_path))


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: f"{twin.kind} {twin.name}")
def test_a_twin_passes_every_check_of_its_kind(twin: Broken, tmp_path: Path) -> None:
    for place, check in enumerate(applying(twin.kind)):
        folder = tmp_path / str(place)
        folder.mkdir()
        check.run(case_of(twin, folder))


def test_every_check_catches_two_broken_parts() -> None:
    caught = {check.name: [part for part in BROKEN if part.caught_by == check.name] for check in CHECKS}
    assert {name: len(parts) for name, parts in caught.items() if len(parts) < 2} == {}


def test_every_kind_has_three_broken_parts() -> None:
    kinds = {kind for check in CHECKS if len(check.kinds) <= 2 for kind in check.kinds}
    assert {kind for kind in kinds if sum(part.kind == kind for part in BROKEN) < 3} == set()


def test_what_belongs_to_the_process_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM), sys.excepthook, random.getstate(), list(warnings.filters)
    with restored():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.excepthook = lambda kind, error, trace: None
        random.random()
        warnings.simplefilter("ignore")
    assert (signal.getsignal(signal.SIGTERM), sys.excepthook, random.getstate(), list(warnings.filters)) == before
