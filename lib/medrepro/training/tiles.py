"""A frozen description of histology tiles that needs no downloaded weights: colour and texture statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
N_STATISTICS = 3 * (len(_QUANTILES) + 2) + 3 * 3 * 2


def describe_tiles(images: NDArray[np.uint8], *, batch_size: int = 256) -> NDArray[np.float32]:
    """Statistics (n, 39) of tiles (n, H, W, 3): optical density per channel, and its contrast at three scales.

    Per channel: quantiles, mean and standard deviation of -log10 of transmitted light; then mean and standard
    deviation of the absolute difference to the pixel 1, 4 and 16 to the right. A weak extractor on purpose: it shows
    the aggregators on real texture, and any (n, d) array of a better extractor can take its place.
    Raises ValueError unless images are uint8 of at least 32 x 32 pixels.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or min(images.shape[1:3]) < 32:
        raise ValueError(f"images must be uint8 (n, H, W, 3), H and W >= 32, got {images.dtype} {images.shape}")
    parts = [_describe(images[start : start + batch_size]) for start in range(0, len(images), batch_size)]
    return np.concatenate(parts) if parts else np.empty((0, N_STATISTICS), np.float32)


def _describe(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    density = -np.log10((images.astype(np.float32) + 1.0) / 256.0)  # (n, H, W, 3)
    flat = density.reshape(len(density), -1, 3)
    found = [np.moveaxis(np.quantile(flat[:, ::7], _QUANTILES, axis=1), 0, 1), flat.mean(axis=1), flat.std(axis=1)]
    for step in (1, 4, 16):
        contrast = np.abs(density[:, :, step:] - density[:, :, :-step])
        found += [contrast.mean(axis=(1, 2)), contrast.std(axis=(1, 2))]
    return np.concatenate([part.reshape(len(images), -1) for part in found], axis=1).astype(np.float32)
