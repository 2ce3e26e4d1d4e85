"""The story on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from demo.steps import Step


class Terminal:
    """Lines above, and what is being done now below them."""

    def __init__(self) -> None:
        self.console = Console()
        self._status = self.console.status("")
        self._now = ""

    def __enter__(self) -> Terminal:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def say(self, text: str) -> None:
        """A line."""
        self.console.print(f"  {text}", markup=False, highlight=False)

    def busy(self, text: str) -> None:
        """What is being done now."""
        self._status.update(text)
        if not self.console.is_terminal and text != self._now:
            self.console.print(f"- {text}", markup=False, highlight=False)
        self._now = text

    def table(self, steps: list[Step]) -> None:
        """What happened."""
        table = Table(title="What happened", title_justify="left", header_style="bold")
        for column in ("", "step", "expected", "seen", "s"):
            table.add_column(column, overflow="fold")
        for step in steps:
            mark = "[green]held[/]" if step.ok else "[red]failed[/]"
            table.add_row(mark, step.name, step.expected, step.observed, f"{step.seconds:.1f}")
        self.console.print(table)
