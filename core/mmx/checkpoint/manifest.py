"""The manifest of a checkpoint: which files belong to it and their sha256. Never imports torch.

It is written last and carries its own sha256, so a folder with a good manifest and good files is a whole checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import Field, ValidationError

from mmx.checkpoint.atomic import Written
from mmx.config import Table
from mmx.errors import CheckpointError

NAME: Final = "MANIFEST.json"
FORMAT: Final = 2
"""The newest version: 1, or 2 where files in ``frozen/`` belong to a checkpoint too."""
LIMIT: Final = 1 << 20
"""Bytes that a manifest may have at most."""

FileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}\.(safetensors|json)$")]
"""A plain name: nothing that leads out of the folder, nothing but safetensors and JSON."""
GroupName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class InvalidCheckpointError(CheckpointError):
    """One checkpoint cannot be used. ``reason`` says why, without the path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the checkpoint {path} cannot be used: {reason}")
        self.path = path
        self.reason = reason


class Record(Table):
    """One file of a checkpoint."""

    sha256: Digest
    size: Annotated[int, Field(ge=0)]

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Describe a file's content."""
        return cls(sha256=hashlib.sha256(data).hexdigest(), size=len(data))

    @classmethod
    def written(cls, file: Written) -> Self:
        """Describe a file that was written."""
        return cls(sha256=file.sha256, size=file.size)


class Manifest(Table):
    """What a checkpoint is, and the files that belong to it."""

    format: Literal[1, 2]
    """The version of this layout; a newer one is refused, not guessed at."""
    mmx: str
    """The version of mmx that wrote it."""
    step: Annotated[int, Field(ge=0)]
    score: float | None
    """Higher is better."""
    recipe: str
    """The sha256 of the resolved recipe, empty if none was given."""
    files: dict[FileName, Record]
    frozen: dict[GroupName, Record] = Field(default_factory=dict)
    """Files of the run's folder ``frozen/``, named by their sha256: tensors of a group that are never trained."""

    def encode(self) -> bytes:
        """Return the file's bytes: one fixed form, with the sha256 of the rest at its end."""
        body = self.model_dump()
        for table in ("files", "frozen"):
            body[table] = {name: body[table][name] for name in sorted(body[table])}
        if self.format == 1:
            del body["frozen"]
        digest = hashlib.sha256(_dump(body)).hexdigest()
        return _dump({**body, "sha256": digest})


def decode(data: bytes) -> Manifest:
    """Read a manifest back.

    Raises:
        ValueError: it is not one, or not a byte is as it was written; the message is the reason.
    """
    body = _parse(data)
    version = body.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(f"its format version is {version}, this mmx reads up to {FORMAT}; update mmx")
    body.pop("sha256", None)
    try:
        manifest = Manifest.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{NAME} is not valid: {where}: {first['msg']}") from None
    if manifest.encode() != data:
        raise ValueError(f"{NAME} was changed or cut short: it does not match its own sha256")
    return manifest


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > LIMIT:
        raise ValueError(f"{NAME} is larger than {LIMIT} bytes")
    try:
        body = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError):
        raise ValueError(f"{NAME} is not JSON; it was cut short or changed") from None
    if not isinstance(body, dict):
        raise ValueError(f"{NAME} is not a JSON object")
    return cast(dict[str, Any], body)


def _dump(body: dict[str, Any]) -> bytes:
    return (json.dumps(body, indent=1, allow_nan=False) + "\n").encode("ascii")
