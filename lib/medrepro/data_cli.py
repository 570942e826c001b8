"""`medrepro data`: list, show, fetch, verify, where, import. Thin over `data`.

Exit codes: 0 done, 2 wrong input, 4 data missing or not as their manifest says.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .data.catalogue import Entry
    from .data.manifests import Manifest

_EXIT_DATA = 4
_NOT_DONE = "missing or not as its manifest says"


def add_data_commands(commands: Any, parser_class: type[argparse.ArgumentParser]) -> None:
    """Add `data` and what follows it to the commands of `medrepro`."""
    text = "data sets and models: what there is, what you have, and getting it"
    actions = commands.add_parser("data", help=text, description=text).add_subparsers(
        title="commands", required=True, metavar="COMMAND", parser_class=parser_class
    )

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = actions.add_parser(name, help=text, description=text)
        command.set_defaults(run=_with_folder(run))
        command.add_argument("--data", type=Path, help="folder with your own copies (or MEDREPRO_DATA)")
        command.add_argument("--json", action="store_true", help="print the answer as JSON")
        return command

    listing = add("list", _list, "all data sets and models, and what of them is on this machine")
    listing.add_argument("--study", help="only those that a study names (34_ccan or 34)")
    listing.add_argument("--access", help="open, registration, credentialed or private")
    listing.add_argument("--kind", help="data or model")
    listing.add_argument(
        "--have", action="store_true", help="only those on this machine, and which chapters they allow"
    )
    add("show", _show, "licence, citation, files, known traps, how to obtain it").add_argument("name")
    fetch = add("fetch", _fetch, "fetch what is missing and verify it")
    fetch.add_argument("names", nargs="+", metavar="NAME")
    fetch.add_argument("--quiet", action="store_true", help="no progress on standard error")
    verify = add("verify", _verify, "compare files with their digests; without a name, all that are on this machine")
    verify.add_argument("names", nargs="*", metavar="NAME")
    add("where", _where, "paths of the files on this machine").add_argument("name")
    bring = add("import", _import, "take your own copy of the files, or check your own table of a cohort")
    bring.add_argument("name")
    bring.add_argument("source", type=Path, metavar="SOURCE", help="a file or folder, or for a cohort TABLE.csv")
    bring.add_argument("--study", help="for a table: require the labels of this study")


def _with_folder(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    def run_there(options: argparse.Namespace) -> int:
        if options.data:
            from .data import use_folder

            use_folder(options.data)
        return run(options)

    return run_there


def _list(options: argparse.Namespace) -> int:
    from .data.catalogue import STATES, catalogue

    entries = catalogue(study=options.study, access=options.access, kind=options.kind)
    chapters = _chapters(options.study) if options.have else None
    if options.have:
        entries = [entry for entry in entries if entry.state in ("here", "partly")]
    if options.json:
        answer: dict[str, Any] = {"sets": [entry.to_dict() for entry in entries]}
        return _print_json(answer if chapters is None else {**answer, "chapters": chapters})
    for entry in entries:
        print(f"{entry.name:<28} {entry.access:<12} {_size(entry):>8}  {STATES[entry.state]}\n{'':<28} {entry.title}")
    print(f"{len(entries)} of {len(catalogue())} data sets and models")
    for study, presets in (chapters or {}).items():
        said = [f"{p}: ready" if not lacks else f"{p}: needs {', '.join(lacks)}" for p, lacks in presets.items()]
        print(f"{study:<28} {'; '.join(said)}")
    return 0


def _chapters(study: str | None) -> dict[str, dict[str, list[str]]]:
    """For each chapter of this book and each of its presets the data that must still be obtained."""
    from .data.catalogue import ready_presets
    from .study.card import load_card, study_ids

    wanted = [name for name in study_ids() if study in (None, name, name.split("_")[0])]
    return {name: ready_presets(load_card(name).data) for name in wanted}


def _size(entry: Entry) -> str:
    return "" if entry.n_bytes is None else megabytes(entry.n_bytes)


def megabytes(n_bytes: int) -> str:
    """'86.7 MB', '0.02 MB', '12,300 MB'."""
    value = n_bytes / 1e6
    return f"{value:,.0f} MB" if value >= 100 else f"{value:.1f} MB" if value >= 1 else f"{value:.2f} MB"


def _show(options: argparse.Namespace) -> int:
    from .data.catalogue import STATES, state_of
    from .data.manifests import load

    manifest = load(options.name)
    state = STATES[state_of(manifest)]
    if options.json:
        return _print_json(_facts(manifest, state))
    print(f"{manifest.name}: {manifest.title}")
    lines = [("state", state), ("access", manifest.access), ("licence", manifest.licence)]
    lines += [("version", manifest.version or ""), ("since", str(manifest.since or "")), ("cite", manifest.citation)]
    lines += [("obtain", manifest.obtain), ("resample by", manifest.units)]
    lines += [("counts", ", ".join(f"{key} {value:,}" for key, value in manifest.counts.items()))]
    lines += [(f"split {key}", str(value)) for key, value in manifest.splits.items()]
    if manifest.folder is not None:
        lines += [("your folder", f"{manifest.folder}: {manifest.layout}")]
    for file in manifest.files:
        size = f", {file.bytes:,} bytes" if file.bytes is not None else ""
        lines += [("file", f"{file.path}{size}, {file.algorithm.upper()} {file.digest}")]
        lines += [("  from", str(source)) for source in file.sources]
    if manifest.table is not None:
        lines += [("your table", f"columns path, patient_id, split ({', '.join(manifest.table.splits)})")]
        lines += [("  label", f"{name}: {_one_of(values)}") for name, values in manifest.table.labels.items()]
        lines += [("  required", ", ".join(manifest.table.columns))]
        lines += [(f"  {study}", f"needs {', '.join(labels)}") for study, labels in manifest.table.studies.items()]
    lines += [("trap", trap) for trap in manifest.traps]
    lines += [("used by", ", ".join(manifest.used_by)), ("meanwhile", manifest.stand_in or "")]
    for key, text in lines:
        if text:
            print(f"  {key:<12} {text}")
    return 0


def _one_of(values: tuple[str, ...]) -> str:
    return ", ".join(value or "empty" for value in values)


def _facts(manifest: Manifest, state: str) -> dict[str, Any]:
    from dataclasses import asdict

    facts = asdict(manifest)
    del facts["source"]
    return {**facts, "state": state}


def _fetch(options: argparse.Namespace) -> int:
    from .data import DataError, locate, locate_all
    from .data.manifests import load

    manifests = [load(name) for name in options.names]  # wrong names end before anything is fetched
    progress = None if options.quiet else _Progress()
    found: dict[str, dict[str, str]] = {}
    faults = []
    for manifest in manifests:
        try:
            if manifest.folder is not None:
                found[manifest.name] = {manifest.folder: str(locate(manifest.name))}
            else:
                paths = locate_all(manifest.name, progress=progress)
                found[manifest.name] = {name: str(path) for name, path in paths.items()}
        except DataError as error:
            faults.append(str(error))
        finally:
            if progress:
                progress.close()
    if options.json:
        _print_json({"files": found, "faults": faults})
    else:
        for files in found.values():
            print("\n".join(files.values()))
    return _end(faults)


def _verify(options: argparse.Namespace) -> int:
    from .data import verify
    from .data.catalogue import state_of
    from .data.manifests import load, names

    asked = [load(name) for name in options.names or names()]
    if not options.names:
        asked = [manifest for manifest in asked if state_of(manifest) in ("here", "partly")]
    states: dict[str, dict[str, str]] = {}
    faults = []
    for manifest in asked:
        states[manifest.name] = verify(manifest.name)
        for path, state in states[manifest.name].items():
            good = state.startswith(("verified:", "present,"))
            absent = state == "is not on this machine" and not options.names  # part of a set that was not asked for
            if not good and not absent:
                faults.append(f"{manifest.name}: {path}: {state}")
            if not options.json and (good or absent):
                print(f"{manifest.name}: {path}: {state}")
    if options.json:
        _print_json({"states": states, "faults": faults})
    elif not asked:
        print("no data set is on this machine")
    return _end(faults)


def _where(options: argparse.Namespace) -> int:
    from .data.fetch import copies_here
    from .data.manifests import load

    manifest = load(options.name)
    copies = copies_here(manifest.name)
    if options.json:
        _print_json({name: str(path) if path else None for name, path in copies.items()})
    else:
        for path in copies.values():
            if path:
                print(path)
    what = "folder " if manifest.folder is not None else ""
    missing = [f"{manifest.name}: {what}{name} is not on this machine" for name, path in copies.items() if not path]
    return _end([f"{line}; to obtain it: {manifest.obtain}" for line in missing])


def _import(options: argparse.Namespace) -> int:
    from .data import import_copy
    from .data.manifests import load
    from .study.errors import InputError

    manifest = load(options.name)
    if manifest.table is not None:
        return _import_table(options)
    if options.study is not None:
        raise InputError(f"--study is for tables of cohorts, and {manifest.name} takes none")
    paths = [str(path) for path in import_copy(manifest.name, options.source)]
    return _print_json({"files": paths}) if options.json else _print("\n".join(paths))


def _import_table(options: argparse.Namespace) -> int:
    from .data.cohort_table import check_table, register_table

    report = check_table(options.name, options.source, study=options.study)
    stored = None if report.problems else register_table(report)
    counts = {"rows": report.n_rows, "patients": report.n_patients, "splits": report.public_splits}
    if options.json:
        problems = [{"rows": p.rows, "column": p.column, "problem": p.text} for p in report.problems]
        answer = {**counts, "problems": problems, "notes": report.notes, "studies": report.studies}
        _print_json({**answer, "stored": str(stored) if stored else None})
    else:
        for problem in report.problems:
            print(problem)
        for note in report.notes:
            print(f"note: {note}")
        if stored:
            splits = ", ".join(f"{name} {n}" for name, n in report.public_splits.items())
            print(f"stored: {stored}\n{report.n_rows} rows of {report.n_patients} patients: {splits}")
            print(f"labels are complete for: {', '.join(report.studies) or 'no study of this book'}")
    problems_text = f"{len(report.problems)} problem{'s' if len(report.problems) > 1 else ''}"
    return _end([f"{report.name}: {problems_text}: nothing was imported"] if report.problems else [])


def _end(faults: list[str]) -> int:
    """Each fault on a line of its own on standard error; the exit code."""
    for fault in faults:
        print(f"medrepro: {fault}", file=sys.stderr)
    return _EXIT_DATA if faults else 0


class _Progress:
    """One line on standard error, renewed a few times a second; on no terminal, nothing."""

    def __init__(self) -> None:
        self._shown = 0.0
        self._width = 0

    def __call__(self, path: str, done: int, total: int | None) -> None:
        if not sys.stderr.isatty() or (time.monotonic() - self._shown < 0.2 and done != total):
            return
        self._shown = time.monotonic()
        share = f" of {megabytes(total)} ({100 * done // max(total, 1)} %)" if total is not None else ""
        line = f"{path}: {megabytes(done)}{share}"
        print(f"\r{line:<{self._width}}", end="", file=sys.stderr, flush=True)
        self._width = len(line)

    def close(self) -> None:
        """Leave the line."""
        if self._width:
            print(file=sys.stderr)
            self._width = 0


def _print(text: str) -> int:
    print(text)
    return 0


def _print_json(value: Any) -> int:
    print(json.dumps(value, indent=1, default=str))
    return 0
