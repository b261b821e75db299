"""Build the emoji shards of the quickstart: `python plugins/mmx_quickstart/build_shards.py [--size 48]`.

Four artists drew the same 1,906 Unicode concepts. Each artist becomes one webdataset tar of small pictures on white,
with the concept's English label and tags beside each picture. Equal inputs and library versions give equal bytes.

Needs the npm client on the path and `pip install pillow==13.0.0 resvg-py==0.5.0`.
"""

import argparse
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import resvg_py  # pyright: ignore[reportMissingImports]  # only for rebuilding
from PIL import Image

PACKAGES = {
    "noto": "emoji-datasource-google@16.0.0",  # Noto as PNG: the SVG sets of Noto on npm have no country flags
    "twemoji": "@iconify-json/twemoji@1.2.5",
    "openmoji": "@iconify-json/openmoji@1.2.29",
    "fluent": "@lobehub/fluent-emoji-3d@1.1.0",
    "emojibase": "emojibase-data@17.0.0",
    "spdx": "spdx-license-list@6.12.0",
}
TRAINING_STYLES = ("noto", "twemoji", "openmoji")  # a concept needs all of these
STYLES = (*TRAINING_STYLES, "fluent")
LICENSES = {
    "Apache-2.0": "Noto Emoji\nCopyright Google LLC (https://github.com/googlefonts/noto-emoji)",
    "CC-BY-4.0": "Twemoji\nCopyright Twitter, Inc and other contributors (https://github.com/jdecked/twemoji)",
    "CC-BY-SA-4.0": "OpenMoji, the open-source emoji and icon project\nDesigned by OpenMoji (https://openmoji.org)",
    "MIT": "Fluent Emoji\nCopyright (c) Microsoft Corporation (https://github.com/microsoft/fluentui-emoji)\n"
    "Packaged by LobeHub, Copyright (c) 2023 LobeHub (https://github.com/lobehub/fluent-emoji)",
    "Unicode-3.0": "Unicode CLDR names and keywords, by way of emojibase\nCopyright Unicode, Inc. (https://unicode.org)",
}
OPENMOJI_NOTICE = """openmoji.tar holds adapted material: drawings by OpenMoji (https://openmoji.org), the open-source
emoji and icon project, licensed under CC BY-SA 4.0 (full text: LICENSES/CC-BY-SA-4.0.txt). They were rasterised
on white, resized and compressed. This shard as a whole is licensed under CC BY-SA 4.0; the other shards are not
derived from it.
"""


class Concept(NamedTuple):
    """One Unicode emoji and what Unicode calls it; `code` is its code points in hex, without variation selectors."""

    code: str
    label: str
    tags: list[str]
    group: str
    subgroup: str


Source = Path | str  # a bitmap file or SVG text


