"""Every public function of the statistics refuses wrong input by name: one wrong argument in a call that works.

For each function the table holds arguments that work and, argument by argument, values that must be refused. Arguments
that many functions share (level, seed, n_boot, units, strata, method) are added from COMMON. A public function without
an entry fails the first test.
"""

import importlib
import inspect
import math
import pkgutil
import re

import numpy as np
import pandas as pd
import pytest

from medrepro import stats
from medrepro.stats import Estimate, entropy, fairness, generative, privacy, rejection, retrieval, segmentation

# Modules that are used by their name (fairness.group_metric): all their functions are public.
NAMESPACES = ("entropy", "fairness", "generative", "privacy", "rejection", "retrieval", "segmentation")
# Modules that only serve others.
INTERNAL = ("contrasts", "mixed_contrasts", "mixed_design", "sums")

NAN, INF = math.nan, math.inf
Y, S = [0, 1, 0, 1, 1, 0], [0.1, 0.4, 0.35, 0.8, 0.7, 0.2]
A, B = [1.0, 2.5, 3.0, 4.5], [2.0, 1.0, 3.5, 0.5]
GRADES = [[1, 2], [2, 2], [3, 1], [1, 1]]
G = ["f", "f", "m", "m", "f", "m"]
FEATURES, OTHER = (np.random.default_rng(k).normal(size=(12, 2)) for k in (0, 1))
IMAGE = np.random.default_rng(0).random((180, 180))
MASK = np.zeros((3, 4, 5), dtype=bool)
MASK[1, 1:3, 1:4] = True
TWO = np.array([S, S[::-1]])
READS = pd.DataFrame({"time": [1.0, 2.0, 4.0, 3.5, 2.5, 5.0, 3.0, 6.0] * 3, "mode": [0, 1] * 12})
READS["reader"] = np.repeat(list("abcdef"), 4)
READS["time"] += np.arange(24) % 7 / 5
DIFFERENCE = Estimate(0.1, -0.2, 0.4, 0.95, n=10)

TRUTH = [[], [0, 1, 2, 1, 1, 0], [0, NAN, 0, 1, 1, 0], [[0, 1]], ["x"] * 6]
SCORE = [[], [0.1, 0.2], [0.1, NAN, 0.3, 0.4, 0.5, 0.6], ["x"] * 6]
PROBABILITY = [*SCORE, [0.1, 0.4, 0.35, 1.8, 0.7, 0.2], [0.1, 0.4, 0.35, INF, 0.7, 0.2]]
SAMPLE = [[], [1.0, NAN, 2.0, 3.0], [1.0, INF, 2.0, 3.0], [[1.0, 2.0]], ["x"] * 4]
PAIRED = [*SAMPLE, [1.0, 2.0]]
RATINGS = [[], [1, 2, 3], [[1], [2], [3], [4]], [[NAN, NAN], [NAN, NAN]], [[1, NAN], [NAN, 2]]]
COMMON = {
    "level": [95, 0, 1, NAN, "high"],
    "seed": [-1, 1.5, "0", True],
    "n_boot": [0, 1, 2.5],
    "units": [[1], [[1, 2]], [NAN] * 12],
    "strata": [[1]],
    "method": ["studentised"],
}
BOOTSTRAP = ("n_boot", "seed", "method")

# What a message may call an argument instead of its own name.
CALLED = {
    (stats.category_counts, "categories"): "ratings",  # ratings outside the categories: either may be wrong
    (stats.cohen_kappa, "categories"): "a, b",
    (stats.gwet_ac1, "categories"): "ratings",
    (stats.pairwise_kappa, "categories"): "ratings",
}


def arrays(function, *, first, name):
    """A function that takes its data as *arrays, called with one of them under a name."""

    def call(array, **others):
        return function(first, array, **others)

    call.__signature__ = inspect.signature(function)
    CALLED[call, "array"] = name
    return call


def with_predictions(y_true, predictions, **others):
    return stats.two_level_mean(accuracy, y_true, predictions, **others)


with_predictions.__signature__ = inspect.signature(stats.two_level_mean)


def mean(values):
    return float(np.mean(values))


def accuracy(y, s):
    return float(np.mean((np.asarray(s) > 0.5) == y))


group_metric = arrays(fairness.group_metric, first=mean, name="array 0")
boot, replicates, boot_test = (
    arrays(f, first=mean, name="array 0")
    for f in (stats.bootstrap, stats.bootstrap_replicates, stats.bootstrap_test)
)  # fmt: skip

