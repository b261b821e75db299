# pyright: basic, reportMissingImports=false
"""The input pipelines of mmx and of open_clip on the same shards, with the same training transform: crop, then 224."""

import io
import math
import multiprocessing
import resource
import statistics
import tarfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Final, final
from unittest import mock

import peers
import torch
from PIL import Image
from torch import Tensor

from mmx.data.loader import stream
from mmx.data.order import Order
from mmx.data.views import ImageView, Reader, TextView
from mmx.parts.transform import Preprocess
from mmx_clip.configs import ClipTokenizerConfig
from mmx_clip.tokenizer import ClipTokenizer
from mmx_images.augment import Augment
from mmx_images.caption import Caption
from mmx_images.configs import AugmentConfig, CaptionConfig
from mmx_images.draws import Draws
from mmx_images.geometry import crop
from mmx_shards.configs import ShardsConfig
from mmx_shards.dataset import Shards
from mmx_storage.urls import expand_all

BATCH: Final = 64
SIZE: Final = 224
SCALE: Final = (0.9, 1.0)
MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)
SEED: Final = 0
LEAST_PSNR: Final = 60.0


@final
@dataclass(frozen=True)
class Epoch:
    """What one pass over the shards took."""

    images: int
    seconds: float
    """From opening the dataset to the last batch."""
    first: float
    """From opening the dataset to the first batch."""
    cpu: float
    """Processor seconds of all processes in that time."""


Batches = Iterable[Any]
Open = Callable[[str, int, int], Batches]
"""Returns the batches of URLs with so many samples, read by so many workers."""


