"""The pages on hooks, kinds of part, and the values that pass between parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from mmx.plugin.kinds import KINDS, Kind
from mmx.recipe.describe import options
from pages import source
from pages.markdown import cell, code, inline, prose, table
from pages.parts import option_table

CONFIG_CLASSES: Final = (
    *("PartConfig", "EncoderConfig", "LossConfig", "DatasetConfig", "StoredConfig", "EngineConfig"),
    *("TransformConfig", "OptimizerConfig", "GroupTable", "ScheduleConfig", "EvaluatorConfig", "TrackerConfig"),
    *("WeightsConfig", "WeightsTable", "Table", "Slot"),
)
VALUES: Final[dict[str, tuple[str, ...]]] = {
    "Tensors of a batch": tuple(f"mmx.parts.batch:{name}" for name in ("Batch", "Pixels", "Words", "Encoded", "Joint")),
    "What a loss reads": (
        *(
            "mmx.learn.global_batch:Feature",
            "mmx.learn.global_batch:GlobalBatch",
            "mmx.learn.outputs:Outputs",
            "mmx.learn.model:Model",
        ),
    ),
    "Tensors of an engine": ("mmx.parts.lazy:LazyTensor",),
    "What a part is built with": (
        *("mmx.parts.sizes:Sizes", "mmx.parts.transform:Preprocess", "mmx.parts.schedule:Span"),
    ),
    "Samples and rows": (
        *("mmx.parts.dataset:Sample", "mmx.parts.dataset:Raw", "mmx.parts.dataset:Classes"),
        *("mmx.parts.dataset:BadSampleError", "mmx.data.stored:StoredDataset"),
        *("mmx.parts.transform:PixelRow", "mmx.parts.transform:WordRow", "mmx.parts.transform:PairedTextTransform"),
    ),
    "What an evaluator reads and returns": (
        *("mmx.parts.evaluator:EvalModel", "mmx.parts.evaluator:Result", "mmx.parts.evaluator:Number"),
        *("mmx.parts.evaluator:Table", "mmx.parts.evaluator:Picture", "mmx.parts.evaluator:Guess"),
        *("mmx.parts.evaluator:Record", "mmx.evaluate.encodings:Encodings", "mmx.evaluate.reading:EncodePass"),
        "mmx.evaluate.samples:Samples",
    ),
    "What a format of weights reads and writes": ("mmx.parts.weights:ModelData",),
    "What observers are told": tuple(f"mmx.parts.events:{name}" for name in ("Run", "Step", "Counts", "Outcome")),
    "What `mmx_register` receives": ("mmx.plugin.registry:Registrar",),
    "Errors to raise": tuple(
        f"mmx.errors:{name}"
        for name in (
            "MmxError",
            "RecipeError",
            "NotOfferedError",
            "PluginError",
            "DataError",
            "CheckpointError",
            "TrainingError",
        )
    ),
}
"""The values that an author of a plugin meets, by where."""
FUNCTIONS: Final = (
    *("mmx.data.pixels:preprocess", "mmx.data.pixels:pixels_of", "mmx.data.pixels:square"),
    *("mmx.data.pixels:stretch", "mmx.data.pixels:pad", "mmx.data.decode:decode"),
    "mmx.cli.output:print_json",
    *("mmx.models.files:read_json", "mmx.models.files:glance", "mmx.models.files:read_tensors"),
    *("mmx.models.files:write_model", "mmx.models.files:plain_file"),
    *("mmx.evaluate.encodings:encode", "mmx.evaluate.texts:embed_texts", "mmx.evaluate.texts:class_vectors"),
    *("mmx.parts.gradient:constant", "mmx.parts.precision:to_fp32", "mmx.parts.precision:full_precision"),
    *("mmx.learn.global_batch:pairs_of", "mmx.parts.report:report", "mmx.parts.lazy:gathered"),
)
"""Functions of the core that a part may call."""
ALIASES: Final = (
    *("mmx.parts.encoder:Mode", "mmx.learn.global_batch:FeatureKind", "mmx.cli.words:Json"),
    *("mmx.parts.lazy:Tensors", "mmx.parts.fusion:Ability", "mmx.parts.dataset:Fact", "mmx.parts.filter:Columns"),
)


def hooks_page() -> str:
    functions = source.functions("mmx.plugin.hookspecs")
    rows = [(f"[`{hook.name}`](#{hook.name})", _role(hook), cell(hook.about.split("\n\n")[0])) for hook in functions]
    lines = [
        "# Hooks",
        "",
        "A hook is a function of the entry module, or a method of a tracker, that is marked with `@mmx.hookimpl`.",
        "It may take fewer arguments than are listed, in any order; their names count.",
        "An exception in a **producer** makes its plugin broken, and stops every run that needs it. An exception in an",
        "**observer** is reported once, with the plugin's name, and the run goes on.",
        "",
        *table(("hook", "role", "when"), rows),
    ]
    for hook in functions:
        lines += [f"## {hook.name}", "", *_code(hook.signature), prose(hook.about), "", *_meets([hook.signature])]
    return _text(lines)


def _role(hook: source.Function) -> str:
    """An exception in a producer stops what needs it; one in an observer is reported and ignored."""
    return "producer" if "A producer" in hook.about else "observer"


def kinds_page() -> str:
    rows = [
        (
            f"[`{row.name}`](#{row.name})",
            code(row.contract.partition(":")[2]),
            code(_built(row)),
            code(_place(row)),
            row.about,
        )
        for row in KINDS.values()
    ]
    lines = [
        "# Kinds of part",
        "",
        "A part is a class that derives from the contract of its kind. What is marked **to write** has no default.",
        "Letters of shapes: `b` rows on this rank, `B` rows over all ranks, `n` tokens, `t` text positions,",
        "`w` an encoder's width, `d` the shared width, `q` queries, `h w` pixels, `v` vocabulary.",
        "",
        *table(("kind", "contract", "built as", "table of a recipe", "what it does"), rows),
    ]
    for row in KINDS.values():
        lines += _kind(row)
    lines += [
        "## Options",
        "",
        "The classes that options derive from, in `mmx.config`. None of them imports torch.",
        "",
    ]
    for name in CONFIG_CLASSES:
        lines += _class(f"mmx.config:{name}", level=3, every=name in ("Slot", "GroupTable"))
    return _text(lines)


def _meets(signatures: Iterable[str]) -> list[str]:
    """Link the values that signatures name."""
    words = set(re.findall(r"\w+", " ".join(signatures)))
    names = [reference.partition(":")[2] for group in VALUES.values() for reference in group]
    names += [reference.partition(":")[2] for reference in ALIASES]
    links = [f"[`{name}`](values.md#{name.lower()})" for name in names if name in words]
    return [f"Values: {', '.join(links)}.", ""] if links else []


def _kind(row: Kind) -> Iterator[str]:
    contract = row.contract
    yield from (f"## {row.name}", "")
    for reference in (contract, *source.kinds_of(contract)):
        yield from _class(reference, level=3)
    forms = [source.described(one) for one in (contract, *source.kinds_of(contract))]
    yield from _meets(function.signature for form in forms for function in form.functions)
    if not row.config:
        return
    config = row.options()
    shared = options(config, row.key)
    yield f"Its options derive from [`{config.__name__}`](#{config.__name__.lower()}), so that each has these:"
    yield ""
    yield from option_table(shared)
    if row.key != "name":
        yield "The class calls it `name`, as all do; the recipe's table `[parallel]` calls it `engine`."
        yield ""


def _built(row: Kind) -> str:
    """Say what a part's class is given; its contract says the same."""
    if not row.config:
        return ""
    built = f"Class({', '.join(('config', *row.needs))})"
    text = source.described(row.contract).about
    assert f"``{built}``" in text, f"the docstring of {row.contract} does not say that it is built as {built}"
    return built


