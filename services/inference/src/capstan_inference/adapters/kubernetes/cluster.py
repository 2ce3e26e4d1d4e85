"""The few calls to the Kubernetes API that model servers need, as plain dictionaries, with errors in words."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import httpx
from lightkube import AsyncClient
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import GenericNamespacedResource, create_api_info
from lightkube.types import CascadeType, PatchType

from capstan_servicekit.errors import CapstanError, InvalidData, NotReady

Kind = Literal["Deployment", "Service", "Pod"]
Manifest = dict[str, Any]
FIELD_MANAGER = "capstan-inference"


# Plain dictionaries: the typed models cost 0.3 s and 30 MB, and would drop fields that they do not know. Not entered
# in lightkube's registry, where a typed class of the same kind may be.
class _Deployment(GenericNamespacedResource):
    _api_info = create_api_info("apps", "v1", "Deployment", "deployments")


class _Service(GenericNamespacedResource):
    _api_info = create_api_info("", "v1", "Service", "services")


class _Pod(GenericNamespacedResource):
    _api_info = create_api_info("", "v1", "Pod", "pods")


_KINDS: Mapping[Kind, type[GenericNamespacedResource]] = {"Deployment": _Deployment, "Service": _Service, "Pod": _Pod}


class Cluster(Protocol):
    """One namespace. NotReady where the API is away or refuses, InvalidData where it finds a manifest wrong."""

    @property
    def namespace(self) -> str:
        """Its name."""
        ...

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Server-side apply: our fields become as given, whoever changed them; the object as it is then."""
        ...

    async def get(self, kind: Kind, name: str) -> Manifest | None:
        """One object."""
        ...

    async def find(self, kind: Kind, labels: Mapping[str, str]) -> list[Manifest]:
        """Objects with these labels."""
        ...

    async def delete(self, kind: Kind, name: str) -> None:
        """Remove it with all that it owns, if it is there."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class LightkubeCluster:
    """The service account's cluster inside a pod, else that of KUBECONFIG. Opened on the first call."""

    def __init__(self, namespace: str = "", transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._namespace, self._transport = namespace, transport

    @functools.cached_property
    def _client(self) -> AsyncClient:
        try:
            return AsyncClient(
                namespace=self._namespace or None, field_manager=FIELD_MANAGER, transport=self._transport
            )
        except Exception as error:  # lightkube lets out whatever a kubeconfig that is none makes it stumble over
            raise NotReady(
                f"no Kubernetes cluster can be reached from here: {type(error).__name__}: {error}",
                hint="In a pod a service account token must be mounted; elsewhere set KUBECONFIG.",
            ) from error

    @property
    def namespace(self) -> str:
        """As set, else that of the service account or context."""
        return self._namespace or str(self._client.namespace)

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Server-side apply."""
        name = manifest["metadata"]["name"]
        try:
            return dict(
                await self._client.patch(
                    _KINDS[kind], name, _KINDS[kind].from_dict(manifest), patch_type=PatchType.APPLY, force=True
                )
            )
        except (ApiError, httpx.HTTPError) as error:
            raise _problem(error, f"apply {kind} {name}") from error

    async def get(self, kind: Kind, name: str) -> Manifest | None:
        """One object."""
        try:
            return dict(await self._client.get(_KINDS[kind], name))
        except (ApiError, httpx.HTTPError) as error:
            if isinstance(error, ApiError) and error.response.status_code == 404:
                return None
            raise _problem(error, f"get {kind} {name}") from error

    async def find(self, kind: Kind, labels: Mapping[str, str]) -> list[Manifest]:
        """Objects with these labels."""
        try:
            return [dict(manifest) async for manifest in self._client.list(_KINDS[kind], labels=dict(labels))]
        except (ApiError, httpx.HTTPError) as error:
            raise _problem(error, f"list {kind}") from error

    async def delete(self, kind: Kind, name: str) -> None:
        """Remove it."""
        try:
            await self._client.delete(_KINDS[kind], name, cascade=CascadeType.BACKGROUND)
        except (ApiError, httpx.HTTPError) as error:
            if not (isinstance(error, ApiError) and error.response.status_code == 404):
                raise _problem(error, f"delete {kind} {name}") from error

    async def close(self) -> None:
        """Close connections."""
        if "_client" in self.__dict__:
            await self._client.close()


def _problem(error: ApiError | httpx.HTTPError, what: str) -> CapstanError:
    if not isinstance(error, ApiError):
        return NotReady(f"the Kubernetes API cannot be reached to {what}: {type(error).__name__}")
    status, message = error.response.status_code, str(error)
    if status in (401, 403):
        hint = (
            "The service account of inference needs the rights on deployments, services and pods that its chart gives."
        )
        return NotReady(f"the Kubernetes API does not let us {what}: {message}", hint=hint)
    if status in (400, 422):
        return InvalidData(f"the Kubernetes API refuses to {what}: {message}", hint="See the model_* settings.")
    return NotReady(f"the Kubernetes API failed to {what}: {status} {message}")
