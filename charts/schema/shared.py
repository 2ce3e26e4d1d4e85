"""The `global` values: one place for what all services share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schema.base import Bytes, Labels, Name, Peer, Port, Tag, Values


def dev_pods(component: str) -> list[Peer]:
    """The pods of k8s/dev that hold one data service."""
    labels = {"app.kubernetes.io/part-of": "capstan-data", "app.kubernetes.io/component": component}
    return [Peer(pod_labels=labels)]


class Images(Values):
    """Where images come from."""

    registry: str = Field(default="", description="prefix of every image, such as registry.example.org/team")
    tag: Tag = Field(default="", description="empty: the version of the chart; `latest` is refused")
    pull_policy: Literal["IfNotPresent", "Never", "Always"] = "IfNotPresent"
    pull_secrets: list[str] = Field(default_factory=list, description="names of Secrets of type dockerconfigjson")


class DataService(Values):
    """A data service as the network sees it."""

    port: Port
    peers: list[Peer] = Field(description="where it is: connections to anywhere else are refused")


class Nats(DataService):
    """NATS with JetStream."""

    url: str = Field(pattern=r"^(nats|tls)://", description="without credentials: those are in the Secret")


class S3(DataService):
    """An object store with the S3 API."""

    endpoint: str = Field(pattern=r"^(https?://.+)?$", description="empty: that of the region at AWS")
    region: str = "us-east-1"
    bucket: str = Field(min_length=3, description="has to exist")
    prefix: str = Field(default="", pattern=r"^([^/].*[^/])?$", description="put before every key")


class Data(Values):
    """Data services. The defaults are those of k8s/dev, which is for development only."""

    secret: str = Field(
        default="capstan-data",
        min_length=1,
        description="Secret with <service>-database-url and <service>-bus-password of each service, "
        "mlflow-database-url, bus-admin-password, s3-access-key-id, s3-secret-access-key and online-store-url",
    )
    check_secret: bool = Field(
        default=True, description="look for the Secret and its keys at install, and say what is missing"
    )
    postgresql: DataService = DataService(port=5432, peers=dev_pods("postgresql"))
    nats: Nats = Nats(url="nats://capstan-data-nats:4222", port=4222, peers=dev_pods("nats"))
    redis: DataService = DataService(port=6379, peers=dev_pods("redis"))
    s3: S3 = S3(endpoint="http://capstan-data-s3:7070", bucket="capstan", port=7070, peers=dev_pods("s3"))


class Identities(Values):
    """Tokens of people and services: Secrets <prefix>-principals, <prefix>-token and <prefix>-identity-<service>."""

    create: bool = Field(default=True, description="made once and kept on upgrade; false: they exist already")
    prefix: Name = Field(default="", description="empty: the name of the installation")


class ApiServer(Values):
    """The Kubernetes API, which training and inference talk to."""

    ports: list[Port] = Field(default=[443, 6443], description="before and after address translation")
    peers: list[Peer] = Field(default=[Peer(cidr="0.0.0.0/0")], description="narrow it down to the API's addresses")


class NetworkPolicies(Values):
    """Nothing talks to anything unless it is named. Needs a network plug-in that enforces policies."""

    enabled: bool = True
    dns: list[Peer] = [Peer(namespace_labels={"kubernetes.io/metadata.name": "kube-system"})]
    dns_port: Port = Field(default=53, description="as the DNS pods listen")
    api_server: ApiServer = ApiServer()
    clients: list[Peer] = Field(
        default_factory=list,
        description="who else may reach the services and model servers: an ingress controller, Prometheus. "
        "kubectl port-forward needs no entry with most network plug-ins",
    )


class ServiceMonitors(Values):
    """Scraping by the Prometheus operator."""

    enabled: bool = False
    interval: str = Field(default="30s", pattern=r"^[0-9]+(s|m)$")
    labels: Labels = Field(default_factory=dict, description="what the Prometheus object selects by")


class Global(Values):
    """What all services share."""

    name: Name = Field(default="", description="first part of every name; empty: the name of the release")
    image: Images = Images()
    data: Data = Data()
    identities: Identities = Identities()
    network_policy: NetworkPolicies = NetworkPolicies()
    service_monitor: ServiceMonitors = ServiceMonitors()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    tmp_size: Bytes = Field(default="1Gi", description="the most that a pod may write to /tmp")
