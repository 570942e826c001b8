"""Area under the ROC curve with DeLong intervals: one model, paired models, unpaired samples.

One construction serves all of them, and several labels (`multilabel`). For positives i and negatives j the placement
values are V10(i) = share of negatives scored below i (ties count one half) and V01(j) = share of positives scored
above j (DeLong, DeLong & Clarke-Pearson, Biometrics 1988). Their centred sums per cluster,
a(g) = sum (V10 - AUC) / n_pos and b(g) = sum (V01 - AUC) / n_neg, give the covariance of Obuchowski
(Biometrics 1997),

    c10 * sum a a' + c01 * sum b b' + c11 * sum (a b' + b a'),       c = I / (I - 1),

with I the clusters that hold a positive (c10), a negative (c01) or any case (c11). With one case per cluster the
mixed term vanishes and DeLong's covariance is left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, hyp2f1, ndtri, stdtr, stdtrit

from ._inputs import (
    BoolArray,
    Clusters,
    FloatArray,
    IntArray,
    binary_labels,
    check_length,
    check_level,
    join_notes,
    make_clusters,
    real_array,
    two_sided_normal,
)
from .results import Comparison, Estimate

PERFECT = "perfect separation: the estimated variance is 0, the interval has no width and does not show uncertainty"
CONSTANT = "no variation in the placement values: the interval has no width and does not show uncertainty"
PIECE = 2**15  # cases handled at once: their temporary arrays stay in the cache
SAME_RANKING = "the two models rank every case alike: difference 0, test undefined"
NO_VARIANCE = "the estimated variance of the difference is 0: interval without width, test undefined"


def auroc(y_true: ArrayLike, y_score: ArrayLike, *, units: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Area under the ROC curve with its DeLong interval.

    y_true (n,): 0 or 1. y_score (n,): higher means more positive; the direction is never flipped, ties count one half.
    units (n,): cluster of each case (several images of a patient); the interval is then Obuchowski's (1997).
    The interval is value +- z * SE cut to [0, 1], which is what pROC reports by default.
    A missing class gives nan; fewer than two positive or negative units give a value without interval; perfect
    separation gives an interval without width. Each is named in `note`.
    Raises ValueError on other labels, nan scores, unequal lengths and a level outside (0, 1).
    """
    positive, score = one_score(y_true, y_score, names=("y_true", "y_score"))
    return delong(positive, score, units=units, level=level).estimate(0)


def delong(y_true: ArrayLike, scores: ArrayLike, *, units: ArrayLike | None = None, level: float = 0.95) -> DeLong:
    """AUCs of several models on the same cases with their joint covariance.

    y_true (n,): 0 or 1. scores (K, n), or (n,) for one model. units (n,): clusters, as in `auroc`.
    O(n log n) per model; scores are sorted once in their own dtype, ranks and sums are float64. From two models on,
    without units and ties, the work takes less than 20 bytes a case and model beyond the arguments.
    Raises ValueError as `auroc` does.
    """
    level = check_level(level)
    positive, scores = paired_scores(y_true, scores)
    clusters = None if units is None else make_clusters(positive.size, units)
    aucs, roots, note = components(positive, scores, clusters)
    return DeLong(
        aucs=aucs,
        covariance=roots @ roots.T,
        level=level,
        n=positive.size if clusters is None else clusters.count,
        unit="case" if clusters is None else clusters.unit,
        n_pos=int(positive.sum()),
        n_neg=int((~positive).sum()),
        method="DeLong" if units is None else "DeLong, clustered (Obuchowski 1997)",
        note=note,
        roots=roots,
    )


