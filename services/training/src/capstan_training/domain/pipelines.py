"""What a compiled pipeline (KFP's IR) declares: its parameters, its steps, its artifacts, and what it may not do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

from capstan_contracts.documents import JsonObject, Scalar
from capstan_training.domain.jobs import Arguments

Document: TypeAlias = Mapping[str, Any]
"""KFP's IR, or a part of it: JSON whose fields KFP defines. Also what `Pipeline.to_json` wrote."""

PACKAGE, HOLDOUT, METRICS = "package", "holdout", "metrics"
GIVEN: Final = ("training_set", "label", "manifest", "seed", "holdout_days")
"""Parameters that the platform gives to a pipeline that declares them; nobody else may set them."""

_KINDS: Final[dict[str, tuple[str, tuple[type, ...]]]] = {
    "NUMBER_INTEGER": ("a whole number", (int,)),
    "NUMBER_DOUBLE": ("a number", (int, float)),
    "STRING": ("a text", (str,)),
    "BOOLEAN": ("true or false", (bool,)),
}


class PipelineError(ValueError):
    """A compiled pipeline cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a pipeline: KFP's type name, and whether it may be left out."""

    kind: str
    optional: bool


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A compiled pipeline. `ir` is the digest of its IR YAML, `steps` the number of its tasks."""

    name: str
    ir: str
    steps: int
    parameters: Mapping[str, Parameter]

    def to_json(self) -> JsonObject:
        """What `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, source: Document) -> Pipeline:
        """Read what `to_json` wrote."""
        parameters = {name: Parameter(**value) for name, value in source["parameters"].items()}
        return cls(source["name"], source["ir"], source["steps"], parameters)

    @property
    def settable(self) -> list[str]:
        """The parameters that a loop or a person may set, sorted."""
        return sorted(set(self.parameters) - set(GIVEN))


def describe(ir: Document, digest: str = "") -> Pipeline:
    """Read the first YAML document of a compiled pipeline; PipelineError when it cannot yield a package here."""
    try:
        root, name = ir["root"], str(ir["pipelineInfo"]["name"])
        components: Document = ir.get("components", {})
        declared = root.get("inputDefinitions", {}).get("parameters", {})
        tasks = list(_tasks(root["dag"], components))
    except (KeyError, TypeError, AttributeError) as error:
        raise PipelineError(f"the compiler's output is not a pipeline: {error} is missing") from error
    _check_executors(ir)
    made = {artifact for component in components.values() for artifact in _outputs(component)} | set(_outputs(root))
    for needed in (PACKAGE, HOLDOUT):
        if needed not in made:
            raise PipelineError(f"no step has an output artifact named {needed!r}; there are: {sorted(made)}")
    parameters = {
        key: Parameter(value["parameterType"], bool(value.get("isOptional")) or "defaultValue" in value)
        for key, value in sorted(declared.items())
    }
    return Pipeline(name, digest, len(tasks), parameters)


def _outputs(component: Document) -> list[str]:
    return list(component.get("outputDefinitions", {}).get("artifacts", {}))


def _tasks(dag: Document, components: Document) -> Iterator[str]:
    for name, task in dag.get("tasks", {}).items():
        inner = components.get(task["componentRef"]["name"], {}).get("dag")
        if inner is None:
            yield name
        else:
            yield from _tasks(inner, components)


def _check_executors(ir: Document) -> None:
    for label, executor in ir.get("deploymentSpec", {}).get("executors", {}).items():
        container = executor.get("container")
        if container is None:
            continue
        step = label.removeprefix("exec-")
        command = " ".join(str(part) for part in (*container.get("command", []), *container.get("args", [])))
        if "kfp.dsl.executor_main" not in command:
            raise PipelineError(f"step {step!r} is a container component; only Python components run here")
        if "pip install" in command.split("kfp.dsl.executor_main", 1)[0]:
            raise PipelineError(
                f"step {step!r} installs packages when it runs; set install_kfp_package=False, no packages_to_install"
            )


def check_parameters(pipeline: Pipeline, given: Arguments) -> list[tuple[str, str]]:
    """(parameter, broken rule) for each parameter that the pipeline does not take as it was given."""
    broken = []
    settable = ", ".join(pipeline.settable) or "none"
    for name, value in given.items():
        parameter = pipeline.parameters.get(name)
        if name in GIVEN:
            broken.append((name, f"is set by the platform; parameters of {pipeline.name}: {settable}"))
        elif parameter is None:
            broken.append((name, f"unknown; parameters of {pipeline.name}: {settable}"))
        elif not _fits(parameter.kind, value):
            broken.append((name, f"must be {_KINDS[parameter.kind][0] if parameter.kind in _KINDS else 'a default'}"))
    return broken


def missing_parameters(pipeline: Pipeline, given: Arguments) -> list[str]:
    """Parameters without a default that nobody sets."""
    return [
        name
        for name, parameter in pipeline.parameters.items()
        if not parameter.optional and name not in given and name not in GIVEN
    ]


def _fits(kind: str, value: Scalar) -> bool:
    if kind not in _KINDS:
        return False
    if isinstance(value, bool):
        return kind == "BOOLEAN"
    if isinstance(value, float) and value != value or value in (float("inf"), float("-inf")):
        return False
    return isinstance(value, _KINDS[kind][1])


def arguments(pipeline: Pipeline, parameters: Arguments, given: Arguments) -> dict[str, Scalar]:
    """What the pipeline is called with: of both only what it declares, numbers in its own type."""
    merged = {**parameters, **given}
    return {
        name: float(merged[name]) if parameter.kind == "NUMBER_DOUBLE" else merged[name]
        for name, parameter in pipeline.parameters.items()
        if name in merged
    }