# name: (function, arguments that work, wrong values by argument)
TABLE = {
    "adjust_p": (stats.adjust_p, {"p": [0.1, 0.2]}, {"p": [[1.5], [-0.1], [[0.1]]], "method": ["none"]}),
    "auroc": (stats.auroc, {"y_true": Y, "y_score": S}, {"y_true": TRUTH, "y_score": SCORE}),
    "average_precision": (
        stats.average_precision,
        {"y_true": Y, "y_score": S, "seed": 0},
        {"y_true": TRUTH, "y_score": SCORE},
    ),
    "bland_altman": (stats.bland_altman, {"a": A, "b": B}, {"a": PAIRED, "b": PAIRED, "coverage": [95, 0, "wide"]}),
    "bootstrap": (boot, {"array": A, "seed": 0}, {"array": [[], 1.0]}),
    "bootstrap_auroc": (
        stats.bootstrap_auroc,
        {"y_true": Y, "scores": S, "seed": 0},
        {"y_true": TRUTH, "scores": SCORE},
    ),
    "bootstrap_estimate": (
        stats.bootstrap_estimate,
        {"value": 1.0, "replicates": [0.5, 1.0, 1.5], "n": 3},
        {"replicates": [[[1, 2]]], "n": [-1], "seed": []},  # the seed is recorded only
    ),
    "bootstrap_p_value": (
        stats.bootstrap_p_value,
        {"value": 1.0, "replicates": [0.5, 1.0, 1.5]},
        {"rule": ["median"]},
    ),
    "bootstrap_replicates": (replicates, {"array": A, "seed": 0}, {"array": [[], 1.0]}),
    "bootstrap_test": (boot_test, {"array": A, "seed": 0}, {"rule": ["both"]}),
    "brier_score": (stats.brier_score, {"y_true": Y, "prob": S}, {"y_true": TRUTH, "prob": PROBABILITY}),
    "category_counts": (
        stats.category_counts,
        {"ratings": GRADES},
        {"ratings": RATINGS[:4], "categories": [[1, 2], [1, 1, 2, 3], []]},
    ),
    "cliffs_delta": (stats.cliffs_delta, {"a": A, "b": B}, {"a": SAMPLE[:2], "b": [[], ["x"], [NAN]]}),
    "cohen_d": (stats.cohen_d, {"a": A, "b": B}, {"a": SAMPLE, "b": SAMPLE}),
    "cohen_kappa": (
        stats.cohen_kappa,
        {"a": [1, 2, 2, 1], "b": [1, 2, 1, 1]},
        {
            "a": [[], [[1, 2]], [1, NAN, 2, 1], [1, 2]],
            "b": [[1, 2], [[1]], [None, 1, 2, 1]],
            "weights": ["cubic", [[1]], -np.ones((2, 2))],
            "categories": [[1], [1, 1, 2]],
        },
    ),
    "correlation": (stats.correlation, {"a": A, "b": B}, {"a": PAIRED, "b": PAIRED, "kind": ["phi"]}),
    "delong": (stats.delong, {"y_true": Y, "scores": S}, {"y_true": TRUTH, "scores": SCORE}),
    "delong_unpaired": (
        stats.delong_unpaired,
        {"y_a": Y, "score_a": S, "y_b": Y, "score_b": S},
        {"y_a": TRUTH, "score_a": SCORE, "y_b": TRUTH, "score_b": SCORE},
    ),
    "demographic_parity_difference": (
        fairness.demographic_parity_difference,
        {"y_pred": Y, "groups": G, "seed": 0},
        {"y_pred": TRUTH, "groups": [[], ["f"], [[1]], [None] * 6]},
    ),
    "density_coverage": (
        generative.density_coverage,
        {"real": FEATURES, "generated": OTHER},
        {"real": [[], [[NAN, 1.0]], [1.0]], "generated": [FEATURES[:, :1], [[INF, 1.0]]], "k": [0, 1.5, 12]},
    ),
    "discrete_semantic_entropy": (
        entropy.discrete_semantic_entropy,
        {"meanings": [0, 0, 1]},
        {"meanings": [[], [[1]], [None, 1]], "base": [1, 0, -2]},
    ),
    "epsilon": (
        privacy.epsilon,
        {"noise_multiplier": 1.0, "sample_rate": 1.0, "steps": 1, "delta": 1e-5},
        {
            "noise_multiplier": [-1, 0.001, NAN, INF, "1"],
            "sample_rate": [-0.1, 1.1, NAN, "1"],
            "steps": [-1, 1.5, True],
            "delta": [0, 1, NAN, "small"],
        },
    ),
    "equalized_odds_difference": (
        fairness.equalized_odds_difference,
        {"y_true": Y, "y_pred": Y, "groups": G, "seed": 0},
        {"y_true": TRUTH, "y_pred": TRUTH, "groups": [[], ["f"], [None] * 6]},
    ),
    "equivalence": (
        stats.equivalence,
        {"a": A, "b": B, "margin": 1.0, "paired": True},
        {"a": PAIRED, "b": PAIRED, "margin": [0, -1, INF, (1, 0), (1, 2, 3), "small"]},
    ),
    "equivalence_of": (
        stats.equivalence_of,
        {"difference": DIFFERENCE, "margin": 1.0},
        {"margin": [0, -1, INF, (1, 0), (1, 2, 3), "small"]},
    ),
    "expected_calibration_error": (
        stats.expected_calibration_error,
        {"y_true": Y, "prob": S, "seed": 0},
        {"y_true": TRUTH, "prob": PROBABILITY, "n_bins": [0, 1.5], "bins": ["equal"]},
    ),
    "fisher": (stats.fisher, {"table": [[3, 1], [1, 3]]}, {"table": [[1, 2], [[1, -1], [1, 1]], [[0.5, 1], [1, 1]]]}),
    "fleiss_kappa": (
        stats.fleiss_kappa,
        {"counts": [[2, 0], [1, 1]]},
        {"counts": [[], [1, 2], [[1, 0]], [[2, 0], [2, 1]], [[NAN, 2]], [[-1, 3]]], "category": [2, -1, True, 0.5]},
    ),
    "fleiss_test": (
        stats.fleiss_test,
        {"counts": [[2, 0], [1, 1]]},
        {"counts": [[], [[1, 0]], [[2, 0], [2, 1]], [[NAN, 2]]], "category": [2]},
    ),
    "frechet_distance": (
        generative.frechet_distance,
        {"features_a": FEATURES, "features_b": OTHER},
        {"features_a": [[], [[NAN, 1.0]], [1.0]], "features_b": [OTHER[:, :1], [[INF, 1.0], [0.0, 1.0]]]},
    ),
    "friedman": (stats.friedman, {"values": [[1, 2, 3], [2, 1, 3]]}, {"values": [[], [[1, 2, 3]], [[1, 2], [2, 1]],
                 [[1, 2, NAN], [1, 2, 3]], [[1, 2, INF], [1, 2, 3]]]}),
    "gap_amplification": (
        fairness.gap_amplification,
        {"metric": accuracy, "y_true": Y, "scores_before": S, "scores_after": S, "groups": G, "seed": 0},
        {
            "scores_before": [[0.1]],
            "scores_after": [[0.1], 0.1],
            "groups": [[], ["f"], ["f"] * 6, [None] * 6],
            "between": [("f", "f"), ("f", "x"), "fm"],
        },
    ),
    "gaussian_epsilon": (
        privacy.gaussian_epsilon,
        {"mu": 1.0, "delta": 0.1},
        {"mu": [-1, NAN, INF, "1"], "delta": [0, 1, NAN]},
    ),
    "group_metric": (group_metric, {"array": Y, "groups": G, "seed": 0}, {"groups": [[], ["f"], [[1]], [None] * 6]}),
    "gwet_ac1": (stats.gwet_ac1, {"ratings": GRADES}, {"ratings": RATINGS, "categories": [[1, 2], [1, 1, 2, 3]]}),
    "icc": (
        stats.icc,
        {"ratings": GRADES, "form": 1},
        {"ratings": [[], [1, 2], [[1], [2]], [[1, NAN], [1, 2]], [[1, INF], [1, 2]]], "form": [0, 4, "1"],
         "average": [1]},
    ),
    "improved_precision_recall": (
        generative.improved_precision_recall,
        {"real": FEATURES, "generated": OTHER},
        {"real": [[], [[NAN, 1.0]], [1.0]], "generated": [FEATURES[:, :1], [[INF, 1.0]]], "k": [0, 1.5, 12]},
    ),
    "kernel_distance_of_blocks": (
        generative.kernel_distance_of_blocks,
        {"features_a": FEATURES, "features_b": OTHER, "block": 3, "seed": 0},
        {"features_a": [[], [1.0], [[NAN, 1.0]] * 3], "features_b": [OTHER[:, :1]], "block": [0, 1, 1.5, 500]},
    ),
    "kernel_inception_distance": (
        generative.kernel_inception_distance,
        {"features_a": FEATURES, "features_b": OTHER, "seed": 0},
        {"features_a": [[], [1.0], [[NAN, 1.0]] * 3], "features_b": [OTHER[:, :1]], "n_subsets": [0, 1.5]},
    ),
    "krippendorff_alpha": (
        stats.krippendorff_alpha,
        {"ratings": GRADES, "level_of_measurement": "interval", "seed": 0},
        {"ratings": [*RATINGS, [[1, INF], [1, 2]]], "level_of_measurement": ["ratio", None]},
    ),
    "mann_whitney": (stats.mann_whitney, {"a": A, "b": B}, {"a": SAMPLE, "b": SAMPLE}),
    "mcnemar": (
        stats.mcnemar,
        {"a": Y, "b": [1, 1, 0, 0, 1, 0]},
        {"a": TRUTH, "b": [[0, 1], [0, 2, 0, 0, 0, 0]], "exact": ["yes", 1]},
    ),
    "ms_ssim": (
        generative.ms_ssim,
        {"image_a": IMAGE, "image_b": IMAGE[::-1], "data_range": 1.0},
        {"image_a": [IMAGE[0], np.full((180, 180), NAN)], "image_b": [IMAGE[:-1]], "data_range": [0, -1, NAN]},
    ),
    "multilabel_auroc": (
        stats.multilabel_auroc,
        {"y_true": np.array([Y, Y]).T, "scores": np.array([S, S]).T},
        {"y_true": [[], Y, np.full((6, 2), 2)], "scores": [S, np.zeros((5, 2)), np.full((6, 2), NAN)]},
    ),
    "noninferiority": (
        stats.noninferiority,
        {"a": A, "b": B, "margin": 1.0, "paired": True},
        {"a": PAIRED, "b": PAIRED, "margin": [0, -1, INF, (0, 1), "small"]},
    ),
    "noninferiority_of": (
        stats.noninferiority_of,
        {"difference": DIFFERENCE, "margin": 1.0},
        {"margin": [0, -1, INF, "small"]},
    ),
    "odds_ratio": (
        stats.odds_ratio,
        {"exposed": Y, "outcome": [1, 1, 0, 0, 1, 0]},
        {"exposed": TRUTH, "outcome": [[0, 1], [2] * 6]},
    ),
    "page_trend": (stats.page_trend, {"values": [[1, 2, 3], [2, 1, 3]]}, {"values": [[], [[1, 2, 3]], [[1, 2], [2, 1]],
                   [[1, 2, NAN], [1, 2, 3]], [[1, 2, INF], [1, 2, 3]]]}),
    "pairwise_kappa": (
        stats.pairwise_kappa,
        {"ratings": GRADES, "seed": 0},
        {"ratings": RATINGS, "pairs": ["rating"], "weights": ["cubic"], "categories": [[1, 2]]},
    ),
    "partial_auroc": (
        stats.partial_auroc,
        {"y_true": Y, "y_score": S, "between": (0.5, 1.0), "seed": 0},
        {"y_true": TRUTH, "y_score": SCORE, "between": [(1.0, 0.5), (0.5, 1.5), 0.5], "focus": ["recall"]},
    ),
    "percent_agreement": (stats.percent_agreement, {"ratings": GRADES}, {"ratings": RATINGS}),
    "permutation_test": (
        stats.permutation_test,
        {"a": A, "b": B, "paired": True, "seed": 0},
        {"a": PAIRED, "b": PAIRED, "n_permutations": [0, 1.5]},
    ),
    "proportion": (stats.proportion, {"outcomes": Y}, {"outcomes": TRUTH}),
    "rank_biserial": (stats.rank_biserial, {"a": A, "b": B, "seed": 0}, {"a": PAIRED, "b": PAIRED}),
    "recalibrate": (stats.recalibrate, {"y_true": Y, "prob": S}, {"y_true": TRUTH, "prob": PROBABILITY}),
    "recall_at_k": (
        retrieval.recall_at_k,
        {"similarity": IMAGE[:4, :5], "correct": [0, 1, 2, 3], "k": 1, "pool": 3, "seed": 0},
        {"similarity": [[], [1.0], np.full((4, 5), NAN)], "correct": [[0], [0, 1, 2, 9]], "k": [0, 1.5], "pool": [0, 9],
         "ties": ["split"]},
    ),
    "recall_by_query": (
        retrieval.recall_by_query,
        {"similarity": IMAGE[:4, :5], "correct": [0, 1, 2, 3], "k": 1, "pool": 3},
        {"similarity": [[], [1.0], np.full((4, 5), NAN)], "correct": [[0], [0, 1, 2, 9]], "k": [0, 1.5], "pool": [0, 9],
         "ties": ["split"]},
    ),
    "renyi_divergence": (
        privacy.renyi_divergence,
        {"order": 2.0, "noise_multiplier": 1.0, "sample_rate": 0.1},
        {"order": [1, 0, NAN, INF, "2"], "noise_multiplier": [-1, NAN], "sample_rate": [2, NAN]},
    ),
    "risk_difference": (
        stats.risk_difference,
        {"exposed": Y, "outcome": [1, 1, 0, 0, 1, 0]},
        {"exposed": TRUTH, "outcome": [[0, 1], [2] * 6]},
    ),
    "risk_ratio": (
        stats.risk_ratio,
        {"exposed": Y, "outcome": [1, 1, 0, 0, 1, 0]},
        {"exposed": TRUTH, "outcome": [[0, 1], [2] * 6]},
    ),
    "sensitivity_at_specificity": (
        stats.sensitivity_at_specificity,
        {"y_true": Y, "y_score": S, "specificity": 0.5, "seed": 0},
        {"y_true": TRUTH, "y_score": SCORE, "specificity": [-0.1, 1.5, NAN]},
    ),
    "specificity_at_sensitivity": (
        stats.specificity_at_sensitivity,
        {"y_true": Y, "y_score": S, "sensitivity": 0.5, "seed": 0},
        {"y_true": TRUTH, "y_score": SCORE, "sensitivity": [-0.1, 1.5, NAN]},
    ),
    "string_entropy": (entropy.string_entropy, {"answers": ["a", "b"]}, {"answers": [[], "ab"], "base": [1, 0]}),
    "t_test": (stats.t_test, {"a": A, "b": B, "paired": True}, {"a": PAIRED, "b": PAIRED}),
    "threshold_at_sensitivity": (
        stats.threshold_at_sensitivity,
        {"y_true": Y, "y_score": S, "sensitivity": 0.5},
        {"y_true": TRUTH, "y_score": SCORE, "sensitivity": [-0.1, 1.5, NAN]},
    ),
    "threshold_at_specificity": (
        stats.threshold_at_specificity,
        {"y_true": Y, "y_score": S, "specificity": 0.5},
        {"y_true": TRUTH, "y_score": SCORE, "specificity": [-0.1, 1.5, NAN]},
    ),
    "threshold_metrics": (
        stats.threshold_metrics,
        {"y_true": Y, "y_score": S, "threshold": 0.5},
        {"y_true": TRUTH, "y_score": SCORE, "threshold": [NAN, "x"]},
    ),
    "wilcoxon_signed_rank": (stats.wilcoxon_signed_rank, {"a": A, "b": B}, {"a": PAIRED, "b": PAIRED}),
    "wilson": (stats.wilson, {"count": 1, "n": 4}, {"count": [-1, 5, 0.5, True], "n": [-1, 0.5]}),
    "youden_threshold": (stats.youden_threshold, {"y_true": Y, "y_score": S}, {"y_true": TRUTH, "y_score": SCORE}),
}  # fmt: skip
TABLE |= {
    "auroc_on_logit_scale": (stats.auroc_on_logit_scale, {"fit": stats.delong(Y, S)}, {"i": [1, -2, 0.5]}),
    "bootstrap_multilabel_auroc": (
        stats.bootstrap_multilabel_auroc,
        {"y_true": np.array([Y, Y]).T, "scores": np.array([S, S]).T, "seed": 0},
        {"y_true": [[], Y, np.full((6, 2), 2)], "scores": [S, np.zeros((5, 2)), np.full((6, 2), NAN)]},
    ),
    "bootstrap_ranks": (
        stats.bootstrap_ranks,
        {"y_true": Y, "scores": S, "seed": 0},
        {"y_true": TRUTH, "scores": SCORE, "metrics": [("accuracy",), ()]},
    ),
    "mixed_model": (
        stats.mixed_model,
        {"formula": "time ~ mode", "data": READS, "family": "gaussian", "groups": "reader"},
        {
            "formula": ["time ~ site"],
            "data": [READS.assign(time=NAN)],
            "family": ["normal"],
            "groups": ["site", []],
            "slopes": [{"site": "mode"}],
            "exposure": ["hours"],
        },
    ),
    "reject": (
        rejection.reject,
        {"correct": Y, "uncertainty": S, "threshold": 0.5, "seed": 0},
        {"correct": TRUTH, "uncertainty": SCORE, "threshold": [NAN]},
    ),
    "coverage_curve": (
        rejection.coverage_curve,
        {"correct": Y, "uncertainty": S, "seed": 0},
        {"correct": TRUTH, "uncertainty": SCORE},
    ),
    "consistent_errors": (
        rejection.consistent_errors,
        {"correct": Y, "uncertainty": S},
        {"correct": TRUTH, "uncertainty": SCORE, "at_most": [NAN]},
    ),
    "select_best": (
        stats.select_best,
        {"y_select": Y, "scores_select": TWO, "y_test": Y, "scores_test": TWO, "seed": 0},
        {"scores_test": [S], "metric": ["accuracy"], "y_select": TRUTH[:2], "y_test": TRUTH[:2]},
    ),
    "two_level_auroc": (
        stats.two_level_auroc,
        {"y_true": Y, "scores": TWO},
        {"y_true": TRUTH, "scores": [S, TWO[:, :3], np.zeros((0, 6)), np.full((2, 6), NAN)]},
    ),
    "two_level_mean": (
        with_predictions,
        {"y_true": Y, "predictions": TWO, "seed": 0},
        {"predictions": [S, TWO[:, :3], np.zeros((0, 6))]},
    ),
}
for name in ("dice", "iou"):
    wrong = {"mask_a": [[], MASK * 2, MASK[0]], "mask_b": [MASK[:1], np.full(MASK.shape, NAN)]}
    TABLE[name] = (getattr(segmentation, name), {"mask_a": MASK, "mask_b": MASK}, wrong)
