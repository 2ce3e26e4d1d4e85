"""What the jobs of training, and the processes below them, are given and make. Files are paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from capstan_contracts.documents import Scalar

Arguments: TypeAlias = Mapping[str, Scalar]
"""What a pipeline is called with."""

GROUP = "training"
"""The environment that has KFP."""


@dataclass(frozen=True)
class ArchiveToRead:
    """A recipe archive (tar.gz)."""

    archive: str


@dataclass(frozen=True)
class CompiledRecipe:
    """By `file.py:function`: the files of the IRs, what they declare (a Pipeline as JSON), and why others are missing.

    `irs` and `pipelines` have the same keys. An error may be that of a file as a whole.
    """

    irs: dict[str, str]
    pipelines: dict[str, dict[str, object]]
    errors: dict[str, str]


@dataclass(frozen=True)
class PipelineToRun:
    """`ir` is a file. `output` grows as the run goes on; None for the process's own stdout.

    `inputs`: the files that arguments name. The pipeline may read them, and none of them change.
    """

    ir: str
    inputs: list[str]
    arguments: dict[str, Scalar]
    label: str
    threads: int
    output: str | None


@dataclass(frozen=True)
class RunPipelineResult:
    """Either `failed`, a sentence; or package and holdout as files in scratch, and what was measured of them."""

    failed: str = ""
    package: str = ""
    digest: str = ""
    holdout: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FileToCompile:
    """To the child that imports a recipe's file: IR of each function is written into the folder `out`."""

    recipe: str
    file: str
    functions: list[str]
    out: str


@dataclass(frozen=True)
class CompiledFunction:
    """From that child: the file of the IR, or why there is none."""

    ir: str = ""
    error: str = ""


@dataclass(frozen=True)
class ChildRun:
    """To the child that runs a pipeline below `root`.

    It writes the places of the pipeline's own output artifacts (name to path, JSON) to `outputs`, or why it failed to
    `failure`, a text.
    """

    ir: str
    arguments: dict[str, Scalar]
    root: str
    outputs: str
    failure: str
