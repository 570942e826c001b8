"""Federated averaging carried by Flower: its simulation, and one server and its sites as processes on this machine.

Both train what `federated.federate` trains, bit for bit on one machine.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .federated import Federation, Job
from .federated_apps import import_flower, make_client_app, make_server_app
from .federated_files import read_federation, write_federation, write_site
from .processes import HERE, Processes, free_ports, quiet_environment
from .recipe import Recipe
from .sites import Site, check_sites


def simulate(sites: Sequence[Site], recipe: Recipe, **options: Any) -> Federation:
    """Train the sites' common model in Flower's simulation; options and errors as for `simulate_all`.

    Raises FloatingPointError when training diverges.
    """
    (trained,) = simulate_all([(sites, recipe)], **options)
    if trained is None:
        raise FloatingPointError(f"validation loss was never finite in {recipe.rounds} rounds: lower lr")
    return trained


def simulate_all(
    jobs: Sequence[Job], *, cpus: int = 1, gpus_per_site: float = 0.0, timeout_s: float = 600.0
) -> list[Federation | None]:
    """Train each job (sites, recipe) in one run of Flower's simulation: virtual sites on Ray workers of this machine.

    Workers take some 20 s to start and a tenth of a second a round, which is why many jobs share a run. None stands
    for training that diverged. cpus: workers at the same time. gpus_per_site: share of a GPU for each; 0 keeps them on
    the CPU. timeout_s: for the replies of a round.
    Raises ValueError as `check_sites`, RuntimeError when a site fails or does not answer in time.
    """
    if not jobs:
        return []
    for sites, _ in jobs:
        check_sites(sites)
    import_flower()
    import ray
    from flwr.simulation import run_simulation

    kept: list[Federation | None] = []
    folder = Path(tempfile.mkdtemp(prefix="medrepro-federation-"))
    nodes = max(len(sites) for sites, _ in jobs)
    with Processes(folder), _environment(quiet_environment(folder)):
        files = [_write_sites(sites, folder / f"job-{number}") for number, (sites, _) in enumerate(jobs)]

        def find_site(context: Any, job: int) -> Path | None:
            place = int(context.node_config["partition-id"])
            return files[job][place] if place < len(files[job]) else None

        wanted = [(recipe, [site.name for site in sites]) for sites, recipe in jobs]
        try:
            with _hushed():
                run_simulation(
                    server_app=make_server_app(wanted, kept.append, nodes=nodes, timeout_s=timeout_s),
                    client_app=make_client_app(find_site),
                    num_supernodes=nodes,
                    backend_config={
                        "init_args": {
                            "num_cpus": cpus,
                            "include_dashboard": False,
                            "log_to_driver": False,
                            "logging_level": "ERROR",
                        },
                        "client_resources": {"num_cpus": 1, "num_gpus": gpus_per_site},
                    },
                )
        finally:
            ray.shutdown()
    if len(kept) != len(jobs):
        raise RuntimeError(f"the simulation ended with {len(kept)} of {len(jobs)} models")
    return kept


def run_processes(sites: Sequence[Site], recipe: Recipe, *, timeout_s: float = 600.0) -> Federation:
    """Train the sites' common model with a Flower server and one process a site, talking over the loopback device.

    Each site's process knows the path of its own file only. Ports are free ones; all processes are ended on return, on
    an error, and when this process is killed.
    Raises ValueError as `check_sites`, RuntimeError with the end of the log when a process ends early or a site fails,
    TimeoutError when there is no model after timeout_s seconds.
    """
    check_sites(sites)
    import_flower()
    folder = Path(tempfile.mkdtemp(prefix="medrepro-federation-"))
    with Processes(folder) as group:
        files = _write_sites(sites, folder)
        fleet, control, *runtimes = free_ports(3 + len(sites))
        _write_app(folder, recipe, [site.name for site in sites], timeout_s)
        _write_connection(folder, control)
        group.start(
            "server",
            ["flower-superlink", "--insecure", "--disable-runtime-dependency-installation",
             "--fleet-api-address", f"{HERE}:{fleet}", "--control-api-address", f"{HERE}:{control}",
             "--host", HERE, "--port", str(runtimes[0])],
        )  # fmt: skip
        deadline = time.monotonic() + timeout_s
        group.wait_for_port(fleet, deadline)
        group.wait_for_port(control, deadline)
        for number, (file, port) in enumerate(zip(files, runtimes[1:], strict=True)):
            group.start(
                f"site-{number}",
                ["flower-supernode", "--insecure", "--superlink", f"{HERE}:{fleet}", "--host", HERE,
                 "--port", str(port), "--node-config", f"site-file={json.dumps(str(file))}"],
            )  # fmt: skip
        group.finish("submit", ["flwr", "run", str(folder / "app"), "loopback"], deadline)
        while not (folder / "out" / "federation.json").exists():
            group.check(deadline)
            time.sleep(0.05)
        return read_federation(folder / "out")


def server_app_of(job: Path) -> Any:
    """The server's app of a folder that `run_processes` prepared; it leaves the model, or the error, in `out`."""
    wanted = json.loads(job.read_text(encoding="utf-8"))
    out = job.parent / "out"

    def keep(trained: Federation | None) -> None:
        if trained is None:
            raise FloatingPointError("validation loss was never finite: lower lr")
        write_federation(trained, out)

    job_of_all = (Recipe(**wanted["recipe"]), wanted["sites"])
    app = make_server_app([job_of_all], keep, nodes=len(wanted["sites"]), timeout_s=wanted["timeout_s"])
    return _reporting(app, out)


