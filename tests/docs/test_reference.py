"""The reference says what the code says, and leaves nothing out."""

import re
from pathlib import Path

import pytest

import make_reference
from mmx.parts import loss
from mmx.plugin.kinds import BUILT, KINDS
from mmx.plugin.manager import HOOKS
from mmx_kit.catalogue import CHECKS
from pages import contracts, markdown, parts, source

DOCS = Path(__file__).parents[2] / "docs" / "plugins"


def headings(name: str) -> set[str]:
    text = (DOCS / "reference" / name).read_text(encoding="utf-8")
    return set(re.findall(r"^#+ (.+)$", text, re.MULTILINE))


def test_the_reference_is_up_to_date() -> None:
    stale = make_reference.stale()
    assert not stale, f"{', '.join(stale)} in docs/plugins/reference: run `{make_reference.COMMAND}`"


def test_a_page_that_is_missing_or_was_changed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_reference, "FOLDER", tmp_path)
    for name, text in make_reference.made().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert make_reference.stale() == []
    (tmp_path / "hooks.md").write_text("# Hooks\n", encoding="utf-8")
    (tmp_path / "kinds.md").unlink()
    assert make_reference.stale() == ["hooks.md", "kinds.md"]


def test_every_hook_kind_and_value_has_a_heading() -> None:
    assert set(HOOKS) <= headings("hooks.md")
    assert set(KINDS) <= headings("kinds.md")
    values = {reference.partition(":")[2] for group in contracts.VALUES.values() for reference in group}
    assert values <= headings("values.md")
    assert {f"{entry.kind} {entry.name}" for entry in parts.ours()} <= headings("parts.md")
    assert set(KINDS) <= headings("checks.md")


def test_every_check_is_on_the_page_of_each_of_its_kinds() -> None:
    sections = (DOCS / "reference" / "checks.md").read_text(encoding="utf-8").split("\n## ")[1:]
    told = {section.split("\n")[0]: re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE) for section in sections}
    assert told == {kind: [check.name for check in CHECKS if kind in check.kinds] for kind in KINDS}


def test_every_value_that_a_contract_names_is_on_the_page_of_values() -> None:
    """A name in a signature that nobody explains would send a reader to the code."""
    described = {reference.partition(":")[2] for group in contracts.VALUES.values() for reference in group}
    described |= {
        reference.partition(":")[2] for reference in (*contracts.ALIASES, *(row.contract for row in KINDS.values()))
    }
    words: set[str] = set()
    for kind in BUILT:
        contract = KINDS[kind].contract
        if kind != "engine":  # the seam to distributed execution: its values are the core's own
            for one in (contract, *source.kinds_of(contract)):
                words |= {word for f in source.described(one).functions for word in re.findall(r"\w+", f.signature)}
    ours = {word for word in words if word[0].isupper() and word not in OTHERS}
    assert ours - described == set()


OTHERS = {
    "Any",
    "Bool",
    "Mapping",
    "Module",
    "Float",
    "Float64",
    "Image",
    "Int",
    "Iterable",
    "None",
    "Path",
    "Sequence",
    "Shaped",
    "Tensor",
    "Generator",
    "Self",
}


def test_what_must_be_written_is_marked_and_forms_of_a_contract_are_found() -> None:
    assert [one.rpartition(":")[2] for one in source.kinds_of(KINDS["loss"].contract)] == ["BatchLoss", "ItemLoss"]
    compare = {function.name: function for function in source.described("mmx.parts.loss:BatchLoss").functions}
    assert {name for name, function in compare.items() if function.abstract} == loss.BatchLoss.__abstractmethods__
    assert compare["forward"].signature == 'def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]'


def test_docstrings_become_markdown() -> None:
    text = (
        "Do ``x`` by :meth:`a.b`, as::\n\n    y | z\n\nArgs:\n    one: the first,\n        on two lines.\n    two: it."
    )
    assert markdown.prose(text) == (
        "Do `x` by `b`, as:\n\n```text\ny | z\n```\n\nArgs:\n\n- `one`: the first, on two lines.\n- `two`: it."
    )
    assert markdown.cell("a | b") == "a \\| b"