def of_mmx(draft: int | None = None) -> Open:
    """Return mmx's pipeline as training reads it."""
    augment, caption = (
        transform(),
        Caption(CaptionConfig(name="caption"), ClipTokenizer(ClipTokenizerConfig(name="clip"))),
    )
    images, texts = {"clean": ImageView(augment, None)}, {"clean": TextView(caption, None)}

    def batches(urls: str, samples: int, workers: int) -> Iterator[Tensor]:
        dataset = Shards(ShardsConfig(name="shards", urls=(urls,), draft=draft))
        order = Order(len(dataset), BATCH, SEED)
        reader = Reader(dataset, images, texts, SEED)
        with closing(stream(reader, order, 0, samples // BATCH, workers, pin=False)) as steps:
            for step in steps:
                if step.bad:
                    raise SystemExit(f"a sample was skipped: {step.bad[0]}")
                yield step.batch.images["clean"].pixels

    return batches


def of_open_clip() -> Open:
    """Return open_clip's pipeline, at its own settings."""
    open_clip = peers.open_clip()
    from open_clip_train.data import get_wds_dataset

    tokenizer, preprocess = open_clip.SimpleTokenizer(), their_transform()

    def batches(urls: str, samples: int, workers: int) -> Iterator[Tensor]:
        args = Namespace(train_data=urls, train_num_samples=samples, train_data_upsampling_factors=None, seed=SEED)
        args.batch_size, args.workers, args.world_size = BATCH, workers, 1
        loader = get_wds_dataset(args, preprocess, is_train=True, tokenizer=tokenizer).dataloader
        for pixels, _ in loader:
            yield pixels
        loader.pipeline[0]._iterator = None  # which ends the workers, so that their processor time is known

    return batches


def transform() -> Augment:
    """Return mmx's transform with open_clip's options."""
    config = AugmentConfig(name="augment", scale=SCALE, ratio=(3 / 4, 4 / 3))
    return Augment(config, Preprocess(SIZE, MEAN, STD, "crop"))


def their_transform() -> Callable[[Image.Image], Tensor]:
    """Return open_clip's training transform, as its script makes it by default."""
    peers.open_clip()
    from open_clip.transform import image_transform

    return image_transform(SIZE, is_train=True, mean=MEAN, std=STD, aug_cfg={"scale": SCALE})


OPENS: Final[dict[str, Callable[[], Open]]] = {
    "mmx": of_mmx,
    "mmx, draft": lambda: of_mmx(SIZE),
    "open_clip": of_open_clip,
}


def epoch(name: str, urls: str, samples: int, workers: int) -> dict[str, float]:
    """Read all samples once; return what it took."""
    if name == "decode":
        return asdict(_decoding(urls, samples, workers))
    batches = OPENS[name]()
    before, started, first, images = _cpu(), time.perf_counter(), 0.0, 0
    for pixels in batches(urls, samples, workers):
        images += len(pixels)
        ended = time.perf_counter()
        first = first or ended - started
    if images != samples:
        raise SystemExit(f"{name}: {images} images were read, not {samples}")
    return asdict(Epoch(images, ended - started, first, _cpu() - before))


def _cpu() -> float:
    """Return processor seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _decoding(urls: str, samples: int, workers: int) -> Epoch:
    """Only decode what is in memory already, with Pillow: no pipeline that decodes with it can be faster."""
    data = list(pictures(urls))[:samples]
    processes = max(1, workers)
    before, started = _cpu(), time.perf_counter()
    children = [
        multiprocessing.get_context("fork").Process(target=_decode, args=(data[first::processes],))
        for first in range(processes)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return Epoch(len(data), time.perf_counter() - started, 0.0, _cpu() - before)


def _decode(data: list[bytes]) -> None:
    for one in data:
        Image.open(io.BytesIO(one)).load()


def check(urls: str) -> dict[str, float]:
    """Compare the pixels that both make of the same boxes of every 16th picture, and the ids of all captions.

    Raises:
        SystemExit: the PSNR over all of them is not above the least, or ids differ.
    """
    data = list(pictures(urls))[::16]
    squares = [_squares(Image.open(io.BytesIO(one)), seed) for seed, one in enumerate(data)]
    mean = statistics.mean
    psnr = _decibel(mean(square for square, _ in squares))
    if psnr <= LEAST_PSNR:
        raise SystemExit(f"{urls}: PSNR {psnr:.1f} dB against open_clip's pixels of the same boxes: not timed")
    texts = list(members(urls, ".txt"))
    captions = [text.decode() for text in texts]
    ours = ClipTokenizer(ClipTokenizerConfig(name="clip"))(captions)
    theirs = peers.open_clip().SimpleTokenizer()(captions)
    if not torch.equal(ours.ids, theirs):
        raise SystemExit(f"{urls}: captions have other ids than open_clip's: not timed")
    return {
        "psnr": psnr,
        "worst": _decibel(max(square for square, _ in squares)),
        "largest": max(most for _, most in squares),
        "bytes": mean(map(len, data)),
        "megapixels": mean(math.prod(Image.open(io.BytesIO(one)).size) for one in data) / 1e6,
        "tokens": float(ours.mask.sum(dim=1).double().mean()),
    }


def _decibel(square: float) -> float:
    return 10 * math.log10(255**2 / max(square, 1e-9))


def _squares(picture: Image.Image, seed: int) -> tuple[float, int]:
    """Return the mean square and the largest difference of the pixels that both make of a picture."""
    theirs = their_transform()
    from torchvision.transforms import RandomResizedCrop

    rgb, augment = picture.convert("RGB"), transform()
    draws = Draws(torch.Generator().manual_seed(seed))
    box = crop(rgb.height, rgb.width, augment.config, 1.0, draws)
    ours = augment(rgb, torch.Generator().manual_seed(seed)).pixels
    with mock.patch.object(RandomResizedCrop, "get_params", lambda *_: (box.top, box.left, box.height, box.width)):
        normalised = theirs(rgb)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    difference = ours.double() - (255 * (normalised * std + mean)).round().double()
    return float(difference.square().mean()), int(difference.abs().max())


def pictures(urls: str) -> Iterator[bytes]:
    """Yield the JPEG files of shards."""
    return members(urls, ".jpg")


def members(urls: str, extension: str) -> Iterator[bytes]:
    """Yield the files of shards that have an extension."""
    for path in expand_all((urls,)):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None and member.name.endswith(extension):
                    yield file.read()


def normalising() -> float:
    """Return the seconds that it takes here to normalise the pixels of a batch, which mmx does where the model is."""
    pixels = torch.randint(0, 256, (BATCH, 3, SIZE, SIZE), dtype=torch.uint8)
    mean, std = (255 * torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    times: list[float] = []
    for _ in range(9):
        started = time.perf_counter()
        pixels.float().sub_(mean).div_(std)
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2]
