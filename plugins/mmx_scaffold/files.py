"""The files of a new plugin, by their path in its folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from mmx_scaffold import code
from mmx_scaffold.kinds import Kind
from mmx_scaffold.names import Names

TEMPLATES: Final = Path(__file__).parent / "templates"
OWN_IMPORT: Final = re.compile(r"mmx_scaffold\.templates\.\w+")
"""The package that template modules are in, until they get one of their own."""


def package_files(kind: Kind, names: Names) -> dict[str, str]:
    """Return the files of a package: code, tests, recipe, and what installing, publishing and testing it need."""
    words = _words(kind, names, names.module, f"{names.module}.{kind.file}")
    recipe = _recipe(kind, words, f"{names.part} in the quickstart; run it in this folder: mmx run recipe.toml")
    words["this_table"] = _table(kind, words)
    source = f"src/{names.module}"
    return {
        "README.md": _text("package/README.md.template", words),
        "pyproject.toml": _text("package/pyproject.toml.template", words),
        ".gitignore": _text("package/gitignore.template", words),
        ".github/workflows/test.yml": _text("package/test.yml.template", words),
        "recipe.toml": recipe,
        f"{source}/__init__.py": code.written(_module("package/entry.py", words), names.module),
        f"{source}/config.py": code.written(_module(f"{kind.kind}/config.py", words), names.module),
        f"{source}/{kind.file}.py": code.written(_module(f"{kind.kind}/{kind.file}.py", words), names.module),
        f"{source}/py.typed": "",
        f"tests/test_{names.identifier}.py": code.written(
            _module(f"{kind.kind}/test_this_part.py", words), names.module
        ),
        "tests/conformance_test.py": code.written(_module("package/conformance_test.py", words), names.module),
    }


def single_files(kind: Kind, names: Names) -> dict[str, str]:
    """Return one file of code, with options, part and registration, and a recipe."""
    words = _words(kind, names, names.identifier, names.identifier)
    pieces = [_module(path, words) for path in (f"{kind.kind}/config.py", f"{kind.kind}/{kind.file}.py")]
    pieces.append(_module("package/entry.py", words))
    whole = code.joined(pieces, docstring=pieces[1].docstring)
    # What the pieces import of each other is in the same file now.
    imports = tuple(pair for pair in whole.imports if pair[0].partition(".")[0] != names.identifier)
    text = code.written(code.Code(whole.docstring, imports, whole.body), names.identifier)
    command = f"mmx run {names.identifier}.toml --plugin {names.identifier}.py"
    return {
        f"{names.identifier}.py": text,
        f"{names.identifier}.toml": _recipe(kind, words, f"{names.part} in the quickstart: {command}"),
    }


def _words(kind: Kind, names: Names, module: str, file: str) -> dict[str, str]:
    """Return what each name of the templates stands for."""
    return {
        "mmx_this_part.this_file": file,
        "mmx_this_part": module,
        "mmx-this-part": names.distribution,
        "this_part": names.identifier,
        "this-part": names.part,
        "ThisPart": _free(names.type, kind),
        "this_file": kind.file,
        "this_kind": kind.kind,
        "this_summary": kind.summary,
        "this_mmx": _minor(),
    }


def _free(type: str, kind: Kind) -> str:
    """Return a class name that the kind's template does not use for something else."""
    texts = [path.read_text(encoding="utf-8") for path in (TEMPLATES / kind.kind).glob("*.py")]
    texts.append((TEMPLATES / "package" / "entry.py").read_text(encoding="utf-8"))
    used = {word for text in texts for word in re.findall(r"\w+", text)}
    return f"{type}Part" if {type, f"{type}Config"} & used else type


def _module(path: str, words: Mapping[str, str]) -> code.Code:
    text = OWN_IMPORT.sub("mmx_this_part", (TEMPLATES / path).read_text(encoding="utf-8"))
    return code.parse(code.renamed(text, words))


def _text(path: str, words: Mapping[str, str]) -> str:
    return code.renamed((TEMPLATES / path).read_text(encoding="utf-8"), words)


def _table(kind: Kind, words: Mapping[str, str]) -> str:
    return _text(f"{kind.kind}/recipe.toml", words).strip()


def _recipe(kind: Kind, words: Mapping[str, str], about: str) -> str:
    return f'# {about}\nextends = "quickstart"\n\n{_table(kind, words)}\n'


def _minor() -> str:
    """Return the minor version of mmx, the oldest that a new plugin is known to work with."""
    try:
        return ".".join(version("mmx").split(".")[:2])
    except PackageNotFoundError:
        return "0"
