"""Options that cannot be."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from mmx.config import PartConfig
from mmx_clip.configs import (
    ClipTokenizerConfig,
    ModifiedResNetConfig,
    ProjectionConfig,
    TextTransformerConfig,
    VitConfig,
)


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (VitConfig, {"heads": 7}, "width 768 is not divisible by heads = 7"),
        (TextTransformerConfig, {"width": 100}, "width 100 is not divisible by heads = 8"),
        (VitConfig, {"patch_dropout": 1.0}, "less than 1"),
        (ModifiedResNetConfig, {"blocks": [1, 1]}, "strides has 4 entries, but blocks has 2"),
        (ModifiedResNetConfig, {"width": 3}, "width 3 is odd"),
        (ModifiedResNetConfig, {"heads": 5}, "the last stage's channels: 2048 is not divisible by heads = 5"),
        (ModifiedResNetConfig, {"blocks": [1.0, 2, 2, 2]}, "valid integer"),
        (ProjectionConfig, {"temperature": 0.001}, "outside of 1 to max_scale"),
        (ClipTokenizerConfig, {"context": 2}, "greater than or equal to 3"),
    ],
)
def test_wrong_options_say_why(config: type[PartConfig], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config.model_validate({"name": "x", **options})


@pytest.mark.parametrize(
    "config", [VitConfig, TextTransformerConfig, ModifiedResNetConfig, ProjectionConfig, ClipTokenizerConfig]
)
def test_tiny_forms_are_valid(config: type[PartConfig]) -> None:
    tiny = config(name="x").tiny()
    assert config.model_validate(tiny.model_dump()) == tiny


def test_every_option_has_a_help_text() -> None:
    for config in (VitConfig, TextTransformerConfig, ModifiedResNetConfig, ProjectionConfig, ClipTokenizerConfig):
        for name, option in config.model_fields.items():
            assert option.description, f"{config.__name__}.{name}"


@pytest.mark.parametrize("plugin", ["mmx_clip", "mmx_images", "mmx_shards"])
def test_entry_modules_need_no_torch(plugin: str) -> None:
    absent = ("torch", "PIL", "fsspec", "ftfy", "regex", "numpy")
    code = f"import sys, {plugin}; print([name for name in {absent} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
