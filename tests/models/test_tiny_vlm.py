"""TinyVLM: what its layers may and may not see."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from medrepro.models.tiny_vlm import TinyVLM


def tiny(**changes):
    torch.manual_seed(0)
    return TinyVLM(11, **{"image_size": 16, "channels": (4, 4, 8), "dim": 16, "depth": 2, "max_words": 9, **changes})


@pytest.fixture
def seen():
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(3, 1, 16, 16, generator=generator)
    text = torch.randint(0, 11, (3, 2, 6), generator=generator)
    return images, text


def test_a_word_sees_no_later_word(seen):
    images, text = seen
    model = tiny().eval()
    changed = text.clone()
    changed[:, :, 4:] = (changed[:, :, 4:] + 1) % 11
    a, b = model(images, text), model(images, changed)
    torch.testing.assert_close(a[:, :, :4], b[:, :, :4])
    assert (a[:, :, 4:] - b[:, :, 4:]).abs().min(dim=-1).values.max() > 1e-4


def test_padding_changes_no_earlier_prediction(seen):
    images, text = seen
    model = tiny().eval()
    padded = F.pad(text, (0, 3))
    torch.testing.assert_close(model(images, padded)[:, :, :6], model(images, text))


def test_neighbours_in_the_batch_and_other_questions_change_nothing(seen):
    images, text = seen
    model = tiny().eval()
    alone = torch.stack(
        [model(images[i : i + 1], text[i : i + 1, j : j + 1])[0, 0] for i in range(3) for j in range(2)]
    )
    torch.testing.assert_close(alone, model(images, text).flatten(0, 1), rtol=1e-4, atol=1e-5)


def test_each_image_decides_its_own_logits(seen):
    images, text = seen
    model = tiny().eval()
    other = images.clone()
    other[1] = 1 - other[1]
    moved = (model(images, text) - model(other, text)).abs().amax(dim=(1, 2, 3))
    assert moved[1] > 1e-4
    assert moved[[0, 2]].max() == 0


@pytest.mark.parametrize("size", [{"channels": (16, 32, 48), "dim": 48, "depth": 2, "image_size": 32, "max_words": 24},
                                  {}])  # fmt: skip
def test_every_parameter_gets_a_gradient(size):
    model = tiny(**size)
    side = model.image_size
    text = torch.arange(11).remainder(11)[None, None, : min(9, model.max_words)]
    # Places beyond the text get none; a text of full length reaches them all.
    text = text.repeat(1, 1, 3)[:, :, : model.max_words]
    F.cross_entropy(model(torch.rand(1, 1, side, side), text).flatten(0, 2), text.flatten()).backward()
    without = [name for name, w in model.named_parameters() if w.grad is None or not w.grad.abs().sum() > 0]
    assert without == []


def test_bf16_and_three_channels_give_finite_logits_of_the_same_shape():
    model = tiny(in_channels=3).to(torch.bfloat16).eval()
    logits = model(torch.rand(2, 3, 16, 16, dtype=torch.bfloat16), torch.zeros(2, 4, 5, dtype=torch.long))
    assert logits.shape == (2, 4, 5, 11)
    assert logits.dtype == torch.bfloat16
    assert logits.isfinite().all()


def test_sizes_that_do_not_fit_are_named(seen):
    with pytest.raises(ValueError, match="image_size must be a multiple of 8, got 30"):
        tiny(image_size=30)
    with pytest.raises(ValueError, match=r"dim must be a multiple of heads \(4\), got 18"):
        tiny(dim=18)
    with pytest.raises(ValueError, match="text must have at most 9 words, got 10"):
        tiny()(seen[0], torch.zeros(3, 1, 10, dtype=torch.long))
