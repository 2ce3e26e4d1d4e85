"""`python -m capstan_servicekit.http.reload <module> [arguments]`: run a module, again when a source of ours changes.

For work on the code only: a development tool puts changed files into a running container. It looks at modification
times twice a second and lets the process end by itself before it starts the next.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

PERIOD_S = 0.5
GRACE_S = 10


def sources(paths: list[str]) -> list[Path]:
    """Folders on the import path that hold packages of ours."""
    return [Path(one) for one in paths if one and next(Path(one).glob("capstan_*/__init__.py"), None)]


def stamp(folders: list[Path]) -> dict[Path, float]:
    """When each source file was last changed."""
    found = {}
    for folder in folders:
        for file in folder.rglob("*.py"):
            try:
                found[file] = file.stat().st_mtime
            except FileNotFoundError:  # it is being replaced
                continue
    return found


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop the process, with force when it does not listen."""
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def follow(command: list[str], folders: list[Path]) -> None:
    """Keep the command running until this process is told to stop. One that ended by itself waits for a change."""
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    seen, process = stamp(folders), subprocess.Popen(command)
    while not stopping:
        time.sleep(PERIOD_S)
        now = stamp(folders)
        if now != seen:
            changed = sorted(str(file) for file in {*now, *seen} if now.get(file) != seen.get(file))
            print(f"reload: {', '.join(changed[:3])}", file=sys.stderr, flush=True)
            end(process)
            seen, process = now, subprocess.Popen(command)
    end(process)


def main() -> None:
    """Command line: everything after the own name goes to the module."""
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m capstan_servicekit.http.reload <module> [arguments]")
    follow([sys.executable, "-P", "-m", *sys.argv[1:]], sources(sys.path))


if __name__ == "__main__":
    main()
