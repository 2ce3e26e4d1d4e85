"""Starts the processes in which user code runs: own temporary folder, fixed hash seed and thread count, no stdin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import BinaryIO


def run_child(module: str, *arguments: str, folder: Path, output: BinaryIO, threads: int = 1) -> int:
    """Run `python -m module` in `folder` until it ends; its exit status (negative: the signal that ended it).

    The child stays in the worker's process group, so it dies with the worker. Its variables are set by `env`: a fixed
    hash seed and thread count are part of what makes the same pins give the same bytes.
    """
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    variables = [
        f"TMPDIR={temporary}",
        "PYTHONHASHSEED=0",
        "PYTHONUNBUFFERED=1",
        "COLUMNS=80",
        *(f"{name}={threads}" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")),
    ]
    command = ["env", *variables, sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
    )
    return done.returncode
