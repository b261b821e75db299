"""What reads toy samples into batches."""

from mmx.data.views import ImageView, Reader, TextView
from mmx.parts.transform import Preprocess
from mmx_toy.configs import Letters, Pictures, Shake
from mmx_toy.data import ToyPictures, ToyShake
from mmx_toy.texts import ToyDrop, ToyTokenizer


def reader(bad: tuple[int, ...] = ()) -> Reader:
    """Return a reader of one view of each kind."""
    shape = Preprocess(size=6, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), resize="squash")
    images = {"clean": ImageView(ToyShake(Shake(name="toy"), shape), None)}
    texts = {"clean": TextView(ToyDrop(Shake(name="toy"), ToyTokenizer(Letters(name="toy"))), None)}
    return Reader(ToyPictures(Pictures(name="toy", bad=bad)), images, texts, seed=0)
