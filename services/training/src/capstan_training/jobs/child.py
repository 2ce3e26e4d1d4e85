"""Starts the processes in which user code runs: in a box, own folder, fixed hash seed and thread count, no stdin."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from capstan_servicekit.jobs.box import enter, program
from capstan_servicekit.jobs.box.kernel import adopts_orphans
from capstan_servicekit.jobs.box.spec import Box
from capstan_servicekit.jobs.box.tree import end_below, me


def run_child(
    module: str,
    *arguments: str,
    folder: Path,
    output: BinaryIO,
    readable: Iterable[Path],
    writable: Iterable[Path] = (),
    threads: int = 1,
) -> int:
    """Run `python -m module` in `folder` until it ends; its exit status (negative: the signal that ended it).

    The box: `readable` can be read, `folder` and `writable` be written, nothing else is there but the interpreter with
    its environment. When this returns, no process that the child has started is left. The child stays in this process
    group. Its variables are set by `env`: a fixed hash seed and thread count are part of what makes the same pins give
    the same bytes.
    """
    temporary, order = folder / "tmp", folder.with_name(f"{folder.name}-box.json")
    temporary.mkdir(exist_ok=True)
    box = Box(tuple(map(str, (*readable, order))), tuple(map(str, (folder, *writable))))
    order.write_text(program.order(box, apart=enter.is_apart()))
    variables = [
        f"TMPDIR={temporary}",
        f"HOME={folder}",
        "PYTHONHASHSEED=0",
        "PYTHONUNBUFFERED=1",
        "COLUMNS=80",
        *(f"{name}={threads}" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")),
    ]
    command = ["env", *variables, sys.executable, "-P", "-m", program.__name__, str(order), module, *arguments]
    adopts_orphans()
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
        )
        return done.returncode
    finally:
        with suppress(OSError):  # where no signal may be sent, they end with the job
            end_below(me())
