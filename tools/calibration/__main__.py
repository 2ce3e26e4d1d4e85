"""Simulate what the statistics say of themselves, and write it into docs/statistics: `make calibrate`.

    PYTHONPATH=tools python -m calibration [--whole] [--write] [NAME ...]

Each name is a table of a page. Without --whole the sizes are small (a minute or so for each), without --write the
tables are printed only. A table's place in its page is between `<!-- calibration: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from calibration.pages import TABLES, Table, written

DOCS = Path(__file__).resolve().parents[2] / "docs" / "statistics"


def main(arguments: Sequence[str] | None = None) -> int:
    """0; a page without the place of its table is an error with its name."""
    names = [table.name for table in TABLES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all where none is given")
    parser.add_argument("--whole", action="store_true", help="the sizes of the documentation: about three hours")
    parser.add_argument("--write", action="store_true", help="into docs/statistics, with pictures")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.names) - set(names)):
        parser.error(f"no table {unknown[0]!r}; there are {', '.join(names)}")
    for table in TABLES:
        if not given.names or table.name in given.names:
            make(table, whole=given.whole, write=given.write)
    return 0


def make(table: Table, *, whole: bool, write: bool) -> None:
    """One table: each line is shown as soon as it is known."""
    started, lines = time.monotonic(), []
    print(f"{table.name} ({table.page})", flush=True)
    for line in table.lines(whole):
        print(f"  {line}", flush=True)
        lines.append(line)
    print(f"  {time.monotonic() - started:.0f} s", flush=True)
    if write:
        written(DOCS, table, lines, whole=whole)


if __name__ == "__main__":
    sys.exit(main())
