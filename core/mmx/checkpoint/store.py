"""The checkpoints of one run: saved whole or not at all, verified, and never lost before a newer one is good.

Only safetensors and JSON are written and read. torch is imported only where tensors become bytes, and back.
"""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmx.checkpoint import manifest, plain
from mmx.checkpoint.atomic import remove_tree, sync_folder, write_bytes, write_new
from mmx.checkpoint.content import Content
from mmx.checkpoint.failures import explain
from mmx.checkpoint.frozen import store
from mmx.checkpoint.frozen import sweep as sweep_frozen
from mmx.checkpoint.listing import ASIDE, REJECTED, candidates, free_path, names
from mmx.checkpoint.manifest import InvalidCheckpointError, Manifest, Record
from mmx.checkpoint.read import STATE, CheckpointData, read_checkpoint
from mmx.checkpoint.retention import Retention, sweep
from mmx.errors import CheckpointError
from mmx.plugin.versions import mmx_version

if TYPE_CHECKING:
    from mmx.parts.lazy import Tensors

Say = Callable[[str], None]


class Store:
    """Saves, finds and keeps the checkpoints of one run. Used by one process at a time, from its main loop.

    Args:
        run: the run's folder; checkpoints go to ``checkpoints/`` in it, ``last`` and ``best`` name two of them.
        keep_last: how many of the newest stay, at least 1.
        keep_best: whether the one with the highest score stays too.
        recipe: the sha256 of the resolved recipe, written into each manifest.
    """

    def __init__(self, run: Path, keep_last: int = 2, keep_best: bool = True, recipe: str = "") -> None:
        self.run = run
        self.folder = run / "checkpoints"
        self._retention = Retention(self.folder, keep_last, keep_best)
        self._recipe = recipe
        self._frozen: dict[str, Record] = {}

    def save(
        self,
        step: int,
        tensors: Mapping[str, Tensors],
        values: Mapping[str, plain.Plain],
        score: float | None = None,
        frozen: Mapping[str, Tensors] | None = None,
    ) -> Path:
        """Save one checkpoint and return its folder, once it is on the disk and verified.

        Tensors are written one at a time, in the order of ``each_in_turn``.

        Args:
            step: the step it is made after.
            tensors: tensors by group and name; each group becomes ``<group>.safetensors``.
            values: everything else; only what JSON keeps exactly.
            score: higher is better; None if it is not known.
            frozen: more tensors of these groups, which do not change: stored once, beside the checkpoints. Later saves
                refer to what was stored last where this is None.

        Raises:
            CheckpointError: it cannot be saved. Checkpoints that were there are still there.
        """
        from mmx.checkpoint.tensors import content_of

        once = None if frozen is None else {group: content_of(group, named) for group, named in frozen.items()}
        files = {f"{group}.safetensors": content_of(group, named) for group, named in tensors.items()}
        return self.write(step, {**files, STATE: Content.of(plain.dump(values))}, score, once)

    def write(
        self,
        step: int,
        files: Mapping[str, Content],
        score: float | None = None,
        frozen: Mapping[str, Content] | None = None,
    ) -> Path:
        """Save files as they are given; ``save`` without tensors. Does not import torch."""
        _refuse_score(step, score)
        aside = self.folder / f"{ASIDE}{uuid.uuid4().hex}"
        try:
            self._prepare()
            if frozen is not None:
                self._frozen = store(self.run, frozen)
            path = self._place(aside, step, files, score)
            self._settle(path)
        except (OSError, InvalidCheckpointError) as error:
            remove_tree(aside)
            needed = sum(content.size for content in (*files.values(), *(frozen or {}).values()))
            raise CheckpointError(explain(error, self.folder, step, needed, self._newest())) from error
        except BaseException:
            remove_tree(aside)
            raise
        return path

    def latest(self, say: Say) -> CheckpointData | None:
        """Read the newest checkpoint that is good, and say which were not and why. None if there never was one.

        Raises:
            CheckpointError: there are checkpoints, but none of them is good.
        """
        found = candidates(self.folder)
        reasons: list[str] = []
        for one in found:
            try:
                loaded = self.read(one.path)
            except InvalidCheckpointError as error:
                say(f"{error}")
                reasons.append(f"  {one.path.name}: {error.reason}")
                continue
            if reasons:
                say(f"using {one.path.name} instead, which is good")
            return loaded
        self._refuse_to_start_over(reasons)
        return None

    def read(self, path: Path) -> CheckpointData:
        """Verify one checkpoint, so that its tensors can be read; what is read later is compared with what was verified.

        Raises:
            InvalidCheckpointError: it is not whole and unchanged.
        """
        loaded = read_checkpoint(path)
        self._retention.trust(path)
        return loaded

    def best(self) -> Path | None:
        """Return the good checkpoint with the highest score; None if none has a score."""
        return self._retention.best()

    def drop_after(self, step: int, say: Say) -> None:
        """Set aside checkpoints newer than a step, once a run goes on from there. They are renamed, not removed."""
        for one in candidates(self.folder):
            if one.step > step:
                try:
                    aside = self._retention.set_aside(one.path)
                except OSError as error:
                    raise CheckpointError(
                        f"cannot rename {one.path}: {error.strerror}; mend this, then resume"
                    ) from error
                say(f"{one.path.name} is newer than step {step}, which the run goes on from: renamed to {aside.name}")

    def _prepare(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o755)
            sync_folder(self.run)
        sweep(self.folder)
        sweep_frozen(self.run)

    def _place(self, aside: Path, step: int, files: Mapping[str, Content], score: float | None) -> Path:
        aside.mkdir(mode=0o755)
        described = Manifest(
            format=2 if self._frozen else 1,
            mmx=mmx_version(),
            step=step,
            score=score,
            recipe=self._recipe,
            files={name: Record.written(write_new(aside / name, one.pieces())) for name, one in files.items()},
            frozen=self._frozen,
        )
        write_new(aside / manifest.NAME, [described.encode()])
        sync_folder(aside)
        path = free_path(self.folder, step)
        os.rename(aside, path)
        sync_folder(self.folder)
        return path

    def _settle(self, path: Path) -> None:
        self._retention.check(path)
        self._point("last", path)
        best = self._retention.best()
        if best is not None:
            self._point("best", best)
        self._retention.apply()

    def _point(self, name: str, path: Path) -> None:
        # Hints for people and scripts. mmx itself goes by the folder and the manifests.
        write_bytes(self.run / name, f"{path.name}\n".encode())

    def _newest(self) -> Path | None:
        try:
            return self._retention.newest()
        except CheckpointError:
            return None

    def _refuse_to_start_over(self, reasons: list[str]) -> None:
        reasons += [f"  {name}: set aside earlier" for name in names(self.folder) if name.startswith(REJECTED)]
        pointer = self.run / "last"
        if not reasons and pointer.exists():
            reasons.append(f"  {pointer} says that there was one, but {self.folder} is empty")
        if reasons:
            raise CheckpointError(
                f"no checkpoint in {self.folder} can be used, and mmx does not start over by itself:\n"
                + "\n".join(reasons)
                + "\nput a good copy of a checkpoint back there, or start a new run"
            )


def _refuse_score(step: int, score: float | None) -> None:
    if score is not None and not math.isfinite(score):
        raise CheckpointError(f"the score of step {step} is {score}; a score is a finite number or None")
