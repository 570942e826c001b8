"""Write the expected tables of handbook pages from a run: `python tests/notebooks/write_expected.py PAGE ...`.

Look at what changed before it is committed: numbers are confirmed by other software in `test_PAGE.py`, not here.
"""

from __future__ import annotations

import json
import sys

from handbook import TESTS, executed_page, tables_of

for page in sys.argv[1:]:
    text = json.dumps(tables_of(executed_page(page)), indent=1, ensure_ascii=False)
    (TESTS / "expected" / f"{page}.json").write_text(text + "\n", encoding="utf-8")
