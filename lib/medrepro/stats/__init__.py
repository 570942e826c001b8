"""Statistics: arrays in, results with intervals out. NumPy and SciPy only.

Names are loaded when they are first used: a command that only reads verdicts must not wait for scipy.stats.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Read by type checkers, and by the search for the modules that a chapter's run depends on.
if TYPE_CHECKING:
    from .agreement import (
        cohen_kappa,
        fleiss_kappa,
        fleiss_test,
        pairwise_kappa,
        percent_agreement,
    )
    from .block_tests import friedman, page_trend
    from .calibration import (
        Recalibration,
        brier_score,
        expected_calibration_error,
        recalibrate,
    )
    from .categories import category_counts
    from .curves import average_precision, partial_auroc
    from .effect_sizes import (
        cliffs_delta,
        cohen_d,
        odds_ratio,
        rank_biserial,
        risk_difference,
        risk_ratio,
    )
    from .gwet import gwet_ac1
    from .hypothesis_tests import (
        correlation,
        fisher,
        mann_whitney,
        mcnemar,
        t_test,
        wilcoxon_signed_rank,
    )
    from .limits_of_agreement import BlandAltman, bland_altman
    from .logit_interval import auroc_on_logit_scale
    from .margins import (
        equivalence,
        equivalence_of,
        noninferiority,
        noninferiority_of,
    )
    from .mixed_models import mixed_model
    from .mixed_results import MixedModel
    from .multilabel import MultilabelAUROC, multilabel_auroc
    from .multilabel_bootstrap import BootstrapMultilabelAUROC, bootstrap_multilabel_auroc
    from .operating import (
        OperatingPoint,
        sensitivity_at_specificity,
        specificity_at_sensitivity,
        threshold_at_sensitivity,
        threshold_at_specificity,
        threshold_metrics,
        youden_threshold,
    )
    from .permutation import permutation_test
    from .proportions import adjust_p, proportion, wilson
    from .rank_bootstrap import BootstrapRanks, bootstrap_ranks
    from .reliability import icc, krippendorff_alpha
    from .resampling import (
        bootstrap,
        bootstrap_estimate,
        bootstrap_p_value,
        bootstrap_replicates,
        bootstrap_test,
    )
    from .results import Comparison, Estimate
    from .roc import DeLong, auroc, delong, delong_unpaired
    from .roc_bootstrap import BootstrapAUROC, bootstrap_auroc
    from .selection import BestOfK, select_best
    from .two_level import TwoLevelAUROC, two_level_auroc, two_level_mean

_PUBLIC = {
    "agreement": ["cohen_kappa", "fleiss_kappa", "fleiss_test", "pairwise_kappa", "percent_agreement"],
    "block_tests": ["friedman", "page_trend"],
    "limits_of_agreement": ["BlandAltman", "bland_altman"],
    "calibration": ["Recalibration", "brier_score", "expected_calibration_error", "recalibrate"],
    "categories": ["category_counts"],
    "curves": ["average_precision", "partial_auroc"],
    "effect_sizes": ["cliffs_delta", "cohen_d", "odds_ratio", "rank_biserial", "risk_difference", "risk_ratio"],
    "gwet": ["gwet_ac1"],
    "hypothesis_tests": ["correlation", "fisher", "mann_whitney", "mcnemar", "t_test", "wilcoxon_signed_rank"],
    "logit_interval": ["auroc_on_logit_scale"],
    "margins": ["equivalence", "equivalence_of", "noninferiority", "noninferiority_of"],
    "mixed_models": ["mixed_model"],
    "mixed_results": ["MixedModel"],
    "multilabel": ["MultilabelAUROC", "multilabel_auroc"],
    "multilabel_bootstrap": ["BootstrapMultilabelAUROC", "bootstrap_multilabel_auroc"],
    "operating": [
        "OperatingPoint",
        "sensitivity_at_specificity",
        "specificity_at_sensitivity",
        "threshold_at_sensitivity",
        "threshold_at_specificity",
        "threshold_metrics",
        "youden_threshold",
    ],
    "permutation": ["permutation_test"],
    "proportions": ["adjust_p", "proportion", "wilson"],
    "rank_bootstrap": ["BootstrapRanks", "bootstrap_ranks"],
    "reliability": ["icc", "krippendorff_alpha"],
    "resampling": ["bootstrap", "bootstrap_estimate", "bootstrap_p_value", "bootstrap_replicates", "bootstrap_test"],
    "results": ["Comparison", "Estimate"],
    "roc": ["DeLong", "auroc", "delong", "delong_unpaired"],
    "roc_bootstrap": ["BootstrapAUROC", "bootstrap_auroc"],
    "selection": ["BestOfK", "select_best"],
    "two_level": ["TwoLevelAUROC", "two_level_auroc", "two_level_mean"],
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """A public name, from the module that defines it."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
