"""The number of threads of a run: kept when it goes on, since sums are rounded in another order with another one."""

from __future__ import annotations

from collections.abc import Callable

from mmx.launch import threads
from mmx.runs.layout import RunFolder


def threads_before(folder: RunFolder | None, processes: int) -> int | None:
    """Return how many threads each process of a run had.

    None for a new run, one that says nothing of it, and one whose number of processes is another now.
    """
    facts = {} if folder is None else folder.environment()
    found = facts.get("threads")
    return found if isinstance(found, int) and found > 0 and facts.get("processes") == processes else None


def keep_threads(folder: RunFolder | None, processes: int, say: Callable[[str], None]) -> None:
    """Give torch as many threads as the run had before, or say what it means that the user wished for others."""
    import torch

    before, now = threads_before(folder, processes), torch.get_num_threads()
    if before is None or before == now:
        return
    if threads.wished():
        say(
            f"{now} CPU threads, as the environment says; the run had {before} before, so sums are rounded in another "
            "order: on a CPU it is not bit for bit the run that was never interrupted"
        )
        return
    say(f"{before} CPU threads, as before; OMP_NUM_THREADS sets another number, with which sums are rounded otherwise")
    torch.set_num_threads(before)
