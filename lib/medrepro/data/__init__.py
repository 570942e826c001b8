"""Data sets: found, fetched, verified and loaded; adapters bring them to the shape the studies use."""

from . import cohort_rules
from .errors import DataError, UnknownDataError
from .fetch import availability, cache_dir, data_hashes, ensure, import_copy, locate, locate_all, use_folder, verify

__all__ = [
    "DataError",
    "UnknownDataError",
    "availability",
    "cache_dir",
    "cohort_rules",
    "data_hashes",
    "ensure",
    "import_copy",
    "locate",
    "locate_all",
    "use_folder",
    "verify",
]