@dataclass(frozen=True, eq=False)
class DeLong:
    """AUCs of K models on the same cases: aucs (K,), covariance (K, K), and what they were computed from.

    n: independent units, named by `unit`. roots (K, m): a matrix with covariance = roots @ roots.T; the variance of a
    difference is taken from it, so that it is exactly 0 for models that rank alike and keeps its digits otherwise.
    """

    aucs: FloatArray
    covariance: FloatArray
    level: float
    n: int
    unit: str
    n_pos: int
    n_neg: int
    method: str
    note: str = ""
    roots: FloatArray = field(repr=False, default_factory=lambda: np.empty((0, 0)))

    def estimate(self, i: int = 0) -> Estimate:
        """AUC of model i with its interval."""
        i = check_index("i", i, self.aucs.size)
        return self._estimate(self.aucs[i], float(self.covariance[i, i]))

    def compare(self, i: int, j: int) -> Comparison:
        """Paired difference AUC(i) - AUC(j) with its interval and DeLong's z test.

        Models that rank all cases alike have difference 0 and variance 0: statistic and p value are nan, see `note`.
        """
        i, j = check_index("i", i, self.aucs.size), check_index("j", j, self.aucs.size)
        root = self.roots[i] - self.roots[j]
        return z_comparison(float(self.aucs[i] - self.aucs[j]), float(root @ root), self._about())

    def _estimate(self, value: float, variance: float) -> Estimate:
        about = self._about()
        if variance == 0:
            about["note"] = join_notes(about["note"], PERFECT if value in (0.0, 1.0) else CONSTANT)
        return wald(float(value), variance, about, bounds=(0.0, 1.0))

    def _about(self) -> dict[str, Any]:
        names = ("level", "n", "unit", "method", "note", "n_pos", "n_neg")
        return {name: getattr(self, name) for name in names}


def delong_unpaired(
    y_a: ArrayLike,
    score_a: ArrayLike,
    y_b: ArrayLike,
    score_b: ArrayLike,
    *,
    units_a: ArrayLike | None = None,
    units_b: ArrayLike | None = None,
    level: float = 0.95,
) -> Comparison:
    """Difference of the AUCs (a minus b) of two samples that share no case.

    y_a, score_a (n_a,) and y_b, score_b (n_b,) as in `auroc`; units_a, units_b: clusters within each sample.
    Welch's t with Satterthwaite's degrees of freedom over the two DeLong variances, as pROC's unpaired roc.test.
    n, n_pos and n_neg count both samples. Undefined parts are nan with a note.
    Raises ValueError as `auroc` does.
    """
    level = check_level(level)
    a = delong(*one_score(y_a, score_a, names=("y_a", "score_a")), units=units_a, level=level)
    b = delong(*one_score(y_b, score_b, names=("y_b", "score_b")), units=units_b, level=level)
    var_a, var_b = float(a.covariance[0, 0]), float(b.covariance[0, 0])
    difference, variance = float(a.aucs[0] - b.aucs[0]), var_a + var_b
    note = join_notes(*(f"{name}: {s.note}" for name, s in (("a", a), ("b", b)) if s.note))
    method = "unpaired DeLong, Welch t"
    if variance == 0:
        note = join_notes(note, NO_VARIANCE)
    about: dict[str, Any] = {
        "level": level,
        "n": a.n + b.n,
        "unit": a.unit if a.unit == b.unit else "unit",
        "method": method,
        "note": note,
        "n_pos": a.n_pos + b.n_pos,
        "n_neg": a.n_neg + b.n_neg,
    }
    if not variance > 0:
        return Comparison(wald(difference, variance, about), math.nan, math.nan, math.nan, method)
    df = variance**2 / (var_a**2 / (a.n - 1) + var_b**2 / (b.n - 1))
    half = float(stdtrit(df, 0.5 + level / 2)) * math.sqrt(variance)
    t = difference / math.sqrt(variance)
    estimate = Estimate(difference, difference - half, difference + half, **about)
    return Comparison(estimate, t, *_two_sided_t(t, df), method)


def paired_scores(
    y_true: ArrayLike, scores: ArrayLike, *, names: tuple[str, str] = ("y_true", "scores")
) -> tuple[BoolArray, NDArray[Any]]:
    """Labels (n,) as booleans and scores as (K, n); ValueError on shapes, labels and nan, with the caller's names."""
    labels_name, scores_name = names
    positive = binary_labels(labels_name, y_true)
    array = real_array(scores_name, scores, ndim=(1, 2))
    array = array[None] if array.ndim == 1 else array
    if array.shape[0] == 0:
        raise ValueError(f"{scores_name} must hold at least one model, got shape {array.shape}")
    check_length(scores_name, array.shape[1], positive.size, labels_name)
    return positive, array


def one_score(y_true: ArrayLike, score: ArrayLike, *, names: tuple[str, str]) -> tuple[BoolArray, NDArray[Any]]:
    """Labels (n,) as booleans and one model's score (n,); errors as in `paired_scores`."""
    positive, scores = paired_scores(y_true, real_array(names[1], score, ndim=(1,)), names=names)
    return positive, scores[0]


