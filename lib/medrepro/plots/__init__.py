"""Figures from results, and how a chapter shows them."""

from .show import show

__all__ = ["show"]
