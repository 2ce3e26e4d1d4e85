"""data: datasets, batches, quarantine, versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capstan_client.cli.ids import batch_id
from capstan_client.cli.output import AsJson, Project, counting, fail, rows, run, say, show, waiting
from capstan_client.sdk.batch_file import batch_file, partition_of
from capstan_client.sdk.capstan import Capstan
from capstan_contracts.ids import short
from capstan_contracts.rest.ingestion import Batch, BatchState, Scrub, ScrubFinding
from capstan_contracts.work import State
from capstan_servicekit.objects.port import PUT_BACK

app = typer.Typer(help="Datasets, batches, quarantine, versions.", no_args_is_help=True)


@app.command("list")
def datasets(as_json: AsJson = False, project: Project = "default") -> None:
    """Datasets with their newest version."""
    catalogue = run(lambda capstan: capstan.ingestion.datasets(), project)
    lines = [(d.name, short(d.latest) if d.latest else None, d.rows, d.partitions) for d in catalogue]
    show(catalogue, as_json, lambda: rows("Datasets", ("dataset", "version", "rows", "partitions"), lines))


@app.command()
def schema(dataset: str, as_json: AsJson = False, project: Project = "default") -> None:
    """The columns that the next file is read as; a `columns:` of the dataset changes them."""
    shown = run(lambda capstan: capstan.ingestion.dataset(dataset), project)
    spec = shown.spec
    roles = dict.fromkeys(spec.keys, "key") | {spec.event_time: "event time"}
    lines = [
        (name, type_, "declared" if name in spec.columns else "from the files", roles.get(name))
        for name, type_ in shown.columns.items()
    ]
    show(
        shown.columns,
        as_json,
        lambda: rows(dataset, ("column", "type", "said by", "role"), lines, empty="No file yet."),
    )


@app.command()
def upload(
    dataset: str,
    file: Annotated[Path, typer.Argument(exists=True, help="Parquet, CSV, JSON lines, Arrow; .gz; a folder of them")],
    partition: Annotated[str, typer.Option(help="which part of the dataset this is (default: the file's stem)")] = "",
    media: Annotated[str, typer.Option(help="the medium, where the file's name does not tell it")] = "",
    replaces: Annotated[str, typer.Option(help="the quarantined batch that this one mends")] = "",
    allow_duplicate: Annotated[
        bool, typer.Option("--allow-duplicate", help="take bytes that another partition holds already")
    ] = False,
    as_json: AsJson = False,
    project: Project = "default",
) -> None:
    """Send a file, or a folder of part files as one batch, and wait for the verdict. Exit status 2: quarantined."""
    try:
        content, name = batch_file(file)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror or error}")

    async def send(capstan: Capstan) -> Batch:
        batch = await capstan.ingestion.upload(
            dataset,
            content,
            partition=partition or partition_of(file),
            filename=name,
            media=media or None,
            replaces=batch_id(replaces) if replaces else None,
            allow_duplicate=allow_duplicate,
        )
        with waiting(f"checking {name} against the contract of {dataset}"):
            return await capstan.ingestion.wait_for_batch(batch.id)

    _outcome(run(send, project), as_json)


@app.command()
def replay(batch: str, as_json: AsJson = False, project: Project = "default") -> None:
    """Check a quarantined batch again, under the contract as it is now."""

    async def again(capstan: Capstan) -> Batch:
        received = await capstan.ingestion.replay(batch_id(batch))
        return await capstan.ingestion.wait_for_batch(received.id)

    _outcome(run(again, project), as_json)


@app.command()
def batches(dataset: str, as_json: AsJson = False, project: Project = "default") -> None:
    """Batches of a dataset, newest first."""
    history = run(lambda capstan: capstan.ingestion.batches(dataset), project)
    lines = [(short(b.id), b.partition, b.filename, b.state.value, b.rows, b.received_at) for b in history]
    show(history, as_json, lambda: rows(dataset, ("batch", "partition", "file", "state", "rows", "received"), lines))


@app.command("failing-rows")
def failing_rows(batch: str, as_json: AsJson = False, project: Project = "default") -> None:
    """Rows of a quarantined batch that broke the contract."""
    failing = run(lambda capstan: capstan.ingestion.failing_rows(batch_id(batch)), project)
    names = list(failing.rows[0]) if failing.rows else []
    lines = [[row.get(name) for name in names] for row in failing.rows[:20]]
    show(failing, as_json, lambda: rows(f"{failing.total} failing rows (20 shown at most)", names, lines))


@app.command()
def versions(dataset: str, as_json: AsJson = False, project: Project = "default") -> None:
    """Versions of a dataset, newest first."""
    manifests = run(lambda capstan: capstan.ingestion.versions(dataset), project)
    lines = [(short(m.version), m.sequence, len(m.files), m.rows, m.dvc_md5, m.created_at) for m in manifests]
    show(manifests, as_json, lambda: rows(dataset, ("version", "sequence", "files", "rows", "DVC", "made"), lines))


@app.command()
def scrub(
    dataset: Annotated[str | None, typer.Argument(help="one dataset (default: all of the project)")] = None,
    as_json: AsJson = False,
    project: Project = "default",
) -> None:
    """Read every stored byte of datasets again. Exit status 1: something is damaged or gone, and stands there."""

    async def read(capstan: Capstan) -> Scrub:
        asked = await capstan.ingestion.scrub(dataset)
        with counting("objects read") as told:
            return await capstan.ingestion.wait_for_scrub(asked.id, told)

    found = run(read, project)

    def table() -> None:
        lines = [
            (one.dataset, one.condition, one.what, one.partition, one.path, short(one.digest), _versions(one))
            for one in found.findings
        ]
        names = ("dataset", "condition", "what", "partition", "file", "digest", "versions")
        rows("Damaged or gone", names, lines, empty=f"All {found.objects} objects are as they were stored.")

    show(found, as_json, table)
    if found.state is not State.SUCCEEDED:
        fail(found.problem.detail if found.problem else f"the scrub was {found.state.value}")
    if found.damaged or found.gone:
        fail(f"Of {found.objects} objects {found.damaged} are damaged and {found.gone} are gone. {PUT_BACK}")


def _versions(one: ScrubFinding) -> str:
    """The newest ones, and how many there are."""
    newest = ", ".join(short(version) for version in reversed(one.versions[-3:]))
    return f"{newest} and {len(one.versions) - 3} earlier" if len(one.versions) > 3 else newest


def _outcome(batch: Batch, as_json: bool) -> None:
    def table() -> None:
        say(f"batch {short(batch.id)} of {batch.dataset}/{batch.partition}: {batch.state.value}")
        failed = [c for c in (batch.verdict.checks if batch.verdict else []) if c.outcome != "passed"]
        lines = [(c.severity, c.key, c.failing_rows, c.sentence) for c in failed]
        rows("Broken rules", ("severity", "rule", "rows", "what"), lines, empty="Every rule of the contract holds.")

    show(batch, as_json, table)
    if batch.state is BatchState.FAILED:
        fail(batch.problem.detail if batch.problem else "the batch could not be checked")
    if batch.state is BatchState.QUARANTINED:
        raise typer.Exit(2)
