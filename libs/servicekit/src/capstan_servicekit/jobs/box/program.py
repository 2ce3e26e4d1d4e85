"""Program: `python -P -m capstan_servicekit.jobs.box.program <order.json> <module> <arguments>`: run a module in a box.

Standard library and this package alone are imported before the box is closed.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

from capstan_servicekit.jobs.box.enter import enter
from capstan_servicekit.jobs.box.spec import Box


def order(box: Box, *, apart: bool) -> str:
    """What the program reads: limits are those of the process that starts it."""
    return json.dumps({"readable": box.readable, "writable": box.writable, "apart": apart})


def main() -> None:
    """Enter, then become the module."""
    told = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    enter(Box(tuple(told["readable"]), tuple(told["writable"])), apart=told["apart"])
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