def _reporting(app: Any, out: Path) -> Any:
    """The same app, which also writes why it failed where the starting process looks."""
    from flwr.serverapp import ServerApp

    outer = ServerApp()

    @outer.main()
    def main(grid: Any, context: Any) -> None:
        try:
            app(grid, context)
        except Exception as error:
            out.mkdir(exist_ok=True)
            (out / "error.part").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
            (out / "error.part").replace(out / "error.txt")
            raise

    return outer


def _write_sites(sites: Sequence[Site], folder: Path) -> list[Path]:
    files = []
    for number, site in enumerate(sites):
        own = folder / f"site-{number}"
        own.mkdir(parents=True)
        write_site(site, own / "cases.safetensors")
        files.append(own / "cases.safetensors")
    return files


def _write_app(folder: Path, recipe: Recipe, sites: list[str], timeout_s: float) -> None:
    """A Flower project of a few lines: Flower sends code as a bundle, this one only names the package's apps."""
    job = {"recipe": json.loads(recipe.to_json()), "sites": sites, "timeout_s": timeout_s}
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    app = folder / "app"
    app.mkdir()
    (app / "server.py").write_text(
        "from pathlib import Path\n\nfrom medrepro.training.federated_run import server_app_of\n\n"
        f"app = server_app_of(Path({str(folder / 'job.json')!r}))\n",
        encoding="utf-8",
    )
    (app / "client.py").write_text(
        "from medrepro.training.federated_apps import make_client_app\n\napp = make_client_app()\n", encoding="utf-8"
    )
    (app / "pyproject.toml").write_text(
        '[project]\nname = "federation"\nversion = "1.0.0"\ndescription = "Federated averaging"\n'
        'license = "Apache-2.0"\ndependencies = []\n\n'
        '[tool.flwr.app]\npublisher = "medrepro"\n\n'
        '[tool.flwr.app.components]\nserverapp = "server:app"\nclientapp = "client:app"\n',
        encoding="utf-8",
    )


def _write_connection(folder: Path, control: int) -> None:
    """Flower's settings: where `flwr run` finds the server."""
    (folder / "home").mkdir()
    (folder / "home" / "config.toml").write_text(
        f'[superlink]\ndefault = "loopback"\n\n[superlink.loopback]\naddress = "{HERE}:{control}"\ninsecure = true\n',
        encoding="utf-8",
    )


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _hushed() -> Iterator[None]:
    """Nothing from Flower's logger: what goes wrong is raised."""
    logger = logging.getLogger("flwr")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
