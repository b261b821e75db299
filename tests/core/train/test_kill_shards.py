"""SIGKILL at random moments of runs on tars: mixed by weights and by repetitions, filtered, with bad samples.

As in ``test_kill.py``, and what is told of sources and of skipped samples is that of a run that was never killed.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mmx.runs.lines import read_lines
from mmx_toy.campaign import BATCH, RECIPE, STEPS, Course, Trial, attack, judge, unbroken
from mmx_toy.mixed import DRAWN, FOUND, KEPT, LOW, MIXES, PER_EPOCH, SMALL, UNSET, mixed
from mmx_toy.proof import lost_and_repeated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
MORE = ("data.bad_samples=0.5", "train.log_every=4")
"""Not every step is recorded: counts by source must outlive what lies between a record and a checkpoint."""


@pytest.fixture(scope="module", params=MIXES)
def mix(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def course(mix: str, tmp_path_factory: pytest.TempPathFactory) -> Course:
    options = mixed(tmp_path_factory.mktemp("data"))
    return Course((*RECIPE, *MORE, *options, *MIXES[mix]), UNSET, PER_EPOCH[mix] // BATCH)


@pytest.fixture(scope="module")
def reference(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    out = tmp_path_factory.mktemp("unbroken")
    trial = unbroken(out, course=course)
    row = next(row for row in read_lines(out / "run" / "metrics.jsonl") if row["kind"] == "run")
    assert row["left_out"] == {"sources.drawn.keep.fields.score": LOW, "sources.found.keep.min_side": SMALL}
    assert KEPT == {"drawn": DRAWN[0] * DRAWN[1] - LOW, "found": FOUND[0] * FOUND[1] - SMALL}
    return trial


def test_the_unbroken_run_accounts_for_every_sample(mix: str, reference: Trial) -> None:
    read = {source: trained + bad for source, (trained, bad) in reference.counted.items()}
    assert sum(read.values()) == STEPS * BATCH
    if mix == "weights":
        assert read == {"drawn": STEPS * BATCH * 2 // 3, "found": STEPS * BATCH // 3}
    bad = [str(row["key"]).partition("/")[0] for row in reference.skipped]
    assert {source: bad.count(source) for source in read} == {s: b for s, (_, b) in reference.counted.items()}
    assert min(bad.count(source) for source in read) > 3, "too few bad samples to show anything"
    assert [key for entry in reference.entries for key in entry.skipped] == [row["key"] for row in reference.skipped]
    assert lost_and_repeated(reference.entries, reference.course.per_epoch, BATCH, STEPS) == (0, 0)


def test_killed_runs_end_like_the_unbroken_one(course: Course, reference: Trial, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        trials = list(
            both.map(lambda workers: attack(tmp_path / f"{workers}", workers, seed=workers, course=course), (0, 2))
        )
    verdict = judge(trials, reference)
    print(verdict)
    assert verdict.problems == ()
    assert (verdict.equal, verdict.runs, verdict.lost, verdict.repeated) == (2, 2, 0, 0)
    assert verdict.kills == 4 and {trial.workers for trial in trials} == {0, 2}


@pytest.mark.parametrize("mix", ["weights"], scope="module")
def test_a_trainer_that_starts_its_data_over_fails(course: Course, reference: Trial, tmp_path: Path) -> None:
    verdict = judge([attack(tmp_path, workers=0, seed=3, naive="order", course=course)], reference)
    assert verdict.equal == 0
    for found in ("other samples than the unbroken run", "other counts by source", "other samples are told"):
        assert any(found in problem for problem in verdict.problems), verdict.problems
