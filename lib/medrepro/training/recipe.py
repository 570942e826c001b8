"""What sites agree on before they train together."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from typing import Any, Literal

from torch import nn


@dataclass(frozen=True)
class Recipe:
    """Everything that sites must agree on before they train together; travels as JSON, never as code.

    model: "module:function" inside medrepro that builds the network; arguments: its keyword arguments.
    local_epochs: passes over a site's cases in a round. aggregation: weight of a site in the average, its number of
    training cases ("by_n", McMahan) or 1 ("equal", as in the chest radiograph study).
    balanced: each site weights its positives by its own ratio of negatives to positives, label by label.
    Raises ValueError for a number out of range or a name that is not known.
    """

    model: str
    rounds: int
    lr: float
    seed: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 32
    local_epochs: int = 1
    aggregation: Literal["by_n", "equal"] = "by_n"
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: float = 0.0
    balanced: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("rounds", "batch_size", "local_epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not (self.lr > 0 and math.isfinite(self.lr)):
            raise ValueError(f"lr must be > 0, got {self.lr}")
        for name, allowed in (("aggregation", ("by_n", "equal")), ("optimiser", ("adam", "adamw", "sgd"))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if not self.model.startswith("medrepro.") or self.model.count(":") != 1:
            raise ValueError(f"model must be 'medrepro.MODULE:FUNCTION', got {self.model!r}")

    def build(self) -> nn.Module:
        """A new network, with the random state as it stands."""
        module, function = self.model.split(":")
        return getattr(import_module(module), function)(**self.arguments)

    def to_json(self) -> str:
        return json.dumps(asdict(replace(self, arguments=dict(self.arguments))), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        return cls(**json.loads(text))
