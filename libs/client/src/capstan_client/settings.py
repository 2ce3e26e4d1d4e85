"""Where the platform's state is, and how to reach it. The only reader of the environment in this package."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = ".capstan"


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


def current_environment() -> dict[str, str]:
    """A copy of the environment, for a child process of the same user."""
    return dict(os.environ)
