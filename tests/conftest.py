import pkgutil
from collections.abc import Iterator
from importlib.util import find_spec

import torch
from jaxtyping import install_import_hook

TENSOR_CODE = ("mmx.parts", "mmx.learn", "mmx.data", "mmx_clip", "mmx_images", "mmx_zeroshot", "mmx_local")


def modules(package: str) -> Iterator[str]:
    """Yield the modules of a package, but for options: pydantic checks those."""
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations is not None
    for module in pkgutil.iter_modules(spec.submodule_search_locations):
        if not module.name.startswith("config"):
            yield f"{package}.{module.name}"


# Shapes and types in the signatures of tensor code are checked here, at no cost outside of tests.
install_import_hook([name for package in TENSOR_CODE for name in modules(package)], "beartype.beartype")

torch.set_num_threads(1)
