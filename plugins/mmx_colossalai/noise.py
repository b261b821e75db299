"""ColossalAI 0.5.0 warns of how it uses a newer torch than it was made for, and of what mmx does not use."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def quiet(category: type[Warning] = FutureWarning) -> Generator[None]:
    """Leave out warnings of one kind; while a loss runs those of deprecation only, since it may have others to tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield
