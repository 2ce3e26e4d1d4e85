"""Where the platform's state is, and how to reach it. The only reader of the environment in this package."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FOLDER = ".capstan"


@dataclass(frozen=True)
class Patience:
    """Seconds: between two questions, until silence is looked into, and until even a busy part is replaced."""

    every_s: float
    silent_s: float
    busy_s: float


_CONNECTION: list[Path] = []


def use_connection(folder: Path) -> None:
    """From now on in this process, the platform is the one that this folder's record leads to."""
    _CONNECTION[:] = [folder]


def home_folder() -> Path:
    """The folder of the platform in use: that of the chosen connection, else this machine's own."""
    return _CONNECTION[0] if _CONNECTION else own_home()


def own_home(start: Path | None = None) -> Path:
    """The folder with all state: `CAPSTAN_HOME`, else the nearest `.capstan` upwards, else `~/.capstan`."""
    if chosen := os.environ.get("CAPSTAN_HOME"):
        return Path(chosen).expanduser().absolute()
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / FOLDER).is_dir():
            return folder / FOLDER
    return Path.home() / FOLDER


def chosen_token() -> str | None:
    """A token given by `CAPSTAN_TOKEN`, instead of the laptop's own."""
    return os.environ.get("CAPSTAN_TOKEN")


def chosen_job_pythons() -> str | None:
    """`CAPSTAN_JOB_PYTHONS`: JSON of job group -> interpreter."""
    return os.environ.get("CAPSTAN_JOB_PYTHONS")


PATIENCE = Patience(every_s=1, silent_s=5, busy_s=60)
"""A healthy service answers in milliseconds, on an idle machine and on a loaded one within a second or two. After 5 s
of silence the kernel is asked: what is stopped or waits for nothing is ended, so that it is back within 10 s. What has
work or stands in line for a processor is busy, and gets a minute."""


def liveness_patience() -> Patience:
    """`CAPSTAN_LIVENESS`: three numbers of seconds, as `1,5,60`, or PATIENCE. ValueError where it is anything else."""
    text = os.environ.get("CAPSTAN_LIVENESS")
    if not text:
        return PATIENCE
    try:
        every_s, silent_s, busy_s = (float(part) for part in text.split(","))
        if not 0 < every_s < silent_s <= busy_s:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"CAPSTAN_LIVENESS is {text!r}; give three numbers of seconds that grow, as 1,5,60: between two questions, "
            "until a silent part that does nothing is ended, until a busy one is"
        ) from None
    return Patience(every_s, silent_s, busy_s)


def current_environment() -> dict[str, str]:
    """A copy of the environment, for a child process of the same user."""
    return dict(os.environ)
