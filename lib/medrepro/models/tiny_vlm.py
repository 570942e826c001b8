"""TinyVLM: a small vision-language model that reads an image and a question and writes a short answer.

A convolutional encoder turns the image into a grid of tokens; a causal transformer decoder reads question and answer as
one text and looks at the image tokens by cross-attention (the layout of Whisper and of captioning models since
Xu et al. 2015). Words are numbers here: a vocabulary that makes them belongs to the caller.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TinyVLM(nn.Module):
    """Images (B, C, S, S) and Q texts to each (B, Q, T) to logits (B, Q, T, n_words) for the word after each place.

    n_words: size of the vocabulary. image_size: side S, a multiple of 8. channels: of the three convolution stages.
    dim, depth, heads: of the decoder; dim a multiple of heads. max_words: longest text. dropout: in the decoder.
    Members differ in numbers only: s is (channels (16, 32, 48), dim 48, depth 2), m (24, 48, 64), 80, 3.
    Raises ValueError for sizes that do not fit.
    """

    def __init__(
        self,
        n_words: int,
        *,
        image_size: int = 32,
        in_channels: int = 1,
        channels: tuple[int, int, int] = (16, 32, 48),
        dim: int = 48,
        depth: int = 2,
        heads: int = 4,
        max_words: int = 24,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if image_size < 8 or image_size % 8:
            raise ValueError(f"image_size must be a multiple of 8, got {image_size}")
        if dim % heads:
            raise ValueError(f"dim must be a multiple of heads ({heads}), got {dim}")
        self.image_size, self.max_words = image_size, max_words
        stages, width = [], in_channels
        for wider in channels:
            stages += [nn.Conv2d(width, wider, 3, stride=2, padding=1), Residual(wider)]
            width = wider
        self.encoder = nn.Sequential(*stages, nn.BatchNorm2d(width), nn.ReLU())
        places = (image_size // 8) ** 2
        self.to_tokens = nn.Linear(width, dim)
        self.to_summary = nn.Linear(width * places, dim)
        self.image_place = nn.Parameter(0.02 * torch.randn(places + 1, dim))
        self.image_norm = nn.LayerNorm(dim)
        self.words = nn.Embedding(n_words, dim)
        self.text_place = nn.Parameter(0.02 * torch.randn(max_words, dim))
        self.blocks = nn.ModuleList(DecoderBlock(dim, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, n_words)
        nn.init.normal_(self.words.weight, std=0.02)

    def encode(self, images: Tensor) -> Tensor:
        """images (B, C, S, S), about 0 to 1, to image tokens (B, 1 + (S / 8)^2, dim), the first a summary of all.

        The summary is a linear map of the whole grid: with it the decoder has something to say about the image long
        before its attention has learnt where to look.
        """
        grid = self.encoder(images - 0.5).flatten(2)  # (B, C', N)
        tokens = torch.cat([self.to_summary(grid.flatten(1))[:, None], self.to_tokens(grid.transpose(1, 2))], dim=1)
        return self.image_norm(tokens + self.image_place)  # (B, 1 + N, dim)

    def decode(self, image_tokens: Tensor, text: Tensor) -> Tensor:
        """image_tokens (B, N, dim), text (B, Q, T) of word numbers, Q texts to an image, to logits (B, Q, T, n_words).

        A place sees the words of its own text up to itself, so padding on the right changes no earlier logit.
        Raises ValueError when the text is longer than `max_words`.
        """
        if text.shape[2] > self.max_words:
            raise ValueError(f"text must have at most {self.max_words} words, got {text.shape[2]}")
        x = self.words(text) + self.text_place[: text.shape[2]]  # (B, Q, T, dim)
        for block in self.blocks:
            x = block(x, image_tokens)
        return self.head(self.norm(x))

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        """images (B, C, S, S), text (B, Q, T) to logits (B, Q, T, n_words); each image is encoded once."""
        return self.decode(self.encode(images), text)


class Residual(nn.Module):
    """x + convolution of the normalised x: batch norm, ReLU, 3 x 3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class DecoderBlock(nn.Module):
    """Causal self-attention, cross-attention to the image, feed-forward; each normalised before and added."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.self_norm, self.cross_norm, self.feed_norm = (nn.LayerNorm(dim) for _ in range(3))
        self.qkv, self.self_out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.q, self.kv, self.cross_out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.feed = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """x (B, Q, T, dim), image (B, N, dim) to (B, Q, T, dim)."""
        n_texts = x.shape[1]
        own = self.qkv(self.self_norm(x)).flatten(0, 1).chunk(3, dim=-1)  # each text by itself: (B Q, T, dim)
        x = x + self.drop(self.self_out(self._attend(*own, causal=True)).unflatten(0, (-1, n_texts)))
        asked = self.q(self.cross_norm(x)).flatten(1, 2)  # all texts of an image at once: (B, Q T, dim)
        seen = self._attend(asked, *self.kv(image).chunk(2, dim=-1), causal=False)
        x = x + self.drop(self.cross_out(seen).unflatten(1, (n_texts, -1)))
        return x + self.drop(self.feed(self.feed_norm(x)))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))  # (R, h, T, d)
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2)
