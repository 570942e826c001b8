"""The tasks of the whole-slide chapter at each preset, brought to one shape: bags to learn from, bags to test on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ..phantoms.slides import Slides, make_slides
from .bags import Bags, collect_bags
from .mil import macro_auc

# The first two tasks of a preset stand for the paper's two cohorts; a third runs only when it is asked for.
TASKS = {
    "embedded": ("two_class", "three_class", "neighbour"),
    "real": ("cardiomegaly", "effusion"),
    "open": ("tumour", "stroma"),
    "paper": ("nsclc", "rcc"),
}
SUBTYPES = {"nsclc": ("LUSC", "LUAD"), "rcc": ("KICH", "KIRP", "KIRC")}  # two classes: the last one is the positive


@dataclass(frozen=True, eq=False)
class MILTask:
    """One task: three parts that share no unit.

    unit: what is resampled ("slide", "report block", "patient"). evidence: for each test bag the patches that make
    its label, or None where nobody marked them. coords: places of the test patches (slides only). oracle (n, K):
    score on the test part of a reader who knows the evidence (phantom only).
    """

    name: str
    train: Bags
    val: Bags
    test: Bags
    unit: str
    evidence: list[NDArray[np.bool_]] | None = field(default=None, repr=False)
    coords: list[NDArray[np.int_]] | None = field(default=None, repr=False)
    oracle: NDArray[np.float64] | None = field(default=None, repr=False)

    @property
    def n_outputs(self) -> int:
        return self.train.labels.shape[1]

    @property
    def in_features(self) -> int:
        return int(self.train.features[0].shape[1])


def task_names(preset: str, wanted: str = "all") -> tuple[str, ...]:
    """Tasks to run; ValueError when `wanted` is not one of the preset's."""
    names = TASKS[preset]
    if wanted not in ("all", *names):
        raise ValueError(f"task must be one of all, {', '.join(names)} at preset {preset}, got {wanted!r}")
    return names if wanted == "all" else (wanted,)


def load_tasks(p: Any) -> dict[str, MILTask]:
    """The preset's tasks by name. p: the chapter's parameters; raises DataError when files are missing."""
    makers: dict[str, Callable[[Any, str], MILTask]] = {
        "embedded": phantom_task,
        "real": report_task,
        "open": tile_task,
        "paper": slide_task,
    }
    return {name: makers[p.preset](p, name) for name in task_names(p.preset, p.task)}


