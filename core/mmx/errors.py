"""Errors that a user can act on, each with the exit code the command line returns for it.

Everything raised on purpose derives from :class:`MmxError`; its message is complete (what, where, what was
expected, what to do) and is printed without a traceback. Anything else is a bug in mmx or in a plugin.
"""

from __future__ import annotations

from typing import ClassVar


class MmxError(Exception):
    """A failure whose message tells the user what to do. Exit code 1."""

    exit_code: ClassVar[int] = 1


class RecipeError(MmxError):
    """The recipe, an override or a command's arguments are wrong. Exit code 2."""

    exit_code: ClassVar[int] = 2


class MissingPackageError(RecipeError):
    """A part needs a package that is not installed; the message has the command that installs it."""


class NotOfferedError(RecipeError, NotImplementedError):
    """A part is asked for what parts of its kind may offer, and it does not."""


class PluginError(MmxError):
    """A plugin does not import, clashes with another, or breaks its contract. Exit code 3."""

    exit_code: ClassVar[int] = 3


class DataError(MmxError):
    """The data is missing, has the wrong keys, or too many samples are bad. Exit code 4."""

    exit_code: ClassVar[int] = 4


class CheckpointError(MmxError):
    """A run folder or checkpoint cannot be read, written or trusted. Exit code 5."""

    exit_code: ClassVar[int] = 5


class TrainingError(MmxError):
    """Training cannot go on, for example because the loss is not finite. Exit code 6."""

    exit_code: ClassVar[int] = 6


class LostProcessError(TrainingError):
    """Another process of the run has ended, or did not answer; what it printed says why."""


class PluginDeprecationWarning(DeprecationWarning):
    """A plugin uses something of mmx's interface that will go: it works for two more minor versions."""
