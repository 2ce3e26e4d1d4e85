"""Tables for terminals, lines for pipes, JSON for programs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import typer
from rich.console import Console

from capstan_client.cli import output
from capstan_contracts.rest.registry import LedgerVerification

LONG = "a sentence about a gate that goes on well beyond the eighty columns that a pipe is taken to have, and further"


@dataclass
class Thing:
    at: datetime
    parts: list[tuple[str, int]]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], io.StringIO]:
    """What the commands print, to a terminal of 80 columns or to a pipe."""

    def to(terminal: bool) -> io.StringIO:
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=80, color_system=None)
        monkeypatch.setattr(output, "console", console)
        return out

    return to


def test_a_pipe_gets_one_line_for_each_row(printed: Any) -> None:
    out = printed(False)
    output.rows("Gates", ("gate", "what"), [("auc", LONG), ("slice", "two\nlines")])
    assert out.getvalue().splitlines() == ["Gates", "gate   what", f"auc    {LONG}", "slice  two lines"]


def test_a_terminal_gets_a_table_that_fits(printed: Any) -> None:
    out = printed(True)
    output.rows("Gates", ("gate", "what"), [("auc", LONG)])
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(out.getvalue().replace("│", " ").split()).count("eighty columns") == 1


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("cell", ["[0-9]+", "[/b]", "[red]x", "[link=http://x]y"])
def test_brackets_are_text(printed: Any, terminal: bool, cell: str) -> None:
    out = printed(terminal)
    output.rows(f"title {cell}", (f"column {cell}",), [(cell,)])
    output.say(cell)
    assert out.getvalue().count(cell) == 4


def test_no_rows_are_a_sentence(printed: Any) -> None:
    out = printed(False)
    output.rows("Runs", ("run",), [])
    output.rows("Letters", ("letter",), iter([]), empty="No dead letters.")
    assert out.getvalue() == "Nothing yet.\nNo dead letters.\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"), (True, "True"), (1234567, "1,234,567"), (0.123456, "0.1235"), (1e-9, "1e-09"), ("x", "x"),
        (datetime(2013, 1, 2, tzinfo=UTC), "2013-01-02"), (datetime(2013, 1, 2, 3, 4, tzinfo=UTC), "2013-01-02 03:04"),
    ],
)  # fmt: skip
def test_cells(value: Any, shown: str) -> None:
    assert output.text(value) == shown


def test_json_has_models_dataclasses_times_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    thing = Thing(datetime(2013, 1, 2, tzinfo=UTC), [("a", 1)])
    value = {"ledger": LedgerVerification(intact=True, entries=1), "things": [thing], 7: None}
    output.show(value, True, lambda: pytest.fail("a table was asked for"))
    assert json.loads(capsys.readouterr().out) == {
        "ledger": {"intact": True, "entries": 1, "broken_at": None, "head": ""},
        "things": [{"at": "2013-01-02T00:00:00Z", "parts": [["a", 1]]}],
        "7": None,
    }


def test_a_failure_is_said_on_the_error_output_unwrapped(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        output.fail(f"[b]{LONG}")
    assert ended.value.exit_code == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"[b]{LONG}\n")
