"""``mmx plugins check``: the table, its exit code, and what cannot be checked."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mmx_kit import Conformance, Finding, checks_of
from mmx_kit import command as plugins_check
from mmx_kit.check import NotApplicableError
from mmx_kit.subject import plugin

Mmx = Callable[..., Any]

CODE = '''
import mmx
from mmx.config import TransformConfig
from mmx.parts.transform import TextTransform, WordRow


class PlainConfig(TransformConfig):
    """Options of the text transform ``plain``."""


class Plain(TextTransform):
    """The first caption as it is."""

    def __init__(self, config, tokenizer):
        self.tokenizer = tokenizer

    def __call__(self, source, draw):
        words = self.tokenizer(list(source[:1]) or [""])
        return WordRow(words.ids[0], words.mask[0])


@mmx.hookimpl
def mmx_register(register):
    register("text_transform", "plain", config=PlainConfig, part="toy_plain:Plain", summary="the first caption")
'''


@pytest.fixture
def file(mmx: Mmx) -> Iterator[Path]:
    path = Path("toy_plain.py")
    path.write_text(CODE)
    yield path
    sys.modules.pop("toy_plain", None)
    plugin.cache_clear()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the checks that start processes: what is tested here is what is made of findings."""

    def some(name: str, *parts: str, beside: Sequence[Path]) -> list[Conformance]:
        return [
            one
            for one in checks_of(name, *parts, beside=beside)
            if one.check.name in ("unknown keys", "help", "contract")
        ]

    monkeypatch.setattr("mmx_kit.checks_of", some)


def test_a_part_that_holds(mmx: Mmx, file: Path, few: None) -> None:
    done = mmx("plugins", "check", str(file))
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "text_transform.plain  of toy_plain.py"
    assert "  unknown keys  ok" in lines
    assert lines[-1].startswith("text_transform.plain: 3 hold (")


def test_a_part_that_is_broken(mmx: Mmx, file: Path, few: None) -> None:
    file.write_text(CODE.replace("TransformConfig):\n", 'TransformConfig):\n    model_config = {"extra": "ignore"}\n'))
    done = mmx("plugins", "check", str(file))
    assert done.code == plugins_check.BROKEN
    assert "  unknown keys  BROKEN: " in done.out
    assert "(it must hold that " in done.out
    assert "text_transform.plain: 2 hold, 1 BROKEN (" in done.out


def test_a_reason_is_told_once(mmx: Mmx, file: Path, few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(check: Conformance) -> None:
        raise NotApplicableError("needs the package x: pip install package-of-x")

    monkeypatch.setattr(Conformance, "_run", absent)
    done = mmx("plugins", "check", str(file))
    assert done.code == 0
    assert [line.split("  ")[-1] for line in done.out.splitlines()[1:4]] == [
        "not applicable: needs the package x: pip install package-of-x",
        "not applicable: see above",
        "not applicable: see above",
    ]


def test_verbose_shows_the_options_and_what_each_check_is_about(mmx: Mmx, file: Path, few: None) -> None:
    lines = mmx("plugins", "check", str(file), "--verbose").out.splitlines()
    assert lines[1:3] == ["  with the options", "    # of is not given"]
    assert '    name = "plain"' in lines[3:6]
    assert "  unknown keys  ok: options refuse keys that do not exist, in nested tables too" in lines


@pytest.mark.parametrize(("count", "said"), [(1, "1 does not apply"), (3, "3 do not apply")])
def test_sums_are_grammatical(count: int, said: str) -> None:
    finding = Finding("loss.x", "shapes", "", "not applicable", "", 0.0)
    assert list(plugins_check._sums([finding] * count)) == [f"loss.x: {said} (0.0 s)"]


def test_for_programs(mmx: Mmx, file: Path, few: None) -> None:
    found = json.loads(mmx("plugins", "check", str(file), "text_transform.plain", "--json").out)["findings"]
    assert {(row["part"], row["status"]) for row in found} == {("text_transform.plain", "holds")}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("no_such_plugin",), "there is no plugin 'no_such_plugin': no distribution or module of that name"),
        (("no_such_file.py",), "--plugin no_such_file.py: cannot be read"),
        (("toy_plain.py", "loss.plain"), "toy_plain.py has no part 'loss.plain' (it has: text_transform.plain)"),
        (("json",), "json: it implements no hook"),
    ],
)
def test_what_cannot_be_checked(mmx: Mmx, file: Path, arguments: tuple[str, ...], expected: str) -> None:
    done = mmx("plugins", "check", *arguments)
    assert done.code == 3 and expected in done.err


def test_a_part_without_an_example_is_told_once(mmx: Mmx, file: Path) -> None:
    needy = CODE.replace(
        '"""Options of the text transform ``plain``."""', '"""Options."""\n    words: int\n    """How many."""'
    )
    file.write_text(needy)
    done = mmx("plugins", "check", str(file))
    assert done.code == plugins_check.BROKEN and done.out.count("BROKEN:") == 1
    told = " ".join(done.out.split())
    assert "words has no default: give it one, or write the classmethod example(cls, name: str, folder: Path)" in told


USER = """
import mmx
from mmx.config import TransformConfig
from mmx.parts.transform import TextTransform

class UserConfig(TransformConfig):
    @classmethod
    def example(cls, name, folder):
        import toy_plain
        return cls(name=name)

class User(TextTransform):
    def __init__(self, config, tokenizer):
        pass

    def __call__(self, source, draw):
        raise NotImplementedError

@mmx.hookimpl
def mmx_register(register):
    assert "text_transform" in register.registries.kinds
    register("text_transform", "user", config=UserConfig, part="toy_user:User", summary="uses another file's part")
"""


def test_files_beside_a_plugin_have_what_it_needs(file: Path) -> None:
    Path("toy_user.py").write_text(USER)
    try:
        checks = checks_of("toy_user.py", beside=[file])
        found = {one.check.name: one.find() for one in checks if one.check.name in ("quiet import", "help")}
    finally:
        sys.modules.pop("toy_user", None)
        plugin.cache_clear()
    assert {finding.status for finding in found.values()} == {"holds"}, found
