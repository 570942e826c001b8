"""`medrepro`: list, run, compare and render the studies. Thin over `study` and `data`.

Exit codes: 0 done, 2 wrong input, 3 a chapter failed, 4 data missing or not as its manifest says, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __version__
from .data_cli import add_data_commands
from .study.errors import ChapterError, InputError, StudyError

EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(argv)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        print("interrupted; nothing half-made is left", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        sys.stderr.close()
        return 0
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        print(f"medrepro: {error}", file=sys.stderr)
        return code


def _exit_code(error: Exception) -> int | None:
    """The documented code of an error that is the user's, the data's or a chapter's; None for a defect of ours."""
    if isinstance(error, StudyError):
        return error.exit_code
    from .data import DataError

    return error.exit_code if isinstance(error, DataError) else None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        """One line, exit code 2."""
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="medrepro", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--version", action="version", version=f"medrepro {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        command.add_argument("--json", action="store_true", help="print the answer as JSON")
        return command

    def add_running(command: argparse.ArgumentParser, *, preset: bool = True) -> None:
        if preset:
            command.add_argument("--preset", default=None, help="embedded (default), real, open or paper")
        command.add_argument("--data", type=Path, help="folder with your own copy of the data (or MEDREPRO_DATA)")
        command.add_argument("--force", action="store_true", help="run even if a finished run is stored")
        command.add_argument("--runs", type=Path, help="folder of runs (or MEDREPRO_RUNS)")
        command.add_argument("--cores", type=_positive, help="cores to use (default: all)")
        command.add_argument("--time-limit", type=_positive, metavar="S", help="end a chapter after S seconds")
        command.add_argument("--memory-limit", type=_positive, metavar="GIB", help="end a chapter above GIB")
        command.add_argument("--quiet", action="store_true", help="no progress on standard error")

    add("list", _list, "all studies with their last verdicts")
    show = add("show", _show, "a study's question, parameters and claims")
    show.add_argument("study")
    run = add("run", _run, "run a study and print its verdicts")
    run.add_argument("study")
    run.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    run.add_argument("-f", "--file", type=Path, help="YAML file of parameters; -p overrides it")
    add_running(run)
    sweep = add("sweep", _sweep, "run a study over a grid of parameters")
    sweep.add_argument("study")
    sweep.add_argument("-p", "--parameter", action="append", default=[], metavar="'NAME=A;B;C'", required=True)
    add_running(sweep)
    compare = add("compare", _compare, "what moved between runs")
    compare.add_argument("runs_to_compare", nargs="+", metavar="RUN", help="STUDY, STUDY/KEY, run folder or notebook")
    compare.add_argument("--runs", type=Path)
    why = add("why", _why, "what changed since the last run, and so would make it run again")
    why.add_argument("study")
    why.add_argument("--preset", default=None)
    why.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE")
    why.add_argument("--runs", type=Path)
    record = add("record", _record, "run several seeds and keep their verdicts with the book")
    record.add_argument("study")
    record.add_argument("--seeds", type=_positive, default=5, help="number of seeds, from 0 (default 5)")
    add_running(record)
    read = add("read", _read, "verdicts of a notebook that was run by hand")
    read.add_argument("notebook", type=Path)
    add_data_commands(commands, _Parser)
    book = add("book", _book, "run every chapter and render the book")
    book.add_argument("--out", type=Path, help="folder of the rendered book (default build/book)")
    add_running(book, preset=False)
    return parser


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got '{text}'")
    return value


def _list(options: argparse.Namespace) -> int:
    from .study.card import load_card, study_ids
    from .study.store import RunStore
    from .study.verdicts import judge_card

    store, rows = RunStore(), list[dict[str, Any]]()
    for study in study_ids():
        card, runs = load_card(study), store.all(study)
        statuses = [v.status for v in judge_card(card, runs[0].bundle)] if runs and runs[0].bundle else []
        rows.append({"study": study, "title": card.title, "theme": card.theme, "runs": len(runs), "last": statuses})
    if options.json:
        return _print_json(rows)
    for row in rows:
        counts = {status: row["last"].count(status) for status in dict.fromkeys(row["last"])}
        last = ", ".join(f"{n} {status}" for status, n in counts.items()) or "not run yet"
        print(f"{row['study']:<28} {row['title']}\n{'':<28} {last}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from .study.card import load_card
    from .study.parameters import PRESETS

    card = load_card(options.study)
    if options.json:
        rows = [
            {"name": p.name, "type": p.type, "allowed": p.allowed, "unit": p.unit, "help": p.help, **p.values}
            for p in card.parameters.rows
        ]
        claims = [
            {"id": c.id, "text": c.text, "reported": c.reported_text, "criterion": [str(p) for p in c.parts]}
            for c in card.claims
        ]
        return _print_json({"id": card.id, "question": card.question, "parameters": rows, "claims": claims})
    print(f"{card.id}: {card.title}\n{card.question}\n\nParameters ({', '.join(PRESETS)})")
    for p in card.parameters.rows:
        values = " | ".join(str(p.values[preset]) for preset in PRESETS)
        print(f"  {p.name:<20} {values}   {p.allowed}{f', {p.unit}' if p.unit else ''}\n{'':<23}{p.help}")
    print("\nClaims")
    for claim in card.claims:
        print(f"  {claim.id}  {claim.text} (reported: {claim.reported_text}, {claim.reported['origin']})")
        for part in claim.parts:
            print(f"      {part.quantity}: {part}")
    return 0


def _jobs(options: argparse.Namespace, points: Sequence[dict[str, Any]], preset: str | None) -> list[Any]:
    """One job per parameter point, checked before any kernel starts."""
    from .study.chapters import load_chapter
    from .study.runner import Job

    chapter = load_chapter(options.study)
    return [
        Job(
            chapter,
            chapter.resolve(preset or "embedded", point),
            force=options.force,
            time_limit_s=options.time_limit,
            memory_limit_gib=options.memory_limit,
        )
        for point in points
    ]


def _execute(options: argparse.Namespace, jobs: Sequence[Any]) -> list[Any]:
    from .data import use_folder
    from .study.progress import Reporter
    from .study.runner import run_jobs
    from .study.store import RunStore

    if options.data:
        use_folder(options.data)
    progress = None if options.quiet else Reporter(sys.stderr)
    try:
        return run_jobs(jobs, RunStore(options.runs), cores=options.cores, progress=progress)
    finally:
        if progress:
            progress.close()


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    """Parameters from -f and -p; the command line wins."""
    from .study.parameters import parse_assignment, read_parameter_file

    changes = read_parameter_file(options.file) if getattr(options, "file", None) else {}
    for text in options.parameter:
        name, value = parse_assignment(text)
        changes[name] = value
    return changes


def _run(options: argparse.Namespace) -> int:
    from .study.report import run_json, run_text

    changes = _changes(options)
    preset = changes.pop("preset", None)
    if preset and options.preset and preset != options.preset:
        raise InputError(f"preset is given twice: --preset {options.preset} and -p preset={preset}")
    outcome = _execute(options, _jobs(options, [changes], options.preset or preset))[0]
    if outcome.error:
        if options.json:
            _print_json(run_json(outcome))
        raise outcome.error
    return _print_json(run_json(outcome)) if options.json else _print(run_text(outcome))


def _sweep(options: argparse.Namespace) -> int:
    from .study.card import load_card
    from .study.parameters import expand_sweep
    from .study.report import run_json, sweep_text

    points = expand_sweep(load_card(options.study).parameters, options.parameter)
    outcomes = _execute(options, _jobs(options, points, options.preset))
    rows = [{"point": point, **run_json(outcome)} for point, outcome in zip(points, outcomes, strict=True)]
    _print_json(rows) if options.json else _print(sweep_text(rows))
    return 3 if any(outcome.error for outcome in outcomes) else 0


def _compare(options: argparse.Namespace) -> int:
    from .study.comparison import compare_runs, comparison_text
    from .study.store import RunStore, open_run

    if len(options.runs_to_compare) < 2:
        raise InputError(f"compare needs at least two runs, got {len(options.runs_to_compare)}")
    store = RunStore(options.runs)
    result = compare_runs([open_run(reference, store) for reference in options.runs_to_compare])
    return _print_json(result) if options.json else _print(comparison_text(result))


def _why(options: argparse.Namespace) -> int:
    from .study.chapters import load_chapter
    from .study.fingerprint import changed_parts, key_of, key_parts
    from .study.store import RunStore

    chapter = load_chapter(options.study)
    parts = key_parts(chapter, chapter.resolve(options.preset or "embedded", _changes(options)))
    store = RunStore(options.runs)
    stored = store.find(chapter.id, key_of(parts))
    runs = store.all(chapter.id)
    if stored:
        lines = [f"nothing changed: run {stored.name} is used"]
    elif not runs:
        lines = [f"{chapter.id} has no finished run"]
    else:
        normal = json.loads(json.dumps(parts, default=str))
        compared = [(changed_parts(run.info["key_parts"], normal), run) for run in runs]
        changes, nearest = min(compared, key=lambda pair: len(pair[0]))
        lines = [f"would run; compared with {nearest.name}:", *(f"  {line}" for line in changes)]
    if options.json:
        return _print_json({"study": chapter.id, "would_run": stored is None, "lines": lines})
    return _print("\n".join(lines))


def _record(options: argparse.Namespace) -> int:
    from .study.card import load_card
    from .study.records import make_record, record_path, write_record
    from .study.report import record_text

    card = load_card(options.study)
    record_path(card.id, options.preset or "embedded")  # refuse before hours of work when there is no book
    jobs = _jobs(options, [{"seed": seed} for seed in range(options.seeds)], options.preset)
    outcomes = _execute(options, jobs)
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    record = make_record(card, [outcome.run for outcome in outcomes])
    path = write_record(record)
    return _print_json(record) if options.json else _print(record_text(card, record, path))


def _read(options: argparse.Namespace) -> int:
    from .study.card import load_card
    from .study.executed import ledger_bundle
    from .study.report import verdict_lines
    from .study.verdicts import judge_card

    bundle = ledger_bundle(options.notebook)
    card = load_card(bundle["study"])
    verdicts = judge_card(card, bundle)
    if options.json:
        return _print_json({**bundle, "verdicts": [v.to_dict() for v in verdicts]})
    return _print("\n".join([f"{card.id}, preset {bundle['preset']}", *verdict_lines(verdicts)]))


def _book(options: argparse.Namespace) -> int:
    from .study.book import build_book

    result = build_book(lambda jobs: _execute(options, jobs), force=options.force, out=options.out)
    if options.json:
        _print_json(result.to_dict())
    else:
        print(result.text())
    if result.errors:
        raise ChapterError("; ".join(result.errors))
    return 0


def _print(text: str) -> int:
    print(text)
    return 0


def _print_json(value: Any) -> int:
    print(json.dumps(value, indent=1, default=str))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
