"""Values of the six service charts and of the umbrella."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from schema.base import Bytes, ImageName, Labels, Resources, Values, resources
from schema.shared import Global

Settings = dict[str, Any]
SETTINGS = "the service's own settings by name, such as lease_s: 20"


class Pod(Values):
    """Where pods run, and what is written on them."""

    annotations: Labels = Field(default_factory=dict)
    labels: Labels = Field(default_factory=dict)
    node_selector: Labels = Field(default_factory=dict)
    tolerations: list[dict[str, Any]] = Field(default_factory=list)
    affinity: dict[str, Any] = Field(
        default_factory=dict, description="empty: replicas keep to different nodes where there are any"
    )
    priority_class_name: str = ""


class KubernetesService(Values):
    """The Kubernetes Service."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    node_port: int = Field(default=0, ge=0, le=32767, description="for NodePort; 0: Kubernetes picks one")
    annotations: Labels = Field(default_factory=dict)


class Development(Values):
    """For work on the code only."""

    reload: bool = Field(default=False, description="writable sources, and a restart of the process when they change")


class Service(Values):
    """What the charts of all services have."""

    shared: Global = Field(default=Global(), alias="global")
    image: ImageName = Field(default="", description="the whole name with tag or digest; empty: made from global.image")
    replicas: int = Field(default=1, ge=1, le=20)
    resources: Resources
    home_size: Bytes = Field(default="4Gi", description="the most that a pod may write to its work folder")
    settings: Settings = Field(default_factory=dict, description=SETTINGS)
    pod: Pod = Pod()
    service: KubernetesService = KubernetesService()
    development: Development = Development()


class Ingestion(Service):
    """Values of ingestion."""

    resources: Resources = resources("40m", "128Mi", "2", "1536Mi")
    settings: Settings = Field(default={"job_memory_mb": 1152}, description=SETTINGS)


class FeatureStore(Service):
    """Values of the feature store."""

    resources: Resources = resources("40m", "128Mi", "2", "1536Mi")
    settings: Settings = Field(default={"job_memory_mb": 1280, "join_memory_mb": 768}, description=SETTINGS)


class Training(Service):
    """Values of training."""

    resources: Resources = resources("40m", "128Mi", "1", "1Gi")
    settings: Settings = Field(default={"job_memory_mb": 768}, description=SETTINGS)
    executor: Literal["kubernetes", "local"] = Field(
        default="kubernetes", description="kubernetes: one Job per run; local: a child process in the service's pod"
    )


class Mlflow(Values):
    """MLflow's server, a second container of the registry's pod: reached through the registry's service only."""

    enabled: bool = Field(default=True, description="false: started when somebody asks for it, on a store of the pod")
    resources: Resources = resources("50m", "512Mi", "1", "1536Mi")


class Registry(Service):
    """Values of the registry."""

    resources: Resources = resources("40m", "128Mi", "1", "1Gi")
    settings: Settings = Field(default={"job_memory_mb": 768}, description=SETTINGS)
    mlflow: Mlflow = Mlflow()
    stream_replicas: int = Field(default=1, ge=1, le=5, description="copies of each event; needs as many brokers")


class ModelServers(Values):
    """The model servers that inference starts."""

    kind: Literal["kubernetes", "child"] = Field(
        default="kubernetes", description="kubernetes: Deployments of their own; child: a process in the service's pod"
    )
    replicas: int = Field(default=1, ge=1, le=50)
    resources: Resources = resources("100m", "192Mi", "1", "512Mi")


class Inference(Service):
    """Values of inference."""

    resources: Resources = resources("40m", "128Mi", "1", "512Mi")
    model_servers: ModelServers = ModelServers()


class Monitoring(Service):
    """Values of monitoring."""

    resources: Resources = resources("40m", "128Mi", "2", "1536Mi")
    settings: Settings = Field(default={"job_memory_mb": 1152}, description=SETTINGS)


class Umbrella(Values):
    """Values of the whole platform: `global`, and those of each service under its name."""

    shared: Global = Field(default=Global(), alias="global")


CHARTS: dict[str, type[Service]] = {
    "ingestion": Ingestion,
    "feature-store": FeatureStore,
    "training": Training,
    "registry": Registry,
    "inference": Inference,
    "monitoring": Monitoring,
}
