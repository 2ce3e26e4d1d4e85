"""How models and experiments are called inside MLflow, which has no projects of its own.

A model of project `default` keeps its name; one of another project is `<project>.<model>`. Names of projects and
models are DNS labels, so the dot is unambiguous. An experiment's project is what stands before its first dot or slash,
if that can be the name of a project: `acme/churn`, `acme.churn`; every other experiment belongs to `default`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from capstan_contracts.ids import NAME_PATTERN

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


def project_of_experiment(name: str) -> str:
    """The project that an experiment of this name belongs to."""
    prefix, *rest = re.split(r"[./]", name, maxsplit=1)
    return prefix if rest and re.fullmatch(NAME_PATTERN, prefix) else DEFAULT_PROJECT


def looks_like(text: str) -> str:
    """What a reader takes a name for: compatibility forms (NFKC) and case folded, invisible characters left out."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if unicodedata.category(char) not in ("Cf", "Cc")).strip()


def package_source(project: str, package: str) -> str:
    """The `source` of a version in MLflow: the package in the object store, by project and digest."""
    return f"capstan:/{project}/sha256/{package}"
