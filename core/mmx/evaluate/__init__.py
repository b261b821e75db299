"""Evaluation: samples through the data workers of training, encoded once, shared out over ranks, memory bounded."""

from mmx.evaluate.encode import Encodings, encode
from mmx.evaluate.reading import EncodePass
from mmx.evaluate.samples import Samples
from mmx.evaluate.texts import class_vectors, embed_texts

__all__ = ["EncodePass", "Encodings", "Samples", "class_vectors", "embed_texts", "encode"]
