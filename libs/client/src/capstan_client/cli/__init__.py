"""The `capstan` command."""

from __future__ import annotations

import typer

from capstan_client.cli import cluster, data, events, loop, models, monitor, platform, runs, trace

app = typer.Typer(
    name="capstan",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.callback()(cluster.choose)
app.command("connect")(cluster.connect)
platform.add_to(app)
loop.add_to(app)
trace.add_to(app)
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")
app.add_typer(models.app, name="models")
app.add_typer(monitor.app, name="monitor")
app.add_typer(events.app, name="events")
app.add_typer(models.ledger, name="ledger")


def main() -> None:
    """Entry point."""
    app()
