"""Accounts: of every source, each sample is trained on, skipped by name, or left out by a filter. None is missing."""

import io
import json
import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmx.data.order import Asked, Order
from mmx.errors import DataError
from mmx.parts.dataset import Raw
from mmx.run.events import Step
from mmx.run.layout import RunFolder
from mmx.run.lines import read_lines
from mmx.run.loaded import read_checkpoint
from mmx.run.listing import candidates
from mmx_shards.dataset import Shards
from mmx_toy.proof import counted, entries, final, skipped
from mmx_toy.start import sit, start
from mmx_toy.tars import Member, index, pair, picture, write
