"""What the commands print: tables for people, JSON with `--json`, one clear message when something is wrong."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.table import Table

from capstan_client.sdk.capstan import Capstan
from capstan_client.sdk.transport import CapstanProblem, Unreachable
from capstan_servicekit.errors import CapstanError

T = TypeVar("T")
console = Console()
errors = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Project = Annotated[str, typer.Option("--project", "-p", help="The project (tenant).", envvar="CAPSTAN_PROJECT")]


def run(work: Callable[[Capstan], Awaitable[T]], project: str) -> T:
    """Run something against the platform of this machine; problems become one message and exit status 1."""

    async def go() -> T:
        async with Capstan.connect(project=project) as capstan:
            return await work(capstan)

    try:
        return asyncio.run(go())
    except (CapstanProblem, Unreachable, TimeoutError, FileNotFoundError) as error:
        fail(str(error))
    except CapstanError as error:
        places = "".join(f"\n  {item.place}: {item.rule}" for item in error.errors)
        fail(f"{error.detail}{places}" + (f"\n{error.hint}" if error.hint else ""))


def fail(message: str) -> NoReturn:
    """Say what is wrong and exit with status 1."""
    errors.print(message, style="red", markup=False, highlight=False)
    raise typer.Exit(1)


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


def rows(title: str, columns: Sequence[str], lines: Iterable[Sequence[Any]], *, empty: str = "Nothing yet.") -> None:
    """A table, or a sentence when there are no rows."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    count = 0
    for line in lines:
        table.add_row(*(text(cell) for cell in line))
        count += 1
    if count:
        console.print(table)
    else:
        console.print(empty)


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
