"""Agreement coefficients from irrCAC, krippendorff and pingouin, without any code of medrepro.

Run in an environment with irrCAC, krippendorff, pingouin and statsmodels: python agreement.py
Writes agreement.json beside this file; the ratings are stored with the results.
"""

import json
from datetime import date
from importlib.metadata import version
from pathlib import Path

import krippendorff
import numpy as np
import pandas as pd
import pingouin
from irrCAC.raw import CAC
from statsmodels.stats.inter_rater import fleiss_kappa

NAN = np.nan
# The four raters of Krippendorff's example, shipped by irrCAC as raw_4raters, and simulated complete ratings.
FOUR_RATERS = [
    [1, 1, NAN, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
    [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [NAN, 5, 5, 5], [NAN, NAN, 1, 1], [NAN, 3, NAN, NAN],
]  # fmt: skip
rng = np.random.default_rng(20241105)
truth = rng.integers(1, 5, (40, 1))
COMPLETE = np.where(rng.random((40, 3)) < 0.6, truth, rng.integers(1, 5, (40, 3)))
TWO = np.where(rng.random((60, 2)) < 0.85, 1, rng.integers(1, 4, (60, 2)))


def coefficients(ratings):
    """Value and standard error of irrCAC's coefficients; a category counts when somebody used it."""
    table = CAC(pd.DataFrame(ratings), digits=12)
    found = {}
    for name in ("gwet", "fleiss", "krippendorff"):
        est = getattr(table, name)()["est"]
        found[name] = [est["coefficient_value"], est["se"], est["pa"], est["pe"]]
    return found


out = {
    "made_by": "tests/reference/agreement.py",
    "date": date.today().isoformat(),
    "versions": {p: version(p) for p in ("irrCAC", "krippendorff", "pingouin", "statsmodels", "numpy")},
}
for name, ratings in (("four raters", FOUR_RATERS), ("complete", COMPLETE.tolist()), ("two raters", TWO.tolist())):
    array = np.array(ratings, dtype=float)
    rated_twice = array[(~np.isnan(array)).sum(axis=1) >= 2]
    own = {"ratings": [[None if np.isnan(v) else v for v in row] for row in array], "irrCAC": coefficients(array)}
    own["irrCAC, rated twice"] = coefficients(rated_twice)
    own["alpha"] = {
        scale: krippendorff.alpha(array.T, level_of_measurement=scale) for scale in ("nominal", "ordinal", "interval")
    }
    if not np.isnan(array).any():
        own["fleiss, statsmodels"] = fleiss_kappa(np.array([[np.sum(row == k) for k in range(1, 6)] for row in array]))
        long = pd.DataFrame(array).stack().rename("grade").reset_index()
        icc = pingouin.intraclass_corr(long, targets="level_0", raters="level_1", ratings="grade")
        own["icc"] = dict(zip(icc["Type"], icc["ICC"].astype(float), strict=True))
    out[name] = own
Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1, allow_nan=False) + "\n")
