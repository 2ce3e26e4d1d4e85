"""Forks the process of a job, in a box of its own.

Why a fork is safe here: the worker has one thread of Python, and runs no code of a job itself. Threads that libraries
started when they were imported belong to OpenBLAS and jemalloc, which stop and restore them around a fork
(pthread_atfork(3)); none of them has worked yet, since nothing but imports ever happens in the worker.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

from capstan_servicekit.jobs import messages, task
from capstan_servicekit.jobs.api import in_a_fork
from capstan_servicekit.jobs.box import namespaces
from capstan_servicekit.jobs.box.enter import enter
from capstan_servicekit.jobs.box.kernel import LINUX, dies_with_parent
from capstan_servicekit.jobs.box.spec import Box, Limits


def fork(request: dict[str, Any], handle: int, *, closing: tuple[int, ...], apart: bool) -> int:
    """The process that carries a request out and says its messages into `handle`. It gives up the handles `closing`."""
    sys.stdout.flush()
    sys.stderr.flush()
    made = os.fork()
    if made:
        return made
    answer = task.answers_to(handle)
    try:
        _be_job(request, answer, closing, apart=apart)
    except BaseException as error:  # noqa: BLE001 - a box that cannot be closed: nothing of the tenant has run
        answer(messages.failed(f"the job's box could not be made: {error}", traceback.format_exc()))
    os._exit(1)


def _be_job(request: dict[str, Any], answer: task.Answer, closing: tuple[int, ...], *, apart: bool) -> NoReturn:
    if LINUX:
        dies_with_parent()
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    for inherited in closing:
        os.close(inherited)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    scratch = request["scratch"]
    box = Box(tuple(request["readable"]), (scratch, *request["writable"]), Limits(**request["limits"]))

    def inside() -> NoReturn:
        in_a_fork()
        _go_home(Path(scratch))
        enter(box, apart=apart)
        task.run(request, answer)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    if apart:
        os._exit(namespaces.run_apart(box, scratch, inside))
    inside()


def _go_home(scratch: Path) -> None:
    """Everything that asks for a place of its own gets one in scratch."""
    temporary = scratch / "tmp"
    temporary.mkdir(exist_ok=True)
    os.environ.update(TMPDIR=str(temporary), HOME=str(scratch))  # noqa: TID251 - written, for libraries; none is read
    tempfile.tempdir = None
    os.chdir(scratch)
