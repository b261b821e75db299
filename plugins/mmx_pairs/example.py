"""Small datasets of drawn pictures, to check the datasets with; the last picture of each is damaged."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

from PIL import Image

from mmx.errors import MissingPackageError
from mmx_pairs.config_rows import missing

_SAMPLES: Final = 8


def write_folder(folder: Path) -> None:
    """Write pictures with captions beside them, in two subfolders."""
    for sample in range(_SAMPLES):
        path = folder / f"{sample % 2}" / f"{sample:04d}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(_picture(sample))
        path.with_suffix(".txt").write_text(f"picture {sample}\n", encoding="utf-8")


def write_table(folder: Path) -> Path:
    """Write pictures and a table of their paths and captions; return the table's path."""
    rows = ["filepath\ttitle\n"]
    for sample in range(_SAMPLES):
        (folder / f"{sample:04d}.png").write_bytes(_picture(sample))
        rows.append(f"{sample:04d}.png\tpicture {sample}\n")
    table = folder / "pairs.tsv"
    table.write_text("".join(rows), encoding="utf-8")
    return table


def save_dataset(folder: Path) -> None:
    """Save a Hugging Face dataset.

    Raises:
        MissingPackageError: the package is not installed.
    """
    try:
        from datasets import Dataset, Features, Value
        from datasets import Image as Picture
    except ImportError:
        raise MissingPackageError(missing("datasets", "hf")) from None
    columns: dict[str, list[Any]] = {
        "image": [{"bytes": _picture(sample), "path": None} for sample in range(_SAMPLES)],
        "text": [f"picture {sample}" for sample in range(_SAMPLES)],
    }
    features = Features({"image": Picture(decode=False), "text": Value("string")})
    Dataset.from_dict(columns, features=features).save_to_disk(str(folder))


def _picture(sample: int) -> bytes:
    if sample == _SAMPLES - 1:
        return b"not a picture"
    data = io.BytesIO()
    Image.linear_gradient("L").resize((40 + sample, 30)).rotate(40 * sample).save(data, "PNG")
    return data.getvalue()
