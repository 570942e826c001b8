"""Bags of report sentences: a search for one report with a finding among others, with a known place.

A bag joins the sentences of several reports; it is positive when exactly one of them has the finding. Reports, not
bags, are independent, and one report is used in many bags. In the validation and the test part reports are therefore
dealt into blocks, and a bag takes its reports from one block only: bags of different blocks share no report, so that
resampling blocks (`block` as units) is an honest interval.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .openi import FINDINGS, distinct_sentences, report_sentences

Split = Literal["train", "val", "test"]
# Reports behind the bags: 2,600 for training and choosing, 1,226 for testing.
SIZES = {"test": 1226, "val": 400}
_SALT = "report bags"  # of the fixed split; another word is another split


@dataclass(frozen=True)
class ReportBags:
    """Bags for multiple-instance learning.

    features: one (n_i, d) float32 array a bag, a row a sentence. labels (n,): 1 when one report has the finding.
    report: one (n_i,) array a bag, the row number of the sentence's report in the table that was given.
    evidence: one (n_i,) bool array a bag, True for the sentences of the report with the finding.
    block (n,): the independent unit in the validation and the test part, -1 in training.
    """

    features: list[NDArray[np.float32]]
    labels: NDArray[np.int64]
    report: list[NDArray[np.int64]]
    evidence: list[NDArray[np.bool_]]
    block: NDArray[np.int64]
    finding: str

    def __len__(self) -> int:
        return len(self.labels)


def split_reports(reports: pd.DataFrame) -> NDArray[np.str_]:
    """Part of each report, "train", "val" or "test": fixed by a hash of its text, whatever the seed.

    Reports with the same text are always in the same part. With the full table the parts have 2,200, 400 and 1,226.
    """
    texts = reports["findings"] + "\n" + reports["impression"]
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        groups.setdefault(hashlib.sha256(f"{_SALT}\n{text}".encode()).hexdigest(), []).append(row)
    part = np.full(len(reports), "train", dtype="<U5")
    share = len(reports) / 3826  # a smaller table keeps the proportions
    for name, size in SIZES.items():
        left = round(size * min(share, 1.0))
        for digest in sorted(groups):
            rows = groups[digest]
            if len(rows) <= left:
                part[rows] = name
                left -= len(rows)
                del groups[digest]
    return part


def make_bags(
    reports: pd.DataFrame,
    embeddings: ArrayLike,
    finding: str,
    n_bags: int,
    *,
    reports_per_bag: int = 20,
    split: Split = "train",
    seed: int,
) -> ReportBags:
    """Bags of one part, half of them positive, in random order.

    reports: table of `load_reports`. embeddings (m, d): a row for each of `distinct_sentences(reports)`.
    finding: one of FINDINGS. n_bags: even. seed draws the bags; which reports are in the part does not depend on it.
    Each report with the finding is used equally often (give or take one bag).
    Raises ValueError on unknown findings and parts, shapes that do not fit, and too few reports.
    """
    if finding not in FINDINGS:
        raise ValueError(f"finding must be one of {', '.join(FINDINGS)}, got {finding!r}")
    if split not in ("train", "val", "test"):
        raise ValueError(f"split must be train, val or test, got {split!r}")
    if n_bags < 2 or n_bags % 2:
        raise ValueError(f"n_bags must be an even number >= 2, got {n_bags}")
    if reports_per_bag < 2:
        raise ValueError(f"reports_per_bag must be >= 2, got {reports_per_bag}")
    distinct, sentences = distinct_sentences(reports), report_sentences(reports)
    vectors = np.asarray(embeddings, dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(distinct):
        raise ValueError(f"embeddings must have shape ({len(distinct)}, d), got {vectors.shape}")
    place = {sentence: row for row, sentence in enumerate(distinct)}
    rows = [np.array([place[sentence] for sentence in part], dtype=np.int64) for part in sentences]
    rng = np.random.default_rng(seed)

    positive = reports[finding].to_numpy() == 1
    members = np.flatnonzero(split_reports(reports) == split)
    blocks = _deal(members, positive, 1 if split == "train" else max(1, len(members) // (2 * reports_per_bag)))
    short = min(int((~positive[block]).sum()) for block in blocks)
    if short < reports_per_bag or not positive[members].any():
        raise ValueError(
            f"split {split!r} must hold reports with {finding} and {reports_per_bag} without it in every block, "
            f"got {int(positive[members].sum())} with it and at least {short} without"
        )
    home = {int(report): b for b, block in enumerate(blocks) for report in block[positive[block]]}
    targets = _cycle(np.array(sorted(home)), n_bags // 2, rng)
    made = [(home[int(t)], int(t)) for t in targets]
    made += [(int(b), -1) for b in _cycle(np.arange(len(blocks)), n_bags // 2, rng)]

    bags = []
    for where, target in (made[i] for i in rng.permutation(n_bags)):
        others = blocks[where][~positive[blocks[where]]]
        chosen = rng.choice(others, reports_per_bag - (target >= 0), replace=False)
        chosen = rng.permutation(np.append(chosen, target) if target >= 0 else chosen)
        report = np.repeat(chosen, [len(rows[r]) for r in chosen])
        bags.append((vectors[np.concatenate([rows[r] for r in chosen])], target >= 0, report, report == target, where))
    features, labels, report_of, evidence, block = zip(*bags, strict=True)
    return ReportBags(
        features=list(features),
        labels=np.array(labels, dtype=np.int64),
        report=list(report_of),
        evidence=list(evidence),
        block=np.full(n_bags, -1) if split == "train" else np.array(block, dtype=np.int64),
        finding=finding,
    )


def _deal(members: NDArray[np.int64], positive: NDArray[np.bool_], n_blocks: int) -> list[NDArray[np.int64]]:
    """Reports dealt out in turn, those with the finding first, so that blocks are alike; the same for every seed."""
    order = np.concatenate([members[positive[members]], members[~positive[members]]])
    return [order[start::n_blocks] for start in range(n_blocks)]


def _cycle(values: NDArray[np.int64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Each value equally often, in random order within each round."""
    rounds = [rng.permutation(values) for _ in range(-(-size // len(values)))]
    return np.concatenate(rounds)[:size]
