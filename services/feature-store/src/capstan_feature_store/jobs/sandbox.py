"""A DuckDB that reads the named files and nothing else: no other file, no extension, no network, bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from capstan_servicekit.jobs.api import JobRefused

Connection: TypeAlias = "duckdb.DuckDBPyConnection"
FILE, ROW = '"\x01file"', '"\x01row"'
"""SQL: the link to a row's file, and its place in there. No column of a dataset has such a name: ingestion refuses what
is not printable."""
FILE_INDEX = rf"regexp_extract({FILE}, '([0-9]+)\.parquet$', 1)::BIGINT"
"""SQL: the position of a row's file in the manifest, told by the name of the link to it."""
_ROW_NUMBER = "file_row_number"


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


def open_sandbox(
    scratch: Path, datasets: Mapping[str, Sequence[str]], *, memory_mb: int = 1024, threads: int = 1
) -> Connection:
    """A connection with each dataset attached; it may touch their files and `scratch`, where it also spills."""
    con = duckdb.connect(":memory:")
    folder = str(scratch.resolve())
    readable = [literal(str(Path(file).resolve())) for files in datasets.values() for file in files]
    for setting, value in (
        ("TimeZone", "'UTC'"),
        ("python_enable_replacements", "false"),
        ("autoinstall_known_extensions", "false"),
        ("autoload_known_extensions", "false"),
        ("memory_limit", f"'{int(memory_mb)}MB'"),
        ("threads", str(int(threads))),
        ("temp_directory", literal(f"{folder}/spill")),
        ("allowed_directories", f"[{literal(folder)}]"),
        ("allowed_paths", f"[{', '.join(readable)}]"),
        ("enable_external_access", "false"),
    ):
        con.execute(f"SET {setting} = {value}")
    con.execute("CREATE SCHEMA work")
    con.execute("CREATE SCHEMA located")
    for name, files in datasets.items():
        attach(con, scratch.resolve(), name, files)
    # The view's SQL runs on one thread, the rest on several; nothing else is ever set again.
    con.execute("SET allowed_configs = ['threads']")
    con.execute("SET lock_configuration = true")
    return con


@contextmanager
def within_memory(memory_mb: int) -> Iterator[None]:
    """Say what to do when the data needs more memory than it may have, instead of trying the same again."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        rule = f"fits into {memory_mb} MB and the disk; raise CAPSTAN_FEATURE_STORE_JOIN_MEMORY_MB"
        raise JobRefused(f"the data needs more memory: {rule}", errors=[("memory", rule)], code="overloaded") from error


def link_files(scratch: Path, dataset: str, files: Sequence[str]) -> list[str]:
    """Links to a dataset's files, in order, under names that need no escaping and carry their position."""
    if not files:
        raise JobRefused(f"this version of dataset {dataset!r} holds no file", errors=[(dataset, "at least one file")])
    folder = scratch / "input" / dataset
    folder.mkdir(parents=True)
    links = []
    for index, file in enumerate(files):
        link = folder / f"{index:06d}.parquet"
        link.symlink_to(file)
        links.append(str(link))
    return links


def attach(con: Connection, scratch: Path, dataset: str, files: Sequence[str]) -> None:
    """The dataset as a table under its own name, and as `located.<dataset>` with FILE and ROW."""
    links = [literal(link) for link in link_files(scratch, dataset, files)]
    read = _parquet(links)
    try:
        con.execute(f"CREATE VIEW main.{quoted(dataset)} AS SELECT * FROM {read})")
        names = {name.lower() for name in columns_of(con, f"main.{quoted(dataset)}")}
        if _ROW_NUMBER in names:
            # DuckDB does not read a file that has its own name for the place of a row; rows come in the file's order.
            parts = [
                f"SELECT *, {link} AS {FILE}, row_number() OVER () - 1 AS {ROW} FROM {_parquet([link])})"
                for link in links
            ]
            located = " UNION ALL BY NAME ".join(parts)
        else:
            options = f"filename = {literal(FILE.strip(chr(34)))}, {_ROW_NUMBER} = true"
            located = f"SELECT * EXCLUDE ({_ROW_NUMBER}), {_ROW_NUMBER} AS {ROW} FROM {read}, {options})"
        con.execute(f"CREATE VIEW located.{quoted(dataset)} AS {located}")
    except duckdb.Error as error:
        raise refusal(f"dataset {dataset!r} cannot be read", dataset, error) from error


def _parquet(links: Sequence[str]) -> str:
    """SQL that reads files, without its closing bracket. Nothing that a path says (`year=2013`) becomes a column."""
    return f"read_parquet([{', '.join(links)}], union_by_name = true, hive_partitioning = false"


def columns_of(con: Connection, relation: str) -> dict[str, str]:
    """Column names and DuckDB types of a relation, or of a SELECT in parentheses."""
    return {row[0]: row[1] for row in con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}


def scalar(con: Connection, query: str, parameters: Sequence[Any] = ()) -> Any:
    """The one value of a query."""
    row = con.execute(query, list(parameters)).fetchone()
    return None if row is None else row[0]


def refusal(detail: str, place: str, error: Exception) -> JobRefused:
    """An error of DuckDB about the caller's SQL or data, in one line and without its own marker line."""
    reason = str(error).split("\n\nLINE", 1)[0].replace("\n", " ").strip()[:500]
    return JobRefused(f"{detail}: {reason}", errors=[(place, reason)])
