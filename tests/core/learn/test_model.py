import torch
from torch import Tensor, nn

from mmx.parts.batch import Pixels
from mmx.parts.group import SoloGroup
from toys.blip2 import QueryFusion
from toys.data import make_batch
from toys.layouts import start
from toys.mistakes import with_batch_norm
from toys.systems import batch_for, blip, blip2, make_model


def test_pixels_are_normalised_by_the_preprocessing_it_was_made_with() -> None:
    model = make_model()
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    found = model.normalise(Pixels(pixels)).pixels
    torch.testing.assert_close(found, (pixels / 255 - 0.5) / 0.25)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_images_and_texts_embed_alone_and_to_unit_length() -> None:
    model = make_model(QueryFusion(), cross=True).eval()
    batch = make_batch(0, ("clean",), ("clean",))
    images, texts = model.embed_image(batch.images["clean"]), model.embed_text(batch.texts["clean"])
    assert images.shape == (32, 3, 6) and texts.shape == (32, 6)
    torch.testing.assert_close(images.norm(dim=-1), torch.ones(32, 3))
    torch.testing.assert_close(texts.norm(dim=-1), torch.ones(32))
    assert model.fusion.similarity(images, texts).shape == (32, 32)


def test_frozen_blocks_stay_in_evaluation_mode_and_have_no_gradient() -> None:
    objective = start(with_batch_norm, SoloGroup())
    tower = objective.model.image_encoder
    objective.model.freeze([tower])
    objective.train()
    assert not tower.training and objective.model.text_encoder.training
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    objective.model.encode_image(batch_for(objective).images["clean"])
    assert all(torch.equal(value, before[name]) for name, value in tower.state_dict().items())
    assert not any(p.requires_grad for p in tower.parameters())


def test_a_frozen_tower_gets_no_gradient_and_the_rest_does() -> None:
    objective = start(blip2, SoloGroup())
    trained = {name for name, p in objective.named_parameters() if p.requires_grad}
    assert not any(name.startswith("model.image_encoder.") for name in trained)
    assert "model.fusion.queries" in trained


def test_a_checkpoint_has_shared_weights_once() -> None:
    objective = start(blip, SoloGroup())
    state = objective.state_dict()
    places = [value.data_ptr() for value in state.values() if isinstance(value, Tensor)]
    assert len(set(places)) == len(places)
    assert not any("reader" in name or "fusion.text_encoder" in name for name in state)


def test_a_submodule_reader_would_put_weights_in_twice() -> None:
    objective = start(blip, SoloGroup())
    fusion: nn.Module = objective.model.fusion
    fusion.reader = objective.model.text_encoder
    places = [value.data_ptr() for value in objective.state_dict().values()]
    assert len(set(places)) < len(places)


def test_the_three_modes_of_the_text_tower_share_weights() -> None:
    model = make_model(None, cross=True)
    batch = make_batch(0, ("clean",), ("clean",))
    image, words = model.encode_image(batch.images["clean"]), batch.texts["clean"]
    outputs = [
        model.encode_text(words).pooled,
        model.text_encoder(words, image, "fuse").pooled,
        model.text_encoder(words, image, "decode").pooled,
    ]
    for output in outputs:
        (gradient,) = torch.autograd.grad(output.square().sum(), [model.text_encoder.get_parameter("out.weight")])
        assert gradient.abs().max() > 0
    assert not torch.equal(outputs[1], outputs[2])


def test_decoding_does_not_see_later_words() -> None:
    model = make_model(None, cross=True).eval()
    batch = make_batch(0, ("clean",), ("clean",))
    image, words = model.encode_image(batch.images["clean"]), batch.texts["clean"]
    later = words.ids.clone()
    later[:, -1] = (later[:, -1] + 1) % 11
    changed = type(words)(later, words.mask)
    before, after = (model.text_encoder(w, image, "decode").tokens for w in (words, changed))
    assert before is not None and after is not None
    torch.testing.assert_close(before[:, :-1], after[:, :-1])
