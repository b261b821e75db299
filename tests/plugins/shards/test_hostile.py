"""Hostile tars: nothing outside is written or read, and nothing in them is run."""

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from PIL import Image

SCRIPT = """
import json, os, sys
from pathlib import Path
from mmx_shards.format.build import build
from mmx_shards.format.verify import verify
from mmx.config import RemoteTable
from mmx_shards.format.index import open_index
from mmx_storage.files import Files
from mmx.parts.dataset import BadSampleError
from mmx_shards.configs import ShardsConfig
from mmx_shards.dataset import Shards
import mmx.data.decode, numpy, PIL.Image, safetensors.numpy, tempfile
PIL.Image.init()

seen = []

def hook(event, args):
    if event == "open" and isinstance(args[0], str):
        writes = bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) if isinstance(args[2], int) else False
        seen.append(("write" if writes else "read", os.path.abspath(args[0])))
    elif event.startswith(("pickle.", "subprocess.", "os.system", "os.exec", "os.symlink", "os.link", "exec", "socket")):
        seen.append((event, str(args)[:200]))

config = ShardsConfig(name="shards", urls=(sys.argv[1],))
sys.addaudithook(hook)
keys = []
for index in ("none", sys.argv[2]):
    if index != "none":
        build(Files(config.urls), config.extensions, Path(index), 1)
        reports = verify(Files(config.urls), config.extensions, open_index(index, RemoteTable()), 1, True, lambda r: None)
        assert not [what for report in reports for what in report.wrong if "decoded" not in what], reports
    dataset = Shards(config.model_copy(update={"index": index}))
    for number in range(len(dataset)):
        keys.append(dataset.key(number))
        try:
            dataset.read(number)
        except BadSampleError:
            pass
print(json.dumps({"seen": seen, "keys": keys}))
"""


class Marker:
    """Writes a file when it is unpickled: a harmless stand-in for any code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (4, 4)).save(data, "PNG")
    return data.getvalue()


def add(tar: tarfile.TarFile, name: str, data: bytes = b"", **header: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in header.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Return a tar with every trick, and good samples among them."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    path = tmp_path / "data" / "a.tar"
    path.parent.mkdir()
    evil = pickle.dumps(Marker(tmp_path / "marker"))
    names = [
        "good",
        "../../up",
        str(tmp_path / "absolute"),
        "/etc/passwd",
        "a\u202egpj",
        "n" * 4000,
        "\x1b[2Jx",
        "new\nline",
        "~/home",
        "C:\\x",
    ]
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            add(tar, f"link{kind!r}.png", type=kind, linkname=str(secret))
            add(tar, f"link{kind!r}.txt", type=kind, linkname=str(secret))
        for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            add(tar, f"device{kind!r}.png", type=kind)
        for name in names:
            add(tar, f"{name}.png", picture())
            add(tar, f"{name}.txt", b"text")
            for extension in ("pyd", "pkl", "pickle", "pth", "npy", "svg"):
                add(tar, f"{name}.{extension}", evil)
        add(tar, "pax.png", picture(), pax_headers={"path": "../../pax.png", "linkpath": str(secret)})
        add(tar, "nul.png", picture(), pax_headers={"path": "nul\0/../../x.png"})
        add(tar, "evil.png", evil)
        add(tar, "evil.txt", evil)
    return path


def test_nothing_outside_is_touched(hostile: Path, tmp_path: Path) -> None:
    index = hostile.parent / "index"
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(hostile), str(index)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    with tarfile.open(hostile) as tar:  # the tricks are there
        kinds = {member.type for member in tar}
        assert {tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE} <= kinds
    assert {"a/good", "a/../../up", "a//etc/passwd", "a/evil", f"a/{'n' * 4000}"} <= set(found["keys"])
    assert sorted(tmp_path.rglob("*")) == sorted([*before, index])
    opened = {(kind, path) for kind, path in found["seen"] if kind in ("read", "write")}
    assert ("read", str(hostile)) in opened  # the hook works
    assert {path for kind, path in opened if kind == "write" and not own(path, hostile.parent)} == set()
    assert not [path for _, path in opened if path.endswith(("secret.txt", "passwd", "marker"))]
    assert not [event for event in found["seen"] if event[0] not in ("read", "write", "exec")], found["seen"]


def own(path: str, folder: Path) -> bool:
    return path == "/dev/null" or path.startswith((f"{folder}/.mmx-index-", f"{folder}/index"))


def test_the_control_unpickles_what_is_in_a_tar(hostile: Path, tmp_path: Path) -> None:
    script = (
        "import sys, webdataset\n"
        "for sample in webdataset.WebDataset(sys.argv[1], shardshuffle=False, handler=webdataset.ignore_and_continue)"
        ".decode('pilrgb', handler=webdataset.ignore_and_continue):\n    pass\n"
    )
    with tarfile.open(tmp_path / "one.tar", "w") as tar:
        add(tar, "0.png", picture())
        add(tar, "0.pyd", pickle.dumps(Marker(tmp_path / "marker")))
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "one.tar")], capture_output=True, timeout=120)
    assert (tmp_path / "marker").is_dir()


def test_very_many_empty_members(tmp_path: Path) -> None:
    from mmx_shards.configs import ShardsConfig
    from mmx_shards.format.build import build
    from mmx_storage.files import Files

    path = tmp_path / "a.tar"
    with path.open("wb") as file:
        for number in range(100_000):
            file.write(tarfile.TarInfo(f"{number:06d}.pyd").tobuf(tarfile.USTAR_FORMAT))
        for name, data in (("good.png", picture()), ("good.txt", b"x")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.write(info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512))
        file.write(bytes(1024))
    config = ShardsConfig(name="shards", urls=(str(path),))
    before = time.process_time()
    built = build(Files(config.urls), config.extensions, tmp_path / "i", 1)
    assert built.samples == 1 and time.process_time() - before < 30