for name in ("assd", "hd95", "surface_distances"):
    good = {"mask_a": MASK, "mask_b": MASK, "spacing": (1.0, 1.0, 1.0)}
    wrong = {"mask_a": [MASK * 2], "mask_b": [MASK[:1]], "spacing": [(1, -1, 1), (1, 1), (1, 0, 1), (1, NAN, 1), 1]}
    TABLE[name] = (getattr(segmentation, name), good, wrong)


def public_functions():
    """Names of all functions that the package offers: listed names, and the functions of the named modules."""
    listed = {name for name in stats.__all__ if inspect.isfunction(getattr(stats, name))}
    for module in (importlib.import_module(f"medrepro.stats.{m}") for m in NAMESPACES):
        own = (n for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__)
        listed |= {name for name in own if not name.startswith("_")}
    return listed


def faults():
    for name, (function, good, wrong) in TABLE.items():
        accepted = inspect.signature(function).parameters
        common = {k: v for k, v in COMMON.items() if k in accepted and k not in wrong}
        for argument, values in {**common, **wrong}.items():
            # Where the bootstrap is a choice, its settings are read only once it is chosen.
            chosen = argument in BOOTSTRAP and "n_boot" in accepted and accepted["n_boot"].default is None
            around = {**good, "n_boot": 2, "seed": 0, "method": "percentile"} if chosen else good
            for place, value in enumerate(values):
                yield pytest.param(function, {**around, argument: value}, argument, id=f"{name}-{argument}-{place}")


def test_every_public_function_has_an_entry():
    assert sorted(public_functions() - set(TABLE)) == []
    assert sorted(set(TABLE) - public_functions()) == []


def test_every_module_is_public_named_or_internal():
    modules = {m.name for m in pkgutil.iter_modules(stats.__path__) if not m.name.startswith("_")}
    assert sorted(modules - set(stats._HOME.values()) - set(NAMESPACES) - set(INTERNAL)) == []


@pytest.mark.parametrize("name", TABLE)
def test_the_call_without_the_fault_works(name):
    function, good, _ = TABLE[name]
    function(**good)


@pytest.mark.parametrize(("function", "arguments", "wrong"), faults())
def test_one_wrong_argument_is_refused_by_name(function, arguments, wrong):
    with pytest.raises(ValueError) as caught:
        function(**arguments)
    message = str(caught.value)
    called = "|".join(map(re.escape, {wrong, CALLED.get((function, wrong), wrong)}))
    assert "\n" not in message
    # "b must ...", "a, b must ...", "b must have as many cases as a (4), got 2"
    named = rf"\b({called})\b(\[[^]]*\])?(, \w+)*( \w+)? (must|need)|(as|of) ({called}) \("
    assert re.search(named, message), message