def main() -> None:
    """Fetch the pinned packages, draw every concept in every style, write shards, class list and licences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=48, help="side of the pictures in pixels")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        packages = {name: fetch(spec, Path(scratch) / name) for name, spec in PACKAGES.items()}
        drawings = {style: read_drawings(style, packages[style]) for style in STYLES}
        concepts = read_concepts(packages["emojibase"], [drawings[style] for style in TRAINING_STYLES])
        args.out.mkdir(parents=True, exist_ok=True)
        for style in STYLES:
            shard = write_shard(args.out, style, concepts, drawings[style], args.size)
            print(f"{shard.name}: {sum(c.code in drawings[style] for c in concepts)} samples, {shard.stat().st_size} B")
        write_class_list(args.out / "concepts.json", concepts)
        write_licenses(args.out, packages)


def fetch(spec: str, folder: Path) -> Path:
    """Download one npm package with the npm client and unpack it."""
    folder.mkdir()
    packed = subprocess.run(["npm", "pack", "--silent", spec], cwd=folder, check=True, capture_output=True, text=True)
    with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def normal_code(name: str) -> str:
    """Spell a code point sequence in the one way used here: `1F441-FE0F` -> `1f441`, `a9` -> `00a9`."""
    return "-".join(part.zfill(4) for part in name.lower().split("-") if part != "fe0f")


def read_drawings(style: str, package: Path) -> dict[str, Source]:
    """Find every drawing of a style, by code."""
    if style == "noto":
        return {normal_code(file.stem): file for file in (package / "img/google/64").glob("*.png")}
    if style == "fluent":
        return {normal_code(file.stem): file for file in (package / "assets").glob("*.webp")}
    icons = json.loads((package / "icons.json").read_text())
    slugs: dict[str, str] = json.loads((package / "chars.json").read_text())
    return {normal_code(code): svg_text(icons, slug) for code, slug in slugs.items()}


def svg_text(icons: dict[str, Any], slug: str) -> str:
    """Wrap the body of an Iconify icon into a whole SVG document."""
    icon = icons["icons"][slug]
    width, height = icon.get("width", icons["width"]), icon.get("height", icons["height"])
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {spaces} viewBox="0 0 {width} {height}">{icon["body"]}</svg>'


def read_concepts(emojibase: Path, needed: Iterable[dict[str, Source]]) -> list[Concept]:
    """List the emoji that all the needed styles draw, in order of their code points."""
    meta = json.loads((emojibase / "meta/groups.json").read_text())
    emoji = json.loads((emojibase / "en/data.json").read_text())
    concepts = [
        Concept(
            code=normal_code(e["hexcode"]),
            label=e["label"],
            tags=e.get("tags", []),
            group=meta["groups"][str(e["group"])],
            subgroup=meta["subgroups"][str(e["subgroup"])],
        )
        for e in emoji
        if "group" in e and all(normal_code(e["hexcode"]) in style for style in needed)
    ]
    if len({c.label for c in concepts}) < len(concepts):
        raise ValueError("two concepts share a label: class names must be unique")
    return sorted(concepts, key=lambda c: [int(part, 16) for part in c.code.split("-")])


def write_shard(out: Path, style: str, concepts: list[Concept], drawings: dict[str, Source], size: int) -> Path:
    """Write one style's tar: for each concept KEY.json and KEY.webp, with fixed order, owner and time."""
    drawn = [c for c in concepts if c.code in drawings]
    with ProcessPoolExecutor() as pool:
        pictures = list(pool.map(partial(picture, size=size), [drawings[c.code] for c in drawn], chunksize=64))
    shard = out / f"{style}.tar"
    with tarfile.open(shard, "w", format=tarfile.USTAR_FORMAT) as archive:
        for concept, webp in zip(drawn, pictures, strict=True):
            add_member(archive, f"{style}-{concept.code}.json", sample_json(concept, style))
            add_member(archive, f"{style}-{concept.code}.webp", webp)
    return shard


def picture(source: Source, size: int) -> bytes:
    """Draw one emoji on a white square of `size` pixels, as WebP."""
    drawn: Path | io.BytesIO
    if isinstance(source, Path):
        drawn = source
    else:
        drawn = io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=source, height=4 * size, skip_system_fonts=True)))
    with Image.open(drawn) as image:
        image = image.convert("RGBA")
    side = max(image.size)
    square = Image.new("RGBA", (side, side), "white")
    square.alpha_composite(image, ((side - image.width) // 2, (side - image.height) // 2))
    buffer = io.BytesIO()
    square.convert("RGB").resize((size, size), Image.Resampling.LANCZOS).save(buffer, "WEBP", quality=80, method=6)
    return buffer.getvalue()


def sample_json(concept: Concept, style: str) -> bytes:
    """Encode what is known of one picture."""
    known = {"concept": concept.code, **concept._asdict(), "style": style}
    del known["code"]
    return json.dumps(known, ensure_ascii=False, separators=(",", ":")).encode()


def add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add one file; TarInfo's defaults leave time, owner and group at zero."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def write_class_list(path: Path, concepts: list[Concept]) -> None:
    """Write the ordered list of all concepts, one a line."""
    lines = (json.dumps(_class(c), ensure_ascii=False) for c in concepts)
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def _class(concept: Concept) -> dict[str, str]:
    return {"concept": concept.code, "label": concept.label, "subgroup": concept.subgroup}


def write_licenses(out: Path, packages: dict[str, Path]) -> None:
    """Write the full text of every source's licence, each under the name of what it covers."""
    folder = out / "LICENSES"
    folder.mkdir(exist_ok=True)
    for name, covers in LICENSES.items():
        text = json.loads((packages["spdx"] / f"licenses/{name}.json").read_text())["licenseText"]
        text = text.replace("Copyright (c) <year> <copyright holders>\n\n", "")
        (folder / f"{name}.txt").write_text(f"{covers}\n\n{text.strip()}\n")
    for name in ("noto", "emojibase"):  # the packaging, and emojibase's own data
        (folder / f"{PACKAGES[name].split('@')[0]}-LICENSE.txt").write_text((packages[name] / "LICENSE").read_text())
    (out / "openmoji.tar.license").write_text(OPENMOJI_NOTICE)


if __name__ == "__main__":
    main()
