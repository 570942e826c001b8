"""Two programs' 95th percentile of the Hausdorff distance on the masks of the page on speed.

build/rivals/bin/python tests/reference/speed.py > tests/reference/speed.json      (make bench-statistics makes it)
"""

import json
import platform
import warnings
from datetime import date
from importlib.metadata import version

import numpy as np
import torch
from medpy.metric import binary
from monai.metrics import compute_hausdorff_distance

warnings.simplefilter("ignore", FutureWarning)
z, y, x = np.ogrid[:48, :48, :48]
ball = (z - 24) ** 2 + (y - 24) ** 2 + (x - 20) ** 2 < 12**2
rows = {}
for length in (0, 6, 12, 18):
    spiked = ball | ((abs(z - 24) < 4) & (abs(y - 24) < 4) & (x > 20) & (x < 31 + length))
    a, b = (torch.as_tensor(mask)[None, None] for mask in (spiked, ball))
    monai = compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=(1.0, 1.0, 1.0))
    medpy = binary.hd95(spiked, ball, (1.0, 1.0, 1.0))
    rows[f"{length} voxels"] = [float(monai), float(medpy)]
versions = {"python": platform.python_version(), "monai": version("monai"), "medpy": version("medpy")}
about = {"made_by": "tests/reference/speed.py", "date": date.today().isoformat(), "versions": versions}
print(json.dumps({**about, "rows": rows}, indent=1))
