"""Going on late in an epoch costs no more than at its start: no sample is read again to get there. Counted, not timed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mmx.checkpoint.listing import candidates
from mmx.checkpoint.read import CheckpointData, read_checkpoint
from mmx.data.order import Asked, Order
from mmx.parts.dataset import Raw
from mmx_shards.dataset import Shards
from mmx_toy.start import sit, start
from mmx_toy.tars import pair, picture, write
from mmx_toy.watch import AtStep

BATCH = 6
SAMPLES, SHARDS = 50_000, 100


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Tars of 50,000 samples, which are the same bytes on disk."""
    folder = tmp_path_factory.mktemp("many")
    image = picture(0, 4)
    samples = range(SAMPLES // SHARDS)
    write(folder / "00.tar", [m for n in samples for m in pair(f"{n:03}", image, b"a caption", 0.9)[:2]])
    for shard in range(1, SHARDS):
        os.link(folder / "00.tar", folder / f"{shard:02}.tar")
    return (
        "data.train.name='shards'",
        f"data.train.urls=['{folder}/{{00..{SHARDS - 1}}}.tar']",
        f"train.steps={SAMPLES // BATCH}",
    )


def reads_before_first_step(out: Path, at: float, options: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Go on at a share of the first epoch, and return how many samples are read until one step is taken."""
    session, plugins = sit(out, *options)
    start_at = int(at * session.experiment.order.per_epoch)
    found = _checkpoint(out, start_at, options) if at else None
    reads: list[int] = []
    raw = Shards.raw

    def counts(self: Shards, index: int) -> Raw:
        reads.append(index)
        return raw(self, index)

    plugins.add(AtStep(start_at + 1, _stop), "stop")
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(Shards, "raw", counts)
        session.run(found)
    return len(reads)


def _stop() -> None:
    raise KeyboardInterrupt


def _checkpoint(out: Path, step: int, options: Sequence[str]) -> CheckpointData:
    """Return a checkpoint of another step, as if training had come so far."""
    start(out / "saved", *options, "train.steps=1", "optim.schedule.warmup=0")
    found = read_checkpoint(candidates(out / "saved" / "run" / "checkpoints")[0].path)
    return replace(found, manifest=found.manifest.model_copy(update={"step": step}))


def test_going_on_late_in_an_epoch_reads_no_more_than_at_its_start(
    many: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = {at: reads_before_first_step(tmp_path / f"{at}", at, many, monkeypatch) for at in (0.0, 0.9)}
    assert reads == {0.0: BATCH, 0.9: BATCH}


def test_a_trainer_that_reads_up_to_where_it_was_reads_more(
    many: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Order.asked

    def replayed(self: Order, start: int, stop: int, *more: int) -> Iterator[Asked]:
        yield Asked([ticket for step in range(start + 1) for ticket in self.tickets(step)], ())
        yield from asked(self, start + 1, stop, *more)

    monkeypatch.setattr(Order, "asked", replayed)
    late = 0.01
    reads = reads_before_first_step(tmp_path, late, many, monkeypatch)
    assert reads == (int(late * (SAMPLES // BATCH)) + 1) * BATCH > 1.5 * BATCH
