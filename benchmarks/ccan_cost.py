"""Seconds of a training step of CCAN against self-attention and the other aggregators as a bag grows.

    python benchmarks/ccan_cost.py [--lengths 256 512 ... 16384] [--device cpu] [--threads 1] [--preset embedded]

Forward and backward on one random bag, one warm-up, median of five. Comparators by name: self-attention over all
patches with PyTorch's fused kernel ("full, fused") and with the attention matrix stored ("full, stored", up to 4,096
patches), and the arms of chapter 34 at the preset's widths. Prints seconds, the log-log slope of the last two lengths,
and the length at which CCAN becomes cheaper than fused self-attention. Ends with code 1 when CCAN's slope exceeds 1.2.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch
from torch import Tensor, nn

from medrepro.models.full_attention import FullAttentionMIL
from medrepro.study.card import load_card
from medrepro.training.arms import Size, make_arm
from medrepro.training.cost import local_slopes, measure_seconds

LONGEST_STORED = 4096
MOST = 1.2  # the longest lengths of a laptop still carry some constant cost below a slope of 1, never above


class StoredAttention(FullAttentionMIL):
    """The same transformer with the N x N attention matrix in memory."""

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        x = torch.cat([self.cls.expand(len(features), -1, -1), self.embed(features)], dim=1)
        for attention, feed_forward in zip(self.attentions, self.feed_forwards, strict=True):
            x = x + attention(x, need_weights=True)[0]
            x = x + feed_forward(x)
        return self.head(x[:, 0]).unsqueeze(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 512, 1024, 2048, 4096, 8192, 16384])
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--preset", default="embedded", choices=["embedded", "real", "open", "paper"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    values = load_card("34_ccan").parameters.resolve(chosen.preset)
    size = Size(**{name: values[name] for name in Size.__dataclass_fields__})
    wide = max(2, size.latent_dim // 64)

    def stored() -> nn.Module:
        return StoredAttention(chosen.features, dim=size.latent_dim, heads=wide, dim_head=size.latent_dim // wide)

    names = ("ccan", "perceiver", "transmil", "abmil", "mean")
    builds = {name: make_arm(name, chosen.features, 1, size) for name in names}
    builds |= {"full, fused": make_arm("full", chosen.features, 1, size), "full, stored": stored}
    lengths = sorted(chosen.lengths)
    seconds = {}
    print(f"{'patches':14}" + "".join(f"{n:>10,}" for n in lengths) + f"{'slope':>8}")
    for name, build in builds.items():
        possible = [n for n in lengths if name != "full, stored" or n <= LONGEST_STORED]
        seconds[name] = measure_seconds(build, possible, chosen.features, repeats=5, device=chosen.device, seed=0)
        cells = "".join(f"{1e3 * s:>8.1f}ms" for s in seconds[name]) + " " * 10 * (len(lengths) - len(possible))
        print(f"{name:14}{cells}{local_slopes(possible, seconds[name])[-1]:>8.2f}", flush=True)
    cheaper = [n for n, a, b in zip(lengths, seconds["ccan"], seconds["full, fused"], strict=True) if a < b]
    print(
        f"CCAN is cheaper than fused self-attention from {cheaper[0]:,} patches" if cheaper else "CCAN is never cheaper"
    )
    slope = float(np.max(local_slopes(lengths, seconds["ccan"])[-2:]))
    print(f"slope of CCAN {slope:.2f}, limit {MOST}")
    return int(slope > MOST)


if __name__ == "__main__":
    sys.exit(main())
