"""What a run does not train: what is frozen, and what no loss has reached yet."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, final

from mmx.checkpoint.atomic import write_bytes
from mmx.errors import CheckpointError
from mmx.learn.objective import Objective
from mmx.parts.engine import Engine

NAME: Final = "untrained.txt"
_SHOWN: Final = 3


@final
class Untrained:
    """Parameters that have not moved, by their names; the same on any layout.

    Args:
        objective: before it is divided over processes.
    """

    def __init__(self, objective: Objective) -> None:
        own = [(name, p) for name, p in objective.named_parameters() if not name.startswith("teachers.")]
        self._order = [name for name, _ in own]
        self._frozen = {name for name, p in own if not p.requires_grad}
        self._left = {name for name, p in own if p.requires_grad}

    def go_on(self, left: Iterable[str] | None) -> None:
        """Take back what a checkpoint says had not been reached; older ones do not say it."""
        if left is not None:
            self._left &= set(left)

    def step(self, reached: Iterable[str]) -> None:
        """Note what the losses of a step reached in this process."""
        self._left.difference_update(reached)

    def left(self, engine: Engine) -> list[str]:
        """Return what has not been reached in any process; all of them ask."""
        self._left = set.intersection(*engine.everyone(self._left))
        return [name for name in self._order if name in self._left]

    def said(self, left: list[str]) -> str:
        """Say what the first step did not reach."""
        listed = ", ".join(left[:_SHOWN]) + (f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else "")
        return f"no loss of this step reaches {listed}: they move once one does (all names: {NAME})"

    def write(self, folder: Path, left: Iterable[str]) -> None:
        """Write all names, in the model's order, with the reason.

        Raises:
            CheckpointError: it cannot be written.
        """
        left = set(left)
        why = {name: "frozen" for name in self._frozen} | {name: "no loss has reached it" for name in left}
        lines = [f"{name}\t{why[name]}\n" for name in self._order if name in why]
        try:
            write_bytes(folder / NAME, "".join(lines).encode())
        except OSError as error:
            raise CheckpointError(f"cannot write {folder / NAME}: {error.strerror}") from error
