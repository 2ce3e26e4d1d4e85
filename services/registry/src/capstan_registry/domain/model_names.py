"""How models are called inside MLflow, which has no projects of its own.

A model of project `default` keeps its name; one of another project is `<project>.<model>`. Names of projects and
models are DNS labels, so the dot is unambiguous.
"""

from __future__ import annotations

from typing import Final

DEFAULT_PROJECT: Final = "default"
CHAMPION_ALIAS: Final = "champion"
RESERVED_TAGS: Final = "capstan."


def mlflow_name(project: str, model: str) -> str:
    """The registered model's name in MLflow."""
    return model if project == DEFAULT_PROJECT else f"{project}.{model}"


def project_of(name: str) -> str:
    """The project that a name in MLflow belongs to."""
    project, dot, _ = name.partition(".")
    return project if dot else DEFAULT_PROJECT


def package_source(project: str, package: str) -> str:
    """The `source` of a version in MLflow: the package in the object store, by project and digest."""
    return f"capstan:/{project}/sha256/{package}"