def summarise(tasks: Mapping[str, MILTask]) -> pd.DataFrame:
    """One row a task: bags of each part, patches, share of positives per class, independent units of the test part."""
    rows = {}
    for name, task in tasks.items():
        looked_at = [len(task.train.features[i]) for i in range(min(len(task.train), 300))]
        rows[name] = {
            **{f"{part} bags": len(getattr(task, part)) for part in ("train", "val", "test")},
            "patches a bag (median)": int(np.median(looked_at)),
            "features": task.in_features,
            "share of positives": " / ".join(f"{share:.2f}" for share in task.test.labels.mean(axis=0)),
            "test units": f"{len(np.unique(task.test.units))} {task.unit}s",
            "AUROC of the oracle": math.nan if task.oracle is None else macro_auc(task.test.labels, task.oracle),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("task")


def slide_bags(slides: Slides) -> Bags:
    """Phantom slides as bags, one slide a unit; their tiles already run row by row."""
    counts = slides.mask.sum(axis=1)
    tensors = [torch.from_numpy(slide[:n]) for slide, n in zip(slides.features, counts, strict=True)]
    return Bags(tensors, slides.labels, np.arange(len(slides)))


def phantom_task(p: Any, name: str) -> MILTask:
    """Stand-in slides with known truth: independent draws for training, validation and test."""
    train, val, test = (
        make_slides(
            n,
            name,  # type: ignore[arg-type]
            n_tiles=(p.tiles_min, p.tiles_max),
            tumour_fraction=p.tumour_fraction,
            signal_outside_mask=p.planted_opposite == "signal_outside_mask",
            seed=3 * p.seed + k,
        )
        for k, (_, n) in enumerate(_sizes(p))
    )
    counts = test.mask.sum(axis=1)
    return MILTask(
        name=name,
        train=slide_bags(train),
        val=slide_bags(val),
        test=slide_bags(test),
        unit="slide",
        evidence=[row[:n] for row, n in zip(test.tumour, counts, strict=True)],
        coords=[row[:n] for row, n in zip(test.coords, counts, strict=True)],
        oracle=test.oracle,
    )


def report_task(p: Any, name: str) -> MILTask:
    """Real chest radiograph reports: is one of a bag's reports about the finding? Tokens are embedded sentences."""
    from ..data.openi import distinct_sentences, load_reports
    from ..data.report_bags import make_bags
    from ..language.minilm import embed_sentences

    reports = load_reports()
    vectors = embed_sentences(distinct_sentences(reports), device=p.device)
    train, val, test = (
        make_bags(reports, vectors, name.capitalize(), n, split=split, seed=3 * p.seed + k)
        for k, (split, n) in enumerate(_sizes(p))
    )
    evidence = test.evidence
    if p.planted_opposite == "signal_outside_mask":
        pairs = enumerate(zip(test.report, evidence, strict=True))
        evidence = [_another_report(report, marked, index) for index, (report, marked) in pairs]
    return MILTask(name, _bags(train), _bags(val), _bags(test), unit="report block", evidence=evidence)


def tile_task(p: Any, name: str) -> MILTask:
    """Virtual slides of real histology tiles; test tiles come from another centre than training tiles."""
    from ..data.pathmnist_bags import make_bags, read_tiles
    from .tiles import describe_tiles

    parts = []
    for k, (split, n) in enumerate(_sizes(p)):
        images, tissues = read_tiles(split, p.tiles_per_class, seed=p.seed)
        part = make_bags(
            describe_tiles(images),
            tissues,
            n,
            task=name,  # type: ignore[arg-type]
            fraction=p.tumour_fraction,
            tiles_per_bag=(p.tiles_min, p.tiles_max),
            seed=3 * p.seed + k,
        )
        parts.append(part)
    train, val, test = (_bags(part) for part in parts)
    return MILTask(name, train, val, test, unit="tile block", evidence=parts[2].evidence)


def slide_task(p: Any, name: str) -> MILTask:
    """The user's own slide features and fold table, read from disk slide by slide as they are needed."""
    from ..data import locate
    from ..data.slide_features import read_fold

    table = read_fold(locate(f"tcga_{name}"), p.fold, SUBTYPES[name])
    one_hot = np.eye(len(SUBTYPES[name]), dtype=np.float32)[table["label"]]
    labels = one_hot if one_hot.shape[1] > 2 else one_hot[:, 1:]
    everything = Bags(SlidesOnDisk(list(table["path"])), labels, table["patient_id"].to_numpy())
    train, val, test = (everything.subset(np.flatnonzero(table["split"] == part)) for part in ("train", "val", "test"))
    return MILTask(name, train, val, test, unit="patient")


class SlidesOnDisk(Sequence[NDArray[np.float32]]):
    """Features of slides, each read when it is asked for: a cohort does not fit into memory."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        from ..data.slide_features import read_slide

        return read_slide(self.paths[index])[0]


def _sizes(p: Any) -> tuple[tuple[Literal["train", "val", "test"], int], ...]:
    return ("train", p.n_train), ("val", p.n_val), ("test", p.n_test)


def _bags(part: Any) -> Bags:
    return collect_bags(part.features, part.labels, units=part.block)


def _another_report(report: NDArray[np.int64], evidence: NDArray[np.bool_], index: int) -> NDArray[np.bool_]:
    """The sentences of another report of the bag, as the wrong place of the evidence."""
    if not evidence.any():
        return evidence
    others = np.unique(report[~evidence])
    return report == others[index % len(others)]
