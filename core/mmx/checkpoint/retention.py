"""Which checkpoints stay: the newest k that are verified, and the best. Never imports torch."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from mmx.checkpoint import frozen
from mmx.checkpoint.atomic import remove_tree, sync_folder
from mmx.checkpoint.check import check, read_manifest
from mmx.checkpoint.listing import ASIDE, REJECTED, Candidate, candidates, names
from mmx.checkpoint.manifest import InvalidCheckpointError


class Retention:
    """Removes checkpoints that are no longer kept. Nothing is removed before enough newer ones are verified."""

    def __init__(self, folder: Path, keep_last: int, keep_best: bool) -> None:
        if keep_last < 1:
            raise ValueError(f"keep_last is {keep_last}, at least 1 checkpoint must stay")
        self._folder = folder
        self._keep_last = keep_last
        self._keep_best = keep_best
        self._good: set[Path] = set()
        self._frozen: set[str] = set()

    def trust(self, path: Path) -> None:
        """Note that a checkpoint was verified, so that it is not read again for each save."""
        self._good.add(path)

    def good(self, path: Path) -> bool:
        """Return whether a checkpoint is verified, reading it if it was not yet."""
        if path not in self._good:
            try:
                self.check(path)
            except InvalidCheckpointError:
                return False
        return True

    def check(self, path: Path) -> None:
        """Verify a checkpoint; what it refers to in ``frozen/`` is read once, whatever number of checkpoints refer to it.

        Raises:
            InvalidCheckpointError: it is not whole and unchanged.
        """
        found = check(path, self._frozen)
        self._frozen |= {record.sha256 for record in found.frozen.values()}
        self.trust(path)

    def newest(self) -> Path | None:
        """Return the newest verified checkpoint."""
        return next((one.path for one in candidates(self._folder) if self.good(one.path)), None)

    def best(self) -> Path | None:
        """Return the verified checkpoint with the highest score, the newest of equals."""
        scored = [(score, one) for one in candidates(self._folder) if (score := _score(one)) is not None]
        ranked = sorted(scored, key=lambda pair: pair[0], reverse=True)
        return next((one.path for _, one in ranked if self.good(one.path)), None)

    def apply(self) -> None:
        """Remove what is not kept. A bad checkpoint among the kept ones is set aside, not removed."""
        kept, rest = self._split()
        best = self.best() if self._keep_best else None
        for path in rest:
            if path not in kept and path != best:
                self._discard(path)
        if rest:
            sync_folder(self._folder)
        frozen.remove_unused(self._folder.parent, self._folder)

    def set_aside(self, path: Path) -> Path:
        """Rename a checkpoint so that it is no longer used; it stays for the user to look at. Returns its new path."""
        target, count = path.with_name(f"{REJECTED}{path.name}"), 0
        while os.path.lexists(target):
            count += 1
            target = path.with_name(f"{REJECTED}{path.name}.{count}")
        os.rename(path, target)
        sync_folder(path.parent)
        self._good.discard(path)
        return target

    def _split(self) -> tuple[list[Path], list[Path]]:
        kept: list[Path] = []
        rest: list[Path] = []
        steps: set[int] = set()
        for one in candidates(self._folder):
            if len(kept) == self._keep_last or one.step in steps:
                rest.append(one.path)
            elif self.good(one.path):
                kept.append(one.path)
                steps.add(one.step)
            else:
                self.set_aside(one.path)
        return kept, rest

    def _discard(self, path: Path) -> None:
        # Renamed first: it goes in one instant, and a removal that is interrupted leaves no half checkpoint.
        aside = self._folder / f"{ASIDE}{uuid.uuid4().hex}"
        os.rename(path, aside)
        self._good.discard(path)
        remove_tree(aside)


def sweep(folder: Path) -> None:
    """Remove what interrupted saves and removals left behind."""
    for name in names(folder):
        if name.startswith(ASIDE):
            remove_tree(folder / name)


def _score(candidate: Candidate) -> float | None:
    try:
        return read_manifest(candidate.path).score
    except InvalidCheckpointError:
        return None
