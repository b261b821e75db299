"""The files beside the weights in a folder of transformers: the tokenizer's and the preprocessing's."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mmx.errors import CheckpointError
from mmx.models.files import glance, plain_file, read_json
from mmx.recipe.schema import PreprocessTable
from mmx_clip.merges import lines, written
from mmx_clip.weights_model import VOCABULARY, Table, triple, unfit

MERGES: Final = "merges.txt"
VOCAB: Final = "vocab.json"
TOKENIZER: Final = "tokenizer.json"
PROCESSOR: Final = "preprocessor_config.json"
START: Final = "<|startoftext|>"
END: Final = "<|endoftext|>"
_LEGACY_END: Final = 2
"""What older descriptions say of the end; the id of CLIP's end is the largest there is."""
_BICUBIC: Final = 3


def tokenizer_of(folder: Path, text: Table) -> str:
    """Say why a folder's tokenizer is not known to be CLIP's; empty if it is.

    Args:
        folder: has the tokenizer's files.
        text: the description of the text tower.
    """
    ids, end = text.get("vocab_size", VOCABULARY), text.get("eos_token_id", VOCABULARY - 1)
    if ids != VOCABULARY or end not in (_LEGACY_END, VOCABULARY - 1):
        return f"its tokenizer is not CLIP's of {VOCABULARY:,} ids, but has {ids!r} and ends texts with {end!r}"
    found = _merges(folder)
    if found is None:
        return f"the folder has neither {MERGES} nor {TOKENIZER}"
    return "" if found == lines() else "its merges of byte pairs are not those of CLIP's tokenizer"


def tokenizer_files(folder: Path, context: int) -> None:
    """Write the files of CLIP's tokenizer as transformers reads them.

    Raises:
        CheckpointError: they cannot be written.
    """
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    ids = {word: id for id, word in enumerate([*written(), START, END])}
    texts = {
        VOCAB: json.dumps(ids, ensure_ascii=False),
        MERGES: "\n".join(["#version: 0.2", *lines()]) + "\n",
        "special_tokens_map.json": json.dumps(special, indent=2) + "\n",
        "tokenizer_config.json": json.dumps(
            {**special, "tokenizer_class": "CLIPTokenizer", "model_max_length": context, "do_lower_case": True},
            indent=2,
        )
        + "\n",
    }
    try:
        for name, content in texts.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"the tokenizer cannot be written to {folder}: {error.strerror or error}") from error


def preprocess_of(folder: Path, size: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Return our table of the preprocessing, and what the folder does not tell of it."""
    values = glance(folder, PROCESSOR) or glance(folder, "processor_config.json").get("image_processor", {})
    found: dict[str, Any] = {"size": size}
    if not isinstance(values, dict) or not values:
        why = f"the folder has no {PROCESSOR}"
        return found, {f"preprocess.{key}": why for key in ("mean", "std", "resize")}
    untold: dict[str, str] = {}
    for ours, theirs in (("mean", "image_mean"), ("std", "image_std")):
        numbers = triple(values.get(theirs))
        if numbers is None:
            untold[f"preprocess.{ours}"] = f"{PROCESSOR} has no {theirs} of three numbers"
        else:
            found[ours] = numbers
    resize = _resize(values, size)
    if resize:
        found["resize"] = resize
    else:
        untold["preprocess.resize"] = (
            f"the pictures of {PROCESSOR} are not made squares of {size} by crop or squash, bicubic"
        )
    return found, untold


def described_preprocess(how: PreprocessTable) -> dict[str, dict[str, Any]]:
    """Return the file of the preprocessing, by its name.

    Raises:
        CheckpointError: it pads, which transformers' does not.
    """
    if how.resize == "pad":
        raise unfit("transformers' CLIPModel", 'preprocess.resize = "pad"', '"crop" and "squash"')
    square = {"height": how.size, "width": how.size}
    crop = how.resize == "crop"
    return {
        PROCESSOR: {
            "image_processor_type": "CLIPImageProcessor",
            **{"do_resize": True, "size": {"shortest_edge": how.size} if crop else square, "resample": _BICUBIC},
            **{"do_center_crop": crop, "crop_size": square, "do_rescale": True, "rescale_factor": 1 / 255},
            **{"do_normalize": True, "image_mean": list(how.mean), "image_std": list(how.std), "do_convert_rgb": True},
        }
    }


def _resize(values: Mapping[str, Any], size: int) -> str:
    """Return our word for how pictures become squares of a size, empty if there is none."""
    asked, cropped = values.get("size"), values.get("crop_size", size)
    if not values.get("do_resize", True) or values.get("resample", _BICUBIC) != _BICUBIC:
        return ""
    square = {"height": size, "width": size}
    if values.get("do_center_crop", True):
        return "crop" if asked in (size, {"shortest_edge": size}) and cropped in (size, square) else ""
    return "squash" if asked == square else ""


def _merges(folder: Path) -> list[str] | None:
    """Return the merges of a folder's tokenizer, None if it has none."""
    try:
        if os.path.lexists(folder / MERGES):
            text = plain_file(folder, MERGES).read_text(encoding="utf-8")
            return [line for line in text.splitlines() if line and not line.startswith("#version")]
        if os.path.lexists(folder / TOKENIZER):
            pairs = read_json(folder, TOKENIZER).get("model", {}).get("merges", [])
            return [pair if isinstance(pair, str) else " ".join(pair) for pair in pairs]
    except (OSError, ValueError, TypeError, AttributeError, CheckpointError):
        return []
    return None
