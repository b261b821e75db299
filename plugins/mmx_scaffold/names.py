"""The names of a new part: in recipes, in Python, and in the package index."""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import Final

from mmx.errors import RecipeError
from mmx.plugin.kinds import NAME

LONGEST: Final = 32
"""Characters of a name: with more, lines of the new code would be too long."""


@dataclass(frozen=True)
class Names:
    """What one part is called."""

    part: str
    """In recipes: ``my_loss``."""

    @property
    def identifier(self) -> str:
        """In Python, and the module of a single file: ``my_loss``."""
        return _plain(self.part)

    @property
    def module(self) -> str:
        """The package's module: ``mmx_my_loss``."""
        return f"mmx_{self.identifier}"

    @property
    def distribution(self) -> str:
        """The package in an index: ``mmx-my-loss``."""
        return self.module.replace("_", "-")

    @property
    def type(self) -> str:
        """The class: ``MyLoss``; a word that Python has already becomes ``NonePart``."""
        joined = "".join(word[:1].upper() + word[1:] for word in re.split(r"[_.-]+", self.part))
        return f"{joined}Part" if keyword.iskeyword(joined) or hasattr(builtins, joined) else joined


def checked(name: str) -> Names:
    """Return the names of a part.

    Raises:
        RecipeError: the name is not one that a part can have, or Python and the index would need another form of it.
    """
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise RecipeError(
            f"{name!r} cannot be a part's name: it has small letters, digits and '_', starts with a letter, and is at "
            f"most {LONGEST} characters long; such as my_part"
        )
    if _plain(name) != name:
        raise RecipeError(
            f"{name!r} would be called otherwise in Python; write '{_plain(name)}', with small letters, digits and "
            "single '_' between words"
        )
    return Names(name)


def _plain(name: str) -> str:
    """Return the form of a name that recipes and Python can share."""
    return re.sub(r"[_.-]+", "_", name.lower()).strip("_")


def refuse_taken(module: str, distribution_name: str = "") -> None:
    """Refuse a module that Python finds already, or a distribution that is installed, since one would hide the other.

    Raises:
        RecipeError: it is taken.
    """
    if keyword.iskeyword(module):
        raise RecipeError(f"'{module}' is a word of Python, and cannot be a module; choose another name")
    spec = find_spec(module)
    if spec is not None:
        raise RecipeError(f"there is a module '{module}' already ({spec.origin or 'a folder'}); choose another name")
    try:
        found = distribution(distribution_name) if distribution_name else None
    except PackageNotFoundError:
        return
    if found is not None:
        raise RecipeError(f"{distribution_name} {found.version} is installed already; choose another name")
