"""Which virtual environments exist, what each holds, and the lock that pins it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"

LIBS = (
    "libs/contracts",
    "libs/formats",
    "libs/evaluation",
    "libs/packages",
    "libs/engines",
    "libs/servicekit",
    "libs/client",
    "libs/testkit",
)
SERVICES = (
    "services/ingestion",
    "services/feature-store",
    "services/training",
    "services/registry",
    "services/inference",
    "services/monitoring",
)
IMAGE_LIBS = tuple(lib for lib in LIBS if lib not in ("libs/client", "libs/testkit"))
"""The libraries whose sources are in every container image."""

JOB_LIBS = IMAGE_LIBS
"""Importable in every job environment. Of the service kit only the job host runs there, on the standard library."""

PINNED_IN_JOBS = ("libs/contracts", "libs/formats", "libs/evaluation", "libs/packages")
"""The libraries whose own dependencies every job environment has; others are named in a service's extra `jobs`."""


@dataclass(frozen=True)
class Environment:
    """One virtual environment: its folder, the locks that fill it, and the distributions put in as sources."""

    name: str
    folder: Path
    locks: tuple[str, ...]
    distributions: tuple[str, ...]


def job_environment(service: str) -> Environment:
    """Return the environment in which the heavy jobs of one service run."""
    return Environment(service, ROOT / ".venvs" / service, (service,), (*JOB_LIBS, f"services/{service}"))


PLATFORM = Environment("platform", ROOT / ".venv", ("dev", "recipe"), (*LIBS, *SERVICES))
JOB_SERVICES = ("ingestion", "training", "registry", "monitoring")
DOCS = Environment("docs", ROOT / ".venvs" / "docs", ("docs",), ())
ENVIRONMENTS = {"platform": PLATFORM, "docs": DOCS, **{service: job_environment(service) for service in JOB_SERVICES}}

IMAGE_BASE_LIBS = ("libs/contracts", "libs/formats", "libs/evaluation", "libs/packages", "libs/servicekit")
"""The libraries whose own dependencies are the layer that all six images share."""

NOT_IN_IMAGES = ("narwhals", "scipy")
"""LightGBM's Python package asks for them; our processes load its C library alone (110 MB less)."""

OPENMP_FROM = "scikit-learn"
"""The locked wheel that carries the OpenMP runtime which LightGBM's library needs and a slim base image lacks."""
