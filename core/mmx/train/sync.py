"""Where the processes of a run agree: before each step on what they read and whether to go on, and on what failed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mmx.data.views import Skipped, StepData
from mmx.errors import DataError, MmxError
from mmx.launch.signals import Stop
from mmx.parts.batch import Batch, joined
from mmx.parts.engine import Engine


@dataclass(frozen=True)
class LocalStep:
    """What one process has for the next step."""

    row: int
    """Its data-parallel rank: processes of one rank hold parts of a model and read the same rows."""
    loaded: StepData | None
    stop: Stop | None
    due: bool
    """Whether it wants a checkpoint after the step."""
    error: MmxError | None = None


@dataclass(frozen=True)
class GlobalStep:
    """What all processes go on with."""

    loaded: StepData | None
    """The rows of this rank, as many as any other rank has; None where all stop."""
    keys: Sequence[str]
    """The samples of all ranks, in their order."""
    bad: Sequence[Skipped]
    stop: Stop | None
    due: bool


@dataclass(frozen=True)
class _Told:
    row: int
    keys: tuple[str, ...]
    facts: frozenset[str]
    bad: tuple[Skipped, ...]
    stop: Stop | None
    due: bool
    error: MmxError | None


def sync_step(engine: Engine, here: LocalStep) -> GlobalStep:
    """Tell all processes what this one has, and return what they go on with.

    Raises:
        MmxError: one of them failed; each raises its error.
        DataError: processes of one data-parallel rank read different samples.
    """
    told = engine.everyone(_told(here))
    failed = next((one.error for one in told if one.error is not None), None)
    if failed is not None:
        raise here.error or failed
    stop = next((one.stop for one in told if one.stop is not None), None)
    if stop is not None or here.loaded is None:
        return GlobalStep(None, (), (), stop, told[0].due)
    rows = _rows(told)
    loaded, left = _equal(engine, here.loaded, rows)
    out = {sample.key for sample in left}
    keys = [key for row in rows for key in row.keys if key not in out]
    bad = [*(sample for row in rows for sample in row.bad), *left]
    return GlobalStep(loaded, keys, bad, None, told[0].due)


def _told(here: LocalStep) -> _Told:
    batch = None if here.loaded is None else here.loaded.batch
    keys, facts = ((), frozenset[str]()) if batch is None else (tuple(batch.keys), frozenset(batch.facts))
    bad = () if here.loaded is None else tuple(here.loaded.bad)
    return _Told(here.row, keys, facts, bad, here.stop, here.due, here.error)


def _rows(told: Sequence[_Told]) -> list[_Told]:
    """Return what each data-parallel rank read."""
    rows: dict[int, _Told] = {}
    for one in told:
        first = rows.setdefault(one.row, one)
        if first.keys != one.keys:
            apart = next((a for a, b in zip(first.keys, one.keys, strict=False) if a != b), "one more sample")
            raise DataError(
                "processes that hold parts of one model read different samples of the same step "
                f"(the first: {apart}); is the data the same on every machine, and readable there?"
            )
    return [rows[row] for row in sorted(rows)]


def _equal(engine: Engine, loaded: StepData, rows: Sequence[_Told]) -> tuple[StepData, list[Skipped]]:
    """Give each rank equally many rows and the same facts. Returns this rank's rows, and the samples that are left out."""
    shared = (
        frozenset[str].intersection(*(row.facts for row in rows if row.keys)) if any(r.keys for r in rows) else set()
    )
    if len({len(row.keys) for row in rows}) == 1:
        facts = {name: value for name, value in loaded.batch.facts.items() if name in shared}
        return replace(loaded, batch=replace(loaded.batch, facts=facts)), []
    given = dict(engine.everyone((engine.group.rank, loaded.batch)))
    whole = joined([given[row] for row in sorted(given) if given[row].keys])
    count = len(whole.keys) // len(rows)
    cut = whole.select(slice(0, count * len(rows)))
    why = f"left out, since the {len(whole.keys)} good samples of the step do not divide over {len(rows)} ranks"
    left = [Skipped(key, why, counts=False) for key in whole.keys[count * len(rows) :]]
    mine = cut.chunk(len(rows))[engine.group.rank] if count else Batch({}, {})
    return StepData(mine, loaded.bad), left
