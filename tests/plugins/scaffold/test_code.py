"""Python code taken apart and put together."""

from mmx_scaffold.code import joined, parse, renamed, written

FIRST = '''"""Options.

More about them."""

from typing import Annotated

from mmx.config import LossConfig
from pydantic import Field


class Options(LossConfig):
    """The options."""
'''
SECOND = '''"""The part."""

import csv
import math
from typing import Final, final

import torch
from own.config import Options
from PIL import Image
from typing_extensions import override

LIMIT: Final = 3  # a comment
'''
JOINED = '''"""The part."""

import csv
import math
from typing import Annotated, Final, final

import torch
from mmx.config import LossConfig
from PIL import Image
from pydantic import Field
from typing_extensions import override

from own.config import Options


class Options(LossConfig):
    """The options."""


LIMIT: Final = 3  # a comment
'''


def test_the_longest_name_is_replaced_first_and_once() -> None:
    names = {"this": "that", "this_part": "this"}
    assert renamed("this_part this", names) == "this that"


def test_one_module_is_kept_as_it_is() -> None:
    text = FIRST.replace("from mmx", "from xmm")  # sorted as installed packages are
    assert written(parse(text), "own") == text.replace(
        "from xmm.config import LossConfig\nfrom pydantic import Field",
        "from pydantic import Field\nfrom xmm.config import LossConfig",
    )


def test_two_modules_become_one() -> None:
    pieces = [parse(FIRST), parse(SECOND)]
    assert written(joined(pieces, pieces[1].docstring), "own") == JOINED


def test_one_line_between_imports_and_a_constant() -> None:
    assert "from own.config import Options\n\nLIMIT" in written(parse(SECOND), "own")


def test_classes_come_before_functions() -> None:
    text = '"""Doc."""\n\nfrom a import run, Thing, LIMIT, Other\n\nx = 1\n'
    assert "from a import LIMIT, Other, Thing, run\n" in written(parse(text), "own")
