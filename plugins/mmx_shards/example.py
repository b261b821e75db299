"""Small shards of drawn pictures, to check the dataset with."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Final

from PIL import Image

_SAMPLES: Final = 5


def write_shard(path: Path, shard: int) -> None:
    """Write a tar of a few pictures with captions; the last picture of shard 0 is damaged."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in range(_SAMPLES):
            broken = shard == 0 and sample == _SAMPLES - 1
            _add(tar, f"{shard}/{sample:04d}.png", b"not a picture" if broken else _picture(shard, sample))
            _add(tar, f"{shard}/{sample:04d}.txt", f"picture {sample} of shard {shard}\n".encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _picture(shard: int, sample: int) -> bytes:
    data = io.BytesIO()
    Image.linear_gradient("L").resize((40 + sample, 30 + shard)).rotate(40 * sample).save(data, "PNG")
    return data.getvalue()