def _place(row: Kind) -> str:
    return f"[{row.table}.{'VIEW' if row.first else 'NAME'}]" if row.many else row.table and f"[{row.table}]"


def values_page() -> str:
    lines = ["# Values", "", "What passes between parts. All are frozen dataclasses where a table of fields is given."]
    lines += ["Shapes are written as [jaxtyping](https://docs.kidger.site/jaxtyping/) writes them.", ""]
    for title, references in VALUES.items():
        lines += [f"## {title}", ""]
        for reference in references:
            lines += _class(reference, level=3)
    lines += ["## Functions", "", "What a part may call, of those that are in the core.", ""]
    for reference in FUNCTIONS:
        module, _, name = reference.partition(":")
        (function,) = [one for one in source.functions(module) if one.name == name]
        lines += [f"### {name}", "", f"`{module}.{name}`", "", *_code(function.signature), prose(function.about), ""]
    lines += ["## Names of types", ""]
    for reference in ALIASES:
        found = source.alias(reference)
        lines += [f"### {found.name}", "", f"`{found.type}`", "", inline(found.about), ""]
    return _text(lines)


def _class(reference: str, level: int, every: bool = True) -> Iterator[str]:
    """Describe a class; of a class of options, whose options stand elsewhere, only what is not one."""
    found = source.described(reference)
    yield f"{'#' * level} {found.name}"
    yield ""
    yield f"`{found.module}.{found.name}`"
    yield ""
    yield prose(found.about)
    yield ""
    shown = [field for field in found.attributes if every or field.type.startswith("ClassVar")]
    if shown:
        yield from _fields(shown)
    for function in found.functions:
        yield from _function(function, marked=found.abstract)


def _fields(attributes: Iterable[source.Attribute]) -> list[str]:
    rows = [(code(field.name), code(field.type), _default(field), cell(field.about)) for field in attributes]
    return table(("field", "type", "default", "meaning"), rows)


def _default(field: source.Attribute) -> str:
    return "empty" if field.default.startswith("field(default_factory") else code(field.default)


def _function(function: source.Function, marked: bool) -> Iterator[str]:
    if marked:
        yield f"**`{function.name}`**, {'to write' if function.abstract else 'may be written'}:"
        yield ""
    yield from _code(function.signature)
    yield prose(function.about)
    yield ""


def _code(text: str) -> list[str]:
    return ["```python", text, "```", ""]


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"
