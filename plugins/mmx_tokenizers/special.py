"""Which pieces of a tokenizer.json start and end a text, fill up rows and stand for hidden words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from mmx.errors import RecipeError
from mmx_tokenizers.config import FileTokenizerConfig

_USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "start": ("[CLS]", "<s>", "<|startoftext|>", "<bos>", "<|begin_of_text|>", "<|endoftext|>"),
    "end": ("[SEP]", "</s>", "<|endoftext|>", "<eos>", "<|end_of_text|>"),
    "pad": ("[PAD]", "<pad>", "<|pad|>"),
    "mask": ("[MASK]", "<mask>"),
}


@dataclass(frozen=True)
class Special:
    """Ids of pieces that are no words."""

    start: int
    end: int
    pad: int
    mask: int | None


def special_of(described: Mapping[str, Any], ids: Mapping[str, int], config: FileTokenizerConfig) -> Special:
    """Return the special ids: by the options, by what the file puts around a text, or by the usual names.

    Args:
        described: the JSON.
        ids: the id of each piece.
        config: the options.

    Raises:
        RecipeError: an option names no piece, or none can be found.
    """
    around = _around(described.get("post_processor"))
    found = {role: _find(role, getattr(config, role), around.get(role), ids) for role in _USUAL}
    for role in ("start", "end"):
        if found[role] is None:
            raise RecipeError(
                f'{config.file} does not say which piece is the {role} of a text; name it with {role} = "...", such as '
                f'"{_USUAL[role][0]}"'
            )
    start, end = cast(int, found["start"]), cast(int, found["end"])
    pad = end if found["pad"] is None else found["pad"]
    mask = None if found["mask"] in (start, end, pad) else found["mask"]
    return Special(start, end, pad, mask)


def _find(role: str, given: str | None, around: str | None, ids: Mapping[str, int]) -> int | None:
    if given is not None and given not in ids:
        raise RecipeError(f'{role} = "{given}" is no piece of the tokenizer\'s vocabulary')
    names = [given] if given is not None else [around] if around is not None else _USUAL[role]
    return next((ids[name] for name in names if name in ids), None)


def _around(processor: Any) -> dict[str, str]:
    """Return the pieces that the file puts around a text.

    Raises:
        RecipeError: it puts several before or behind one.
    """
    parts: list[Any] = [processor]
    if isinstance(processor, dict) and processor.get("type") == "Sequence":
        parts = list(processor.get("processors", ()))
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("BertProcessing", "RobertaProcessing"):
            return {"start": part["cls"][0], "end": part["sep"][0]}
        if kind == "TemplateProcessing":
            return _template(part["single"])
    return {}


def _template(single: list[Mapping[str, Any]]) -> dict[str, str]:
    names = [item["SpecialToken"]["id"] if "SpecialToken" in item else None for item in single]
    place = names.index(None)
    before, behind = names[:place], names[place + 1 :]
    if len(before) > 1 or len(behind) > 1:
        raise RecipeError(
            f"the tokenizer puts {before} before a text and {behind} behind it; one piece at each side can be told"
        )
    return {
        **({"start": name} if (name := next(iter(before), None)) is not None else {}),
        **({"end": name} if (name := next(iter(behind), None)) is not None else {}),
    }
