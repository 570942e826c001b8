"""Tables behind the pages `roc` and `resampling`, for roc_pages.R: `python roc_pages_data.py FOLDER`.

The cells that load and train are taken from the pages themselves; everything computed from the tables is left to R.
"""

import json
import sys
from pathlib import Path

import pandas as pd

PAGES = Path(__file__).resolve().parents[2] / "book" / "statistics"


def run_cells(page, ids):
    """The names that these cells of a page define."""
    notebook = json.loads((PAGES / f"{page}.ipynb").read_text(encoding="utf-8"))
    cells = {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}
    names = {}
    for cell in ids:
        exec(cells[cell], names)
    return names


def main():
    folder = Path(sys.argv[1])
    names = run_cells("roc", ["imports", "load", "model"])
    grades = {name: names["ratings_by_nodule"](names["outlines"], name)[names["four"]]
              for name in ("malignancy", "spiculation", "lobulation", "subtlety")}  # fmt: skip
    table = pd.DataFrame({"part": names["part"], "patient": names["patient"].to_numpy(), "y": names["truth"]})
    table = table.assign(**names["first"], prob=names["prob"], subtlety=grades["subtlety"][:, 0])
    table = table.assign(**{f"label_{name}": ((g[:, 1:] > 3).sum(axis=1) >= 2) * 1 for name, g in grades.items()})
    table.to_csv(folder / "roc.csv", index=False)

    names = run_cells("resampling", ["imports", "load", "levels-train"])
    masses = pd.DataFrame(names["measured"]).rename(columns=lambda name: name.replace(" ", "_"))
    masses.insert(0, "y", names["malignant"])
    masses.insert(1, "small", masses.index.isin(names["small"]) * 1)
    masses.to_csv(folder / "masses.csv", index=False)
    trained = names["trained"]
    columns = {f"f{k}_{s}": trained[k, s] for k in range(2) for s in range(trained.shape[1])}
    pd.DataFrame({"y": names["y"], **columns}).to_csv(folder / "forests.csv", index=False)


if __name__ == "__main__":
    main()
