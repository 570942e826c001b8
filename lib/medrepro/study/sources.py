"""Which of our own modules a notebook reaches, found in the source without importing anything."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from .errors import InputError

_PACKAGE = Path(__file__).resolve().parent.parent  # .../medrepro
_NAME = _PACKAGE.name


def reached_modules(code_cells: Iterable[str], where: str = "notebook") -> dict[str, str]:
    """Module name -> hash of its code, for every medrepro module that the cells import, directly or not.

    The hash is of the syntax tree without docstrings, so that comments and layout do not cause a run.
    Raises InputError when a cell is not plain Python (chapters use no magics).
    """
    found: dict[str, str] = {}
    waiting: list[str] = []
    for number, cell in enumerate(code_cells):
        try:
            waiting += _imports(ast.parse(cell), package=None)
        except SyntaxError as error:
            raise InputError(f"{where}: code cell {number + 1} is not plain Python: {error.msg}") from None
    while waiting:
        name = waiting.pop()
        path = _path(name)
        if name in found or path is None:
            continue
        digest, imports = _scan(path, name, path.stat().st_mtime_ns)
        found[name] = digest
        waiting += imports
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent else []
    return dict(sorted(found.items()))


@cache
def _scan(path: Path, name: str, _mtime: int) -> tuple[str, tuple[str, ...]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports = tuple(_imports(tree, package))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and type(first.value.value) is str:
                first.value.value = ""
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports


def _imports(tree: ast.AST, package: str | None) -> list[str]:
    """Names that an import statement may load: the module and, for 'from a import b', also a.b."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                if package is None:
                    continue
                steps = package.split(".")
                base = ".".join([*steps[: len(steps) - node.level + 1], *([base] if base else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [name for name in names if name == _NAME or name.startswith(f"{_NAME}.")]


def _path(name: str) -> Path | None:
    """The file of a medrepro module, or None when the name is an attribute of one."""
    stem = _PACKAGE.joinpath(*name.split(".")[1:])
    if stem.is_dir():
        return stem / "__init__.py"
    module = stem.with_suffix(".py")
    return module if module.is_file() else None
