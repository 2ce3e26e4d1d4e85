"""The kind `kubernetes`: a Deployment and a Service per deployment."""

from __future__ import annotations

from capstan_inference.adapters.kubernetes.cluster import LightkubeCluster
from capstan_inference.adapters.kubernetes.server import KubernetesModelServer
from capstan_inference.adapters.model_servers.port import Flush, Wanted
from capstan_inference.settings import Settings
from capstan_servicekit.objects.port import ObjectStore


def make(settings: Settings, objects: ObjectStore, wanted: Wanted, flush: Flush) -> KubernetesModelServer:
    """Model servers in the namespace of the settings, or in the pod's own."""
    return KubernetesModelServer(settings, LightkubeCluster(settings.model_namespace), flush)
