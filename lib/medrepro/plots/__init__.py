"""Figures from results, and how a chapter shows them. Functions take estimates and return the Axes."""

from .curves import plot_cost, plot_learning_curves
from .forest import estimates_table, plot_forest
from .show import show
from .tables import show_table, spell, table
from .tile_maps import plot_heat_maps, plot_tissue, tissue_legend

__all__ = [
    "estimates_table",
    "plot_cost",
    "plot_forest",
    "plot_heat_maps",
    "plot_learning_curves",
    "plot_tissue",
    "show",
    "show_table",
    "spell",
    "table",
    "tissue_legend",
]
