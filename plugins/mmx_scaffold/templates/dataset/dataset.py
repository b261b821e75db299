"""A folder of pictures with captions beside them: ``cat.jpg`` and ``cat.txt`` make one sample."""

import hashlib
from typing import final

from typing_extensions import override

from mmx.data.decode import decode
from mmx.errors import DataError
from mmx.parts.dataset import BadSampleError, Dataset, Sample
from mmx_scaffold.templates.dataset.config import ThisPartConfig


def group_of(caption: str) -> int:
    """Return a number that is the same for the same caption: the first 7 bytes of its BLAKE2b hash."""
    return int.from_bytes(hashlib.blake2b(caption.encode(), digest_size=7).digest(), "big")


@final
class ThisPart(Dataset):
    """Samples in the order of their paths. A sample's key is its path within the folder.

    Each line of the text file is one caption; which of them is read is up to the recipe's text transform. The fact
    ``group`` is :func:`group_of` of the first: samples with the same caption are no negatives of each other.

    Files are listed here and read in ``read``, so that data workers are sent a list of names and nothing else. The
    order of training is not a dataset's matter.

    Raises:
        DataError: there is no picture in the folder.
    """

    def __init__(self, config: ThisPartConfig) -> None:
        self.folder = config.folder
        self.paths = sorted(path for path in config.folder.rglob("*") if path.suffix.lower() in config.extensions)
        if not self.paths:
            raise DataError(f"{config.folder} has no file that ends in {', '.join(config.extensions)}")

    @override
    def __len__(self) -> int:
        return len(self.paths)

    @override
    def key(self, index: int) -> str:
        return self.paths[index].relative_to(self.folder).as_posix()

    @override
    def read(self, index: int) -> Sample:
        path, key = self.paths[index], self.key(index)
        try:
            lines = path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
            data = path.read_bytes()
        except (OSError, UnicodeDecodeError) as error:
            raise BadSampleError(f"{key}: {error}") from error
        captions = tuple(line.strip() for line in lines if line.strip())
        if not captions:
            raise BadSampleError(f"{key}: its text file has no caption")
        return Sample(key, decode(data, key), captions, {"group": group_of(captions[0])})
