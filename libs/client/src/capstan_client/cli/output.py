"""What the commands print: tables for people, JSON with `--json`, one clear message when something is wrong."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from capstan_client.sdk.capstan import Capstan
from capstan_client.sdk.transport import SdkError
from capstan_contracts.work import Progress
from capstan_servicekit.errors import CapstanError

T = TypeVar("T")
_UNWRAPPED = 10_000
console = Console()
errors = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Project = Annotated[str, typer.Option("--project", "-p", help="The project (tenant).", envvar="CAPSTAN_PROJECT")]


def run(work: Callable[[Capstan], Awaitable[T]], project: str) -> T:
    """Run something against the platform of this machine; problems become one message and exit status 1.

    What the platform says is never a traceback: see `SdkError`. Whatever else is raised is a fault of ours.
    """

    async def go() -> T:
        async with Capstan.connect(project=project) as capstan:
            return await work(capstan)

    try:
        return asyncio.run(go())
    except (SdkError, TimeoutError) as error:
        fail(str(error))
    except CapstanError as error:
        fail(error_text(error))


def error_text(error: CapstanError) -> str:
    """An error of ours as people read it: what, where, and what to do."""
    places = "".join(f"\n  {item.place}: {item.rule}" for item in error.errors)
    return f"{error.detail}{places}" + (f"\n{error.hint}" if error.hint else "")


def fail(message: str) -> NoReturn:
    """Say what is wrong and exit with status 1."""
    errors.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def say(message: str) -> None:
    """Print text as it is: no markup, no colours, no line breaks of ours."""
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def waiting(for_what: str) -> AbstractContextManager[object]:
    """A sign on a terminal that something is waited for."""
    return console.status(Text(for_what))


@contextmanager
def counting(unit: str) -> Iterator[Callable[[Progress], None]]:
    """A sign on a terminal that says how far something is, as it is told."""
    with console.status(Text(unit)) as status:
        yield lambda progress: status.update(Text(f"{progress.done} of {progress.total} {unit}  {progress.message}"))


def show(value: Any, as_json: bool, table: Callable[[], None]) -> None:
    """Print `value` as JSON, or let `table` print it for people."""
    if as_json:
        sys.stdout.write(json.dumps(plain(value), indent=2) + "\n")
    else:
        table()


def plain(value: Any) -> Any:
    """Models and dataclasses as JSON data."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return to_jsonable_python(value)


def draw(drawing: RenderableType) -> None:
    """Print a tree; where no terminal reads it, its lines are not wrapped."""
    (console if console.is_terminal else Console(width=_UNWRAPPED)).print(drawing, highlight=False)


def rows(title: str, columns: Sequence[str], lines: Iterable[Sequence[Any]], *, empty: str = "Nothing yet.") -> None:
    """A table, or a sentence when there are no rows. Where no terminal reads it, one line per row, never wrapped."""
    cells = [[text(cell) for cell in line] for line in lines]
    if not cells:
        say(empty)
    elif console.is_terminal:
        table = Table(title=Text(title), title_justify="left", header_style="bold")
        for column in columns:
            table.add_column(Text(column), overflow="fold")
        for line in cells:
            table.add_row(*(Text(cell) for cell in line))
        console.print(table)
    else:
        plain_cells = [[" ".join(cell.split()) for cell in line] for line in cells]
        say("\n".join([title, *_aligned([columns, *plain_cells])]))


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def text(value: Any) -> str:
    """A cell."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d" if (value.hour, value.minute) == (0, 0) else "%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)
