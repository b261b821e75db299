"""What follows a page notices when the page is wrong."""

from pathlib import Path

import pytest

from pages.blocks import Block, blocks, commands, missing
from pages.walk import follow

DOCS = Path(__file__).parents[2] / "docs" / "plugins"
WRITTEN = sorted(DOCS.glob("*.md"))
PAGE = """
```python title="a.py"
A = 1
```

<!-- test: exit 2 -->
```console
$ mmx recipe check \\
    nowhere.toml
no such file
```
"""


def test_blocks_have_titles_marks_and_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert blocks(page) == [
        Block("python", "a.py", "A = 1\n", "", 2),
        Block("console", "", "$ mmx recipe check \\\n    nowhere.toml\nno such file\n", "exit 2", 7),
    ]
    (command,) = commands(blocks(page)[1])
    assert command.words == ("mmx", "recipe", "check", "nowhere.toml") and command.output == ("no such file",)
    assert blocks(page)[1].exit_code == 2


@pytest.mark.parametrize(
    ("expected", "lost"),
    [
        (("one", "three"), None),
        (("three", "one"), "one"),
        (("two 2 of 7",), None),
        (("two ... of ...", "...", "three"), None),
        (("tw",), "tw"),
        (("one", "one"), "one"),
    ],
)
def test_output_is_compared_line_by_line(expected: tuple[str, ...], lost: str | None) -> None:
    assert missing(expected, "one\n  two   2 of 7\nthree\n") == lost


def test_a_command_that_prints_or_ends_otherwise_is_told(tmp_path: Path) -> None:
    wrong = [Block("console", "", "$ mmx --version\nmmx 99\n", "", 1)]
    with pytest.raises(AssertionError, match="the page says 'mmx 99', but it printed"):
        follow(wrong, tmp_path)
    (tmp_path / "again").mkdir()
    with pytest.raises(AssertionError, match="ended with 2, not 0"):
        follow([Block("console", "", "$ mmx nonsense\n", "", 1)], tmp_path / "again")


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_code_of_the_pages_is_python(page: Path) -> None:
    import ast
    import textwrap

    for block in blocks(page):
        if block.language == "python":
            ast.parse(textwrap.dedent(block.text), f"{page.name}:{block.line}")
        assert not block.mark or block.mark == "slow" or block.mark.startswith(("exit ", "skip: ")), block
