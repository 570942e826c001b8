"""The two halves of federated averaging as Flower apps: one pair, for its simulation and for separate processes.

Flower carries the messages and starts the clients; what a site trains and how the server averages is `federated`'s.
A site validates the weights that it gets before it trains on, so that a round is one message; only the last round's
weights are sent out once more. (Between processes a message costs seconds, since Flower polls and starts a new client
process for each.)
Flower's own FedAvg goes on with the sites that answered when one fails, and adds up replies in the order in which they
arrive; here a missing site ends the run, and the sum has one order. Flower is imported when an app is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from .federated import Federation, Server, State, Update, train_locally, validation_loss
from .federated_files import read_site
from .recipe import Recipe
from .sites import Site

QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "RAY_USAGE_STATS_ENABLED": "0"}
NO_PART = ""  # in place of its name, from a node that has no part in a job


def import_flower() -> Any:
    """The package flwr, with telemetry and its search for updates switched off first.

    Raises ImportError that says what to install.
    """
    os.environ.update(QUIET)
    try:
        import flwr
        from flwr.supercore import telemetry
    except ImportError as error:
        raise ImportError("Flower is needed for this: pip install 'flwr[simulation]==1.35.*'") from error
    telemetry.FLWR_TELEMETRY_ENABLED = "0"  # read at import, which may have been before
    return flwr


def make_client_app(find_site: Callable[[Any, int], Path | None] | None = None) -> Any:
    """A `ClientApp` that trains and validates on one site's file.

    find_site: path of the site's file from Flower's `Context` and the number of the job, None when this node has no
    part in that job; by default the node's own setting `site-file`. The recipe comes with every message.
    """
    import_flower()
    from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp

    app = ClientApp()

    def opened(message: Any, context: Any) -> tuple[Site, Recipe, State, int] | None:
        config = message.content["config"]
        path = context.node_config["site-file"] if find_site is None else find_site(context, int(config["job"]))
        if path is None:
            return None
        state = message.content["arrays"].to_torch_state_dict()
        return read_site(Path(path)), Recipe.from_json(config["recipe"]), state, int(config["server-round"])

    def answer(message: Any, site: str, **records: Any) -> Any:
        return Message(content=RecordDict({"config": ConfigRecord({"site": site}), **records}), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        task = opened(message, context)
        if task is None:
            return answer(message, NO_PART)
        site, recipe, state, round_ = task
        update = train_locally(recipe, site.name, site.train, state, round_)
        loss = validation_loss(recipe, site.val, state)
        metrics = MetricRecord({"weight": update.weight, "steps": update.steps, "loss": loss})
        return answer(message, site.name, arrays=ArrayRecord(update.state), metrics=metrics)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        task = opened(message, context)
        if task is None:
            return answer(message, NO_PART)
        site, recipe, state, _ = task
        return answer(message, site.name, metrics=MetricRecord({"loss": validation_loss(recipe, site.val, state)}))

    return app


def make_server_app(
    jobs: Sequence[tuple[Recipe, Sequence[str]]],
    keep: Callable[[Federation | None], None],
    *,
    nodes: int,
    timeout_s: float,
) -> Any:
    """A `ServerApp` that runs each job (recipe, names of its sites) and hands the trained model, or None, to `keep`.

    nodes: how many clients it waits for. timeout_s: seconds that it waits for the replies of a round. None stands for
    training that diverged. It raises RuntimeError when a site failed, and ValueError when one of a job is missing.
    """
    import_flower()
    from flwr.app import ArrayRecord, ConfigRecord, MetricRecord
    from flwr.serverapp import ServerApp
    from flwr.serverapp.strategy import FedAvg

    class OrderedFedAvg(FedAvg):
        """Full participation, checked; averaged by `federated.Server`."""

        def __init__(self, server: Server) -> None:
            super().__init__(min_train_nodes=nodes, min_evaluate_nodes=nodes, min_available_nodes=nodes)
            self.server = server

        def aggregate_train(self, server_round: int, replies: Iterable[Any]) -> tuple[Any, Any]:
            contents = _contents(server_round, replies)
            if server_round > 1:
                self.server.record(_losses(contents))
            return ArrayRecord(self.server.update(_updates(contents))), MetricRecord()

        def configure_evaluate(self, server_round: int, *arguments: Any) -> Iterable[Any]:
            last = server_round == self.server.recipe.rounds
            return super().configure_evaluate(server_round, *arguments) if last else []

        def aggregate_evaluate(self, server_round: int, replies: Iterable[Any]) -> Any:
            if server_round == self.server.recipe.rounds:
                self.server.record(_losses(_contents(server_round, replies)))
            return None

    app = ServerApp()

    @app.main()
    def main(grid: Any, context: Any) -> None:
        for number, (recipe, sites) in enumerate(jobs):
            server = Server(recipe, sites)
            config = {"recipe": recipe.to_json(), "job": number}
            OrderedFedAvg(server).start(
                grid=grid,
                initial_arrays=ArrayRecord(server.state),
                num_rounds=recipe.rounds,
                timeout=timeout_s,
                train_config=ConfigRecord(config),
                evaluate_config=ConfigRecord(config),
            )
            try:
                keep(server.result())
            except FloatingPointError:
                keep(None)

    return app


def _contents(server_round: int, replies: Iterable[Any]) -> list[Any]:
    """What the sites of the job sent; RuntimeError with the reason when one of them failed."""
    found = list(replies)
    for reply in found:
        if reply.has_error():
            reason = str(reply.error.reason).strip(" '>").splitlines()[-1]  # the rest is a traceback
            raise RuntimeError(f"a site failed in round {server_round}: {reason}")
    return [reply.content for reply in found if reply.content["config"]["site"] != NO_PART]


def _updates(contents: list[Any]) -> dict[str, Update]:
    """What each site trained, by its name."""
    return {
        str(content["config"]["site"]): Update(
            content["arrays"].to_torch_state_dict(),
            float(content["metrics"]["weight"]),
            int(content["metrics"]["steps"]),
        )
        for content in contents
    }


def _losses(contents: list[Any]) -> dict[str, float]:
    """Validation loss of the weights that were sent out, by site."""
    return {str(content["config"]["site"]): float(content["metrics"]["loss"]) for content in contents}
