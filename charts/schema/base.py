"""What every values model shares: names as Helm users write them, and no key that is not there."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

Cpu = Annotated[str, Field(pattern=r"^([0-9]+m|[0-9]+(\.[0-9]+)?)$", examples=["50m", "1", "0.5"])]
Bytes = Annotated[str, Field(pattern=r"^[0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?$", examples=["256Mi", "2Gi"])]
Name = Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", max_length=40)]
Port = Annotated[int, Field(ge=1, le=65535)]
NOT_LATEST: JsonDict = {"not": {"pattern": "^latest$|:latest$"}}
Tag = Annotated[
    str,
    Field(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$", json_schema_extra=NOT_LATEST),
]
ImageName = Annotated[
    str,
    Field(pattern=r"^(.+(:[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64}))?$", json_schema_extra=NOT_LATEST),
]
Labels = dict[str, str]


class Values(BaseModel):
    """Frozen; a key that no field knows is refused, so that a typo cannot pass silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Amounts(Values):
    """An amount of processor and memory."""

    cpu: Cpu = Field(description="processor cores")
    memory: Bytes


class Resources(Values):
    """What a container is promised, and what it may use at most."""

    requests: Amounts = Field(description="what the scheduler sets aside")
    limits: Amounts = Field(description="beyond: slowed down (cpu), ended (memory)")


def resources(cpu: str, memory: str, most_cpu: str, most_memory: str) -> Resources:
    """Requests, then limits."""
    return Resources(requests=Amounts(cpu=cpu, memory=memory), limits=Amounts(cpu=most_cpu, memory=most_memory))


class Peer(Values):
    """One end of a network connection: pods by labels, all pods of namespaces by labels, or an address range."""

    pod_labels: Labels = Field(
        default_factory=dict, description="pods; in this namespace unless namespaceLabels is set"
    )
    namespace_labels: Labels = Field(default_factory=dict)
    cidr: str = Field(default="", pattern=r"^([0-9a-fA-F.:]+/[0-9]{1,3})?$", description="instead of labels")