def tie_bounds(score: NDArray[Any]) -> tuple[IntArray, IntArray, IntArray]:
    """Cases in ascending order of score, and for each of them the first and past-the-last place of its tie group.

    Returns order, first, last, each (n,): order[first[p]:last[p]] are the cases tied with order[p].
    """
    order = np.argsort(score, kind="stable")
    starts, sizes = _ties(score[order])
    if not starts.size:
        first = np.arange(score.size)
        return order, first, first + 1
    return order, np.repeat(starts, sizes), np.repeat(starts + sizes, sizes)


def _ties(ranked: NDArray[Any]) -> tuple[IntArray, IntArray]:
    """First places and sizes of all groups of equal scores, of single ones too; both empty when nothing is tied."""
    new = ranked[1:] != ranked[:-1]
    if new.all():
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    starts = np.flatnonzero(np.concatenate(([True], new)))
    return starts, np.diff(np.append(starts, ranked.size))


def placements(positive: BoolArray, score: NDArray[Any]) -> FloatArray:
    """Placement value of each case (n,): V10 for positives, V01 for negatives; both classes must be present."""
    values = np.empty(positive.size)
    for cases, _, of_cases in _placements(positive, score)[1]:
        values[cases] = of_cases
    return values


def _placements(
    positive: BoolArray, score: NDArray[Any]
) -> tuple[float, Iterator[tuple[IntArray, BoolArray, FloatArray]]]:
    """AUC, and in pieces: cases in ascending order of score, whether they are positive, their placement values.

    All counts are whole numbers, so that neither the order within a tie group nor that of summation matters, and the
    AUC is the correctly rounded quotient. Pieces keep temporary arrays small and in the processor's cache.
    """
    n = positive.size
    whole = np.int32 if n < 2**30 else np.int64
    order = np.argsort(score)
    is_positive = positive[order]
    starts, sizes = _ties(score[order])
    below: NDArray[Any] = np.cumsum(~is_positive, dtype=whole)  # negatives up to and including each place
    n_neg = int(below[-1])
    n_pos = n - n_neg
    # Twice the negatives below a case, where a tied one counts one half: the sum of both ends of its tie group.
    if starts.size:
        up_to = below[starts + sizes - 1]
        below = np.repeat(up_to + np.concatenate(([0], up_to[:-1])).astype(whole), sizes)
    else:
        below = 2 * below - ~is_positive
    pairs = int(below[is_positive].sum(dtype=np.int64))

    def pieces() -> Iterator[tuple[IntArray, BoolArray, FloatArray]]:
        # Likewise twice the cases below: 2 p + 1 at place p where nothing is tied.
        middles = np.repeat((2 * starts + sizes).astype(whole), sizes)
        for start in range(0, n, PIECE):
            part = slice(start, min(start + PIECE, n))
            middle = middles[part] if middles.size else np.arange(2 * part.start + 1, 2 * part.stop, 2)
            values = below[part] / (2.0 * n_neg)
            np.subtract(1.0, (middle - below[part]) / (2.0 * n_pos), out=values, where=~is_positive[part])
            yield order[part], is_positive[part], values

    return pairs / (2 * n_pos * n_neg), pieces()


