"""monitor: its state, windows, quality, retrains."""

from __future__ import annotations

import typer

from capstan_client.cli.output import AsJson, Project, rows, run, say, show

app = typer.Typer(help="Drift, live quality, retrains.", no_args_is_help=True)


@app.command("show")
def state(loop: str, as_json: AsJson = False, project: Project = "default") -> None:
    """What a monitor watches, how far its time has come, and which predictions it has taken in."""
    found = run(lambda capstan: capstan.monitoring.monitor(loop), project)

    def table() -> None:
        names = ("version", "watermark", "alarm", "predictions", "labelled", "never labelled", "waiting")
        cells = (found.model_version, found.watermark, found.alarm, found.predictions, found.labelled, found.unlabelled)
        rows(loop, names, [(*cells, found.waiting)])
        if found.waiting:
            say(f"{found.waiting:,} prediction(s) wait for the promotion of their package to be told: in no window yet")

    show(found, as_json, table)


@app.command()
def windows(loop: str, as_json: AsJson = False, project: Project = "default") -> None:
    """Windows of event time with the strongest drift in each."""
    history = run(lambda capstan: capstan.monitoring.windows(loop), project)
    lines = []
    for window in history:
        top = next((figure for figure in window.columns if not figure.seasonal), None)  # drifted ones come first
        strongest = f"{top.column} {top.effect:.3f} ({top.statistic})" if top else None
        lines.append((window.start, window.end, window.model_version, window.rows, window.state, strongest))
    show(history, as_json, lambda: rows(loop, ("from", "to", "version", "rows", "state", "strongest drift"), lines))


@app.command()
def quality(loop: str, as_json: AsJson = False, project: Project = "default") -> None:
    """Live quality per window, with a 95 % confidence interval."""
    measured = run(lambda capstan: capstan.monitoring.quality(loop), project)
    lines = [
        (q.start, q.end, q.model_version, q.metric, q.value, q.low, q.high, q.labelled, q.coverage) for q in measured
    ]
    names = ("from", "to", "version", "metric", "value", "low", "high", "labelled", "coverage")
    show(measured, as_json, lambda: rows(loop, names, lines))


@app.command()
def retrains(loop: str, as_json: AsJson = False, project: Project = "default") -> None:
    """Retrains that were requested or withheld, and why."""
    history = run(lambda capstan: capstan.monitoring.retrains(loop), project)
    lines = [(r.at, r.state, r.reason, r.why, r.run) for r in history]
    show(history, as_json, lambda: rows(loop, ("at", "state", "reason", "why", "run"), lines))
