"""Small files that would take much memory, much time, or start a program: each in a process of its own, measured."""

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image, PngImagePlugin

from mmx.data.decode import decode
from mmx.parts.dataset import BadSampleError

MEASURE: Final = """
import io, json, sys, time, warnings
from pathlib import Path
from PIL import Image
from mmx.data.decode import decode
from mmx.parts.dataset import BadSampleError

def naive(data, key):
    warnings.simplefilter("ignore")
    return Image.open(io.BytesIO(data)).convert("RGB")

def peak():  # not getrusage: its figure begins with that of the parent
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024

read = naive if sys.argv[1] == "naive" else decode
for kind in ("JPEG", "PNG", "WEBP", "GIF"):
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, kind)
    read(file.getvalue(), "k")
found = {}
for path in map(Path, sys.argv[2:]):
    data = path.read_bytes()
    before, start = peak(), time.process_time()
    try:
        said = str(read(data, "k").size)
    except BadSampleError as error:
        said = str(error)
    seconds = time.process_time() - start
    found[path.name] = [said, seconds, peak() - before]
print(json.dumps(found))
"""
WATCH: Final = """
import io, json, sys, warnings
from pathlib import Path
from PIL import Image
from mmx.data.decode import decode
from mmx.parts.dataset import BadSampleError

seen = []
watched = ("open", "subprocess", "os.system", "os.posix_spawn", "os.exec", "os.fork", "socket", "import", "ctypes")
files = [Path(name).read_bytes() for name in sys.argv[2:]]
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith(watched) else None)
for data in files:
    try:
        if sys.argv[1] == "naive":
            Image.open(io.BytesIO(data)).load()
        else:
            decode(data, "k")
    except (BadSampleError, OSError):
        pass
found = [sorted(set(seen)), sorted(name for name in sys.modules if name.startswith("PIL.") and name.endswith("Plugin"))]
print(json.dumps(found))
"""
RACE: Final = """
import io, time
from PIL import Image
from mmx.data.decode import decode

file = io.BytesIO()
Image.effect_noise((256, 256), 90).convert("RGB").save(file, "JPEG")
data = file.getvalue()
ways = [lambda: Image.open(io.BytesIO(data)).convert("RGB"), lambda: decode(data, "k")]
quickest = [1e9, 1e9]
for _ in range(100):
    for which, way in enumerate(ways):
        start = time.perf_counter()
        way()
        quickest[which] = min(quickest[which], time.perf_counter() - start)
print(quickest)
"""


