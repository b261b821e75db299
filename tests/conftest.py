import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook
from typer.testing import CliRunner

TENSOR_CODE = (
    *("mmx.parts", "mmx.learn", "mmx.data", "mmx.evaluate"),
    *("mmx_clip", "mmx_images", "mmx_zeroshot", "mmx_local", "mmx_optim"),
)


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

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "core"))  # throw-away parts
sys.path.insert(0, str(HERE / "toy"))  # the toy plugin, also for data workers
sys.path.insert(0, str(HERE / "plugins" / "storage"))  # the web server that fails

import throwaway  # noqa: E402
from mmx.cli.main import app  # noqa: E402
from mmx.plugin import manager  # noqa: E402
from mmx.plugin.registry import Registries  # noqa: E402
from mmx.recipe import Recipe, load  # noqa: E402
from mmx_kit.ranks import Ranks  # noqa: E402
from throwaway import Load, Write  # noqa: E402


@pytest.fixture(scope="session")
def pair() -> Iterator[Ranks]:
    both = Ranks(strict=True)
    yield both
    both.stop()


@pytest.fixture
def registries() -> Registries:
    return throwaway.registries()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a recipe into an empty current folder: the throw-away one with texts replaced, or a whole text."""
    monkeypatch.chdir(tmp_path)

    def write(name: str = "r.toml", *changes: tuple[str, str], text: str = throwaway.RECIPE) -> Path:
        for old, new in changes:
            assert old in text, f"{old!r} is not in the recipe"
            text = text.replace(old, new, 1)
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def read(registries: Registries) -> Load:
    def read(path: Path | str | None, *sets: str, unset: tuple[str, ...] = ()) -> Recipe:
        return load(path, sets, unset, registries)

    return read


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Mmx = Callable[..., Done]


@pytest.fixture
def mmx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mmx:
    """Run a command in an empty folder, with the throw-away parts as the only plugin."""
    monkeypatch.chdir(tmp_path)

    def throwaway_only() -> Iterator[manager.PluginEntry]:
        yield manager.PluginEntry("throwaway", "throw-away", "1.0", throwaway.listed())

    monkeypatch.setattr(manager, "installed", throwaway_only)

    def run(*arguments: str) -> Done:
        done = CliRunner().invoke(app, arguments)
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def recipe(mmx: Mmx) -> Path:
    """The throw-away recipe, as a file."""
    path = Path("r.toml")
    path.write_text(throwaway.RECIPE)
    return path


@pytest.fixture
def forgotten() -> None:
    """Modules of other tests' distributions are not there."""
    for name in [name for name in sys.modules if _made(name)]:
        del sys.modules[name]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None) -> Iterator[Path]:
    """A folder that distributions are installed into, those with modules called ``toy`` or ``toy_...``."""
    known = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - known:
        if _made(name):
            del sys.modules[name]


def _made(module: str) -> bool:
    return module.partition(".")[0] == "toy" or module.startswith("toy_")
