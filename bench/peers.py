# pyright: basic, reportMissingImports=false
"""The projects that mmx is compared with, importable on a CPU build of torch.

They live in an environment of their own, since torchvision's wheel is built for CUDA:

    python3 -m venv .peers && .peers/bin/pip install -e . transformers==5.23.0 timm==1.0.31
    .peers/bin/pip install --no-deps torchvision==0.28.0 open-clip-torch==3.3.0
    .peers/bin/pip install webdataset==0.2.86 pandas
    .peers/bin/pip install --no-deps scikit-image scikit-learn ultralytics

open_clip 3.3.0 asks for a webdataset of at most 0.2.86; the last three packages bring photographs.
"""

from functools import cache
from types import ModuleType

import torch


@cache
def open_clip() -> ModuleType:
    """Import open_clip; on a CPU build of torch the operators that torchvision cannot load are declared first."""
    if not torch.cuda.is_available():
        boxes = "(Tensor dets, Tensor scores, float threshold) -> Tensor"
        _declare("_cuda_version() -> int", f"nms{boxes}", f"qnms{boxes}")
    import open_clip

    return open_clip


def _declare(*schemas: str) -> None:
    """Declare operators of torchvision's by name. They are never called: towers, losses and tokenizer need none."""
    library = torch.library.Library("torchvision", "DEF")
    for schema in schemas:
        library.define(schema)
    _KEPT.append(library)


_KEPT: list[torch.library.Library] = []  # a library's operators are gone with it
