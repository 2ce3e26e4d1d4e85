"""The few calls of the Kubernetes API that runs need, on plain objects. Address, keys and trust come by lightkube."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import KubeConfig, SingleConfig

from capstan_servicekit.errors import Upstream
from capstan_training.domain.pod_state import Object

_TIMEOUT = httpx.Timeout(15, connect=5)
_QUIET_S = 60.0
"""A log stream that is silent for so long is opened again: its far end may be gone."""


class KubernetesRefused(Upstream):
    """The API answered that it will not: asking again does not help."""


class KubernetesApi:
    """One namespace of a cluster."""

    def __init__(self, config: SingleConfig, namespace: str = "") -> None:
        self.namespace = namespace or config.namespace
        parameters = client_adapter.ConnectionParams(timeout=_TIMEOUT, trust_env=False)
        self._client = client_adapter.AsyncClient(config, parameters)

    @classmethod
    def from_surroundings(cls, namespace: str = "") -> KubernetesApi:
        """The pod's own service account, else KUBECONFIG, else the usual file. SystemExit when there is none."""
        try:
            config = KubeConfig.from_env().get()
        except Exception as error:  # lightkube lets out whatever a kubeconfig that is none makes it stumble over
            raise SystemExit(
                f"training: the executor kubernetes finds no cluster: {type(error).__name__}: {error}"
            ) from error
        if config is None:
            raise SystemExit("training: the executor kubernetes finds no current context in KUBECONFIG")
        return cls(config, namespace)

    async def create_job(self, job: Object) -> Object | None:
        """The Job as made; None when there is one of that name."""
        return await self._create(f"/apis/batch/v1/namespaces/{self.namespace}/jobs", job)

    async def create_secret(self, secret: Object) -> Object | None:
        """The Secret as made; None when there is one of that name."""
        return await self._create(f"/api/v1/namespaces/{self.namespace}/secrets", secret)

    async def jobs(self, selector: str) -> list[Object]:
        """The Jobs with these labels."""
        return await self._list(f"/apis/batch/v1/namespaces/{self.namespace}/jobs", selector)

    async def pods(self, selector: str) -> list[Object]:
        """The pods with these labels."""
        return await self._list(f"/api/v1/namespaces/{self.namespace}/pods", selector)

    async def delete_job(self, name: str) -> None:
        """Delete a Job, and by it its pods and its Secret; one that is gone is no error."""
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs/{name}"
        response = await self._call("DELETE", path, params={"propagationPolicy": "Background"})
        if response.status_code != 404:
            _checked(response)

    async def log(self, pod: str, since: str) -> AsyncIterator[str]:
        """Lines with their time in front, from the second of the time `since` on ("" for all), until the pod ends.

        Upstream or httpx.TransportError when the stream breaks.
        """
        parameters = {"follow": "true", "timestamps": "true"} | ({"sinceTime": since} if since else {})
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log"
        timeout = httpx.Timeout(15, connect=5, read=_QUIET_S)
        async with self._client.stream("GET", path, params=parameters, timeout=timeout) as response:
            if not response.is_success:
                await response.aread()
                _checked(response)
            rest = b""
            async for piece in response.aiter_bytes():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line.decode("utf-8", "replace")
            if rest:
                yield rest.decode("utf-8", "replace")

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _create(self, path: str, body: Object) -> Object | None:
        response = await self._call("POST", path, json=body)
        if response.status_code == 409:
            return None
        made: Object = _checked(response).json()
        return made

    async def _list(self, path: str, selector: str) -> list[Object]:
        response = await self._call("GET", path, params={"labelSelector": selector})
        items: list[Object] = _checked(response).json()["items"]
        return items

    async def _call(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, json: Object | None = None
    ) -> httpx.Response:
        try:
            return await self._client.request(method, path, params=params, json=json)
        except httpx.TransportError as error:
            raise Upstream(f"The Kubernetes API cannot be reached: {type(error).__name__}") from error


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        message = str(response.json().get("message", ""))
    except ValueError:
        message = response.text[:500]
    hint = "Give the training service the Role of its chart." if response.status_code in (401, 403) else ""
    kind = KubernetesRefused if response.status_code < 500 and response.status_code != 429 else Upstream
    raise kind(f"Kubernetes answered {response.status_code}: {message}", hint=hint)
