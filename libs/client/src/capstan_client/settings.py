"""Where the platform's state is, and how to reach it. The only reader of the environment in this package."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = ".capstan"


def home_folder(start: Path | None = None) -> Path:
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