def components(
    positive: BoolArray,
    scores: NDArray[Any],
    clusters: Clusters | None,
    *,
    known: BoolArray | None = None,
    split: bool = False,
) -> tuple[FloatArray, FloatArray, str]:
    """AUCs (K,), roots (K, m) with covariance = roots @ roots.T, and a note on what is undefined.

    clusters: None when every case is its own. known (n,): cases of the clusters that positive and scores refer to;
    all by default.
    With a = a(g), b = b(g) of the module text the covariance is c11 (a+b)(a+b)' + (c10-c11) aa' + (c01-c11) bb'.
    Every factor is >= 0 because a class is never in more clusters than there are. split keeps these three parts
    side by side (m = 3 * clusters), as a covariance between labels needs it; with single-case clusters and one label
    the cheaper form m = n is used.
    """
    n_pos = int(positive.sum())
    n_neg = positive.size - n_pos
    if clusters is None:
        count, kind, pos_units, neg_units = positive.size, "case", n_pos, n_neg
    else:
        codes = clusters.codes if known is None else clusters.codes[known]
        count, kind = clusters.count, clusters.unit
        pos_units, neg_units = np.unique(codes[positive]).size, np.unique(codes[~positive]).size
    single = clusters is None or (count == clusters.codes.size and not split)
    width = count if single else 3 * count
    if n_pos == 0 or n_neg == 0:
        missing = "positive" if n_pos == 0 else "negative"
        nothing = np.full(len(scores), math.nan)
        return nothing, np.full((len(scores), width), math.nan), f"no {missing} case: AUC undefined"
    interval = pos_units > 1 and neg_units > 1
    c10, c01 = (units / (units - 1) if interval else math.nan for units in (pos_units, neg_units))
    of_positive, of_negative = (math.sqrt(c10), math.sqrt(c01)) if single else (1.0, 1.0)

    def fill(row: FloatArray, score: NDArray[Any]) -> float:
        auc, pieces = _placements(positive, score)
        for cases, is_positive, values in pieces:
            shares = (values - auc) / np.where(is_positive, float(n_pos), float(n_neg))
            row[cases] = shares * np.where(is_positive, of_positive, of_negative)
        return auc  # and with it ends what this model's ranks occupied

    centred = np.empty((len(scores), positive.size))
    aucs = np.array([fill(row, score) for row, score in zip(centred, scores, strict=True)])
    if not interval:
        few = "positive" if pos_units < 2 else "negative"
        return aucs, np.full((len(scores), width), math.nan), f"a single {few} {kind}: no interval"
    if clusters is None or single:
        return aucs, centred, ""
    per_class = np.zeros((2, len(scores), clusters.codes.size))
    where = np.arange(clusters.codes.size) if known is None else np.flatnonzero(known)
    per_class[0][:, where[positive]] = centred[:, positive]
    per_class[1][:, where[~positive]] = centred[:, ~positive]
    a, b = clusters.sums(per_class)
    n_units = np.unique(codes).size
    c11 = n_units / (n_units - 1)
    # Rounding can leave c10 - c11 a hair below 0 when every cluster holds both classes.
    parts = (math.sqrt(c11) * (a + b), math.sqrt(max(c10 - c11, 0.0)) * a, math.sqrt(max(c01 - c11, 0.0)) * b)
    return aucs, np.concatenate(parts, axis=1), ""


def check_index(name: str, index: int, size: int) -> int:
    """The index itself; ValueError unless 0 <= index < size."""
    if isinstance(index, bool) or not isinstance(index, int | np.integer) or not 0 <= index < size:
        raise ValueError(f"{name} must be between 0 and {size - 1}, got {index!r}")
    return int(index)


def wald(
    value: float, variance: float, about: dict[str, Any], bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Estimate:
    """value +- z * sqrt(variance), cut to bounds; about holds the other fields of the Estimate, level among them."""
    if math.isnan(value) or math.isnan(variance):
        return Estimate(value, math.nan, math.nan, **about)
    half = float(ndtri(0.5 + about["level"] / 2)) * math.sqrt(variance)
    return Estimate(value, max(value - half, bounds[0]), min(value + half, bounds[1]), **about)


def z_comparison(difference: float, variance: float, about: dict[str, Any]) -> Comparison:
    """A difference with its Wald interval and z test; with variance 0 the test is nan and the note says why."""
    method = f"{about['method']}, z test"
    if variance == 0:
        about = {**about, "note": join_notes(about["note"], SAME_RANKING if difference == 0 else NO_VARIANCE)}
    estimate = wald(difference, variance, about)
    z = difference / math.sqrt(variance) if variance > 0 else math.nan
    return Comparison(estimate, z, *two_sided_normal(z), method)


def _two_sided_t(t: float, df: float) -> tuple[float, float]:
    """Two-sided p value of Student's t and its decimal logarithm."""
    p = 2.0 * float(stdtr(df, -abs(t)))
    if p > 1e-200:
        return p, math.log10(p)
    # p = I_x(df/2, 1/2) with x = df / (df + t^2), written with its leading power taken out so that it cannot underflow.
    a, x = df / 2.0, df / (df + t * t)
    log_p = a * math.log(x) - math.log(a) - float(betaln(a, 0.5)) + math.log(float(hyp2f1(a, 0.5, a + 1.0, x)))
    return p, log_p / math.log(10.0)
