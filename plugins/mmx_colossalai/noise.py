"""ColossalAI 0.5.0 warns of how it uses a newer torch than it was made for, and of what mmx does not use."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def quiet() -> Generator[None]:
    """Leave out the warnings of what happens inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
