"""Stands between the registry and its MLflow server: when the registry is gone, so is the server.

Standard library only. `python mlflow_guard.py COMMAND...` runs the command in its own process group. When stdin ends
(the registry was killed) or SIGTERM comes, the whole group is ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

GRACE_S = 1.0


def end_group(_signal: int | None = None, _frame: FrameType | None = None) -> None:
    """Ask every process of the group to stop, then end those that did not, this one included."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)


def _wait_for_the_end_of_stdin() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the command and end with it."""
    signal.signal(signal.SIGTERM, end_group)
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_wait_for_the_end_of_stdin, daemon=True).start()
    child.wait()
    end_group()


if __name__ == "__main__":
    main()
