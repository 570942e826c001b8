"""Statistics: arrays in, results with intervals out. NumPy and SciPy only."""

from .agreement import cohen_kappa, fleiss_kappa, fleiss_test, pairwise_kappa, percent_agreement
from .categories import category_counts
from .multilabel import MultilabelAUROC, multilabel_auroc
from .permutation import permutation_test
from .proportions import adjust_p, proportion, wilson
from .reliability import icc, krippendorff_alpha
from .resampling import bootstrap, bootstrap_estimate, bootstrap_p_value, bootstrap_replicates, bootstrap_test
from .results import Comparison, Estimate
from .roc import DeLong, auroc, delong, delong_unpaired
from .roc_bootstrap import BootstrapAUROC, bootstrap_auroc

__all__ = [
    "BootstrapAUROC",
    "Comparison",
    "DeLong",
    "Estimate",
    "MultilabelAUROC",
    "adjust_p",
    "auroc",
    "bootstrap",
    "bootstrap_auroc",
    "bootstrap_estimate",
    "bootstrap_p_value",
    "bootstrap_replicates",
    "bootstrap_test",
    "category_counts",
    "cohen_kappa",
    "delong",
    "delong_unpaired",
    "fleiss_kappa",
    "fleiss_test",
    "icc",
    "krippendorff_alpha",
    "multilabel_auroc",
    "pairwise_kappa",
    "percent_agreement",
    "permutation_test",
    "proportion",
    "wilson",
]
