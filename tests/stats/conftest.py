"""Numbers from R that the statistics are checked against."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("statistics", max_examples=60, deadline=None, derandomize=True)
settings.load_profile("statistics")

REFERENCE = Path(__file__).parents[1] / "reference" / "stats.json"


@pytest.fixture(scope="session")
def from_r() -> dict[str, Any]:
    """Data and results of tests/reference/stats.R; numbers that R writes as one-element lists are unwrapped."""
    return _unwrap(json.loads(REFERENCE.read_text()))


def _unwrap(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unwrap(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_unwrap(item) for item in value]
        return items[0] if len(items) == 1 and not isinstance(items[0], list) else items
    return value
