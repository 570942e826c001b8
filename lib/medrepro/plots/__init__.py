"""Figures from results, and how a chapter shows them. Functions take estimates and return the Axes."""

from .curves import plot_cost, plot_learning_curves
from .fairness import describe_amplification, describe_by_epsilon, plot_amplification, plot_by_epsilon
from .forest import estimates_table, plot_forest
from .show import show
from .sites import plot_gain_by_size, plot_site_differences, plot_site_matrix
from .tables import show_table, spell, table
from .tile_maps import plot_heat_maps, plot_tissue, tissue_legend

__all__ = [
    "describe_amplification",
    "describe_by_epsilon",
    "estimates_table",
    "plot_amplification",
    "plot_by_epsilon",
    "plot_cost",
    "plot_forest",
    "plot_gain_by_size",
    "plot_heat_maps",
    "plot_learning_curves",
    "plot_site_differences",
    "plot_site_matrix",
    "plot_tissue",
    "show",
    "show_table",
    "spell",
    "table",
    "tissue_legend",
]