def child(program: str, *arguments: str | Path) -> Any:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def png(width: int, height: int, *extra: tuple[bytes, bytes]) -> bytes:
    """Return a black PNG of 1 bit a pixel."""
    file = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    file.seek(8)
    PngImagePlugin.putchunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    for kind, data in extra:
        PngImagePlugin.putchunk(file, kind, data)
    PngImagePlugin.putchunk(file, b"IDAT", zlib.compress(bytes((width // 8 + 1) * height)))
    PngImagePlugin.putchunk(file, b"IEND", b"")
    return file.getvalue()


def texts() -> bytes:
    """Return a PNG whose texts and profile, each below what Pillow allows, are 250 MB."""
    long = zlib.compress(("\U0001f600" + "a" * 1_000_000).encode())
    profile = (b"iCCP", b"p\0\0" + zlib.compress(bytes(1_000_000)))
    return png(8, 8, profile, *((b"iTXt", f"k{number}\0\1\0\0\0".encode() + long) for number in range(62)))


def gif(screen: int, side: int, frames: int) -> bytes:
    """Return a GIF of frames that are to be wiped off after they were shown, without pixels."""
    frame = b"!\xf9\4\x08\0\0\0\0," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\2\2\x4c\1\0"
    return (
        b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + bytes(3) + b"\xff" * 3 + frame * frames + b";"
    )


def webp(width: int, height: int) -> bytes:
    """Return the header of a WebP with an animation."""
    body = b"WEBPVP8X\x0a\0\0\0\2\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body += b"ANIM\6\0\0\0" + bytes(6)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg(width: int, height: int, again: int, **options: Any) -> bytes:
    """Return a JPEG that says that it is so large, and has its last scan so many times more."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 99, 200)).save(file, "JPEG", **options)
    data = file.getvalue()
    data = data.replace(struct.pack(">BHH", 8, 64, 64), struct.pack(">BHH", 8, height, width))
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * again + data[-2:]


BOMBS: Final[dict[str, tuple[Callable[[], bytes], str]]] = {
    "png-81": (lambda: png(9_000, 9_000), "pixels"),
    "png-177": (lambda: png(13_300, 13_300), "pixels"),
    "png-196": (lambda: png(14_000, 14_000), "pixels"),
    "png-texts": (texts, "(8, 8)"),
    "gif-screen": (lambda: gif(65_535, 1, 1), "pixels"),
    "gif-frame": (lambda: gif(1, 13_000, 1), "pixels"),
    "gif-frames": (lambda: gif(8, 1, 10_000), "(8, 8)"),
    "webp": (lambda: webp(16_000, 16_000), "pixels"),
    "jpeg": (lambda: jpeg(65_000, 65_000, 0), "pixels"),
    "jpeg-thin": (lambda: jpeg(65_500, 8, 0), "(65500, 8)"),
    "jpeg-scans": (lambda: jpeg(8_000, 7_000, 50_000, progressive=True), "scans"),
    "png-one-long-text": (
        lambda: png(8, 8, (b"tEXt", b"k\0" + bytes(50_000_000))),
        "(8, 8)",
    ),  # the last: its file raises the peak
}


def test_refused_from_the_header(tmp_path: Path) -> None:
    for name, (made, _) in BOMBS.items():
        (tmp_path / name).write_bytes(made())
    assert (tmp_path / "png-196").stat().st_size < 30_000 and (tmp_path / "png-texts").stat().st_size < 100_000
    found = child(MEASURE, "decode", *(tmp_path / name for name in BOMBS))
    for name, (_, expected) in BOMBS.items():
        said, seconds, megabytes = found[name]
        assert expected in said, name
        assert seconds < 0.5 and megabytes < 80, (name, seconds, megabytes)  # a busy machine; usual are 50 ms and 50 MB


def test_the_usual_way_takes_the_memory(tmp_path: Path) -> None:
    for name in ("png-81", "png-texts"):
        (tmp_path / name).write_bytes(BOMBS[name][0]())
        said, _, megabytes = child(MEASURE, "naive", tmp_path / name)[name]
        assert said in ("(9000, 9000)", "(8, 8)")
        assert megabytes > 200, name


def foreign() -> dict[str, bytes]:
    files = {"html": b"<html/>", "xml": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><svg>&x;</svg>'}
    for format in ("EPS", "PDF", "TIFF", "BMP", "ICO", "PPM", "JPEG", "PNG", "WEBP", "GIF", "MPO"):
        file = io.BytesIO()
        Image.new("RGB", (16, 16)).save(file, format)
        files[format] = file.getvalue()
    return files


def test_no_program_is_started_and_no_other_file_opened(tmp_path: Path) -> None:
    for name, data in foreign().items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
    events, openers = child(WATCH, "decode", *sorted(tmp_path.iterdir()))
    assert events == []
    assert openers == [f"PIL.{name}ImagePlugin" for name in ("Gif", "Jpeg", "Png", "WebP")]


def test_the_usual_way_starts_a_program(tmp_path: Path) -> None:
    (tmp_path / "eps.jpg").write_bytes(foreign()["EPS"])
    events, openers = child(WATCH, "naive", tmp_path / "eps.jpg")
    assert "subprocess.Popen" in events
    assert len(openers) > 20


@pytest.mark.parametrize("name", ["png-81", "gif-frame", "webp"])
def test_the_limit_is_an_option(name: str) -> None:
    with pytest.raises(BadSampleError, match="more than 1000 pixels"):
        decode(BOMBS[name][0](), "k", 1000)


def test_no_slower_than_the_usual_way() -> None:
    usual, ours = child(RACE)
    assert ours < usual + 50e-6
