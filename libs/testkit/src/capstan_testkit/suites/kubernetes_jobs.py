"""What the Kubernetes API must do for runs: make a Job once, run its pod, show its log with times, forget it whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from capstan_contracts.ids import uuid7

Json = dict[str, Any]
JOB = "batch.kubernetes.io/job-name"
PRINTS = "import sys, time\nfor n in range(3): print('line', n, flush=True); time.sleep(1.1)\nsys.exit({status})"
MakeJob = Callable[..., Json]


class Jobs(Protocol):
    """The calls that training's executor makes."""

    async def create_job(self, job: Json) -> Json | None:
        """The Job as made; None when there is one of that name."""
        ...

    async def create_secret(self, secret: Json) -> Json | None:
        """The Secret as made; None when there is one of that name."""
        ...

    async def jobs(self, selector: str) -> list[Json]:
        """The Jobs with these labels."""
        ...

    async def pods(self, selector: str) -> list[Json]:
        """The pods with these labels."""
        ...

    async def delete_job(self, name: str) -> None:
        """Delete a Job with its pods; one that is gone is no error."""
        ...

    def log(self, pod: str, since: str) -> AsyncIterator[str]:
        """Lines with their time in front."""
        ...


class KubernetesJobsBehaviour:
    """Inherit, and give the fixtures `api` and `image`: one whose `/opt/jobs/bin/python` is a Python."""

    async def test_a_job_and_a_secret_are_made_once(self, api: Jobs, image: str) -> None:
        name = _name()
        made = await api.create_job(job(name, image, "pass"))
        assert made is not None and made["metadata"]["name"] == name and made["metadata"]["uid"]
        assert await api.create_job(job(name, image, "print('another')")) is None
        kept = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"token": "t"}}
        assert await api.create_secret(kept) is not None and await api.create_secret(kept) is None
        await api.delete_job(name)

    async def test_jobs_and_pods_are_found_by_their_label_alone(self, api: Jobs, image: str) -> None:
        first, second = _name(), _name()
        for name in (first, second):
            await api.create_job(job(name, image, "pass"))
        assert [item["metadata"]["name"] for item in await api.jobs(f"capstan.dev/run={first}")] == [first]
        assert await api.jobs(f"capstan.dev/run={_name()}") == []
        pod = await _ended(api, second)
        assert pod["metadata"]["labels"][JOB] == second
        for name in (first, second):
            await api.delete_job(name)

    async def test_a_log_has_every_line_with_its_time_and_goes_on_from_one(self, api: Jobs, image: str) -> None:
        name = _name()
        await api.create_job(job(name, image, PRINTS.format(status=0)))
        pod = (await _ended(api, name))["metadata"]["name"]
        lines = [line.split(" ", 1) async for line in api.log(pod, "")]
        assert [text.strip() for _, text in lines] == ["line 0", "line 1", "line 2"]
        times = [time for time, _ in lines]
        assert times == sorted(times) and all("T" in time and time.endswith("Z") for time in times)
        later = [line.split(" ", 1)[1].strip() async for line in api.log(pod, times[1])]
        assert later[-2:] == ["line 1", "line 2"] and "line 0" not in later
        await api.delete_job(name)

    async def test_how_it_ended_stands_at_the_pod_and_at_the_job(self, api: Jobs, image: str) -> None:
        name = _name()
        await api.create_job(job(name, image, PRINTS.format(status=3)))
        pod = await _ended(api, name)
        (container,) = pod["status"]["containerStatuses"]
        assert pod["status"]["phase"] == "Failed" and container["state"]["terminated"]["exitCode"] == 3
        assert "line 2" in container["state"]["terminated"]["message"]

        async def conditions() -> list[str]:
            (shown,) = await api.jobs(f"capstan.dev/run={name}")
            return [
                condition["type"]
                for condition in shown["status"].get("conditions", [])
                if condition["status"] == "True"
            ]

        async with asyncio.timeout(60):
            while "Failed" not in await conditions():  # noqa: ASYNC110 - the controllers are another process
                await asyncio.sleep(0.2)
        await api.delete_job(name)

    async def test_a_deleted_job_takes_its_pod_with_it_and_may_be_deleted_again(self, api: Jobs, image: str) -> None:
        name = _name()
        await api.create_job(job(name, image, "import time; time.sleep(60)"))
        async with asyncio.timeout(60):
            while not await api.pods(f"capstan.dev/run={name}"):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.1)
        for _ in range(2):
            await api.delete_job(name)
        async with asyncio.timeout(60):
            while await api.pods(f"capstan.dev/run={name}"):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.2)
        assert await api.jobs(f"capstan.dev/run={name}") == []


async def _ended(api: Jobs, name: str) -> Json:
    async with asyncio.timeout(90):
        while True:
            for pod in await api.pods(f"capstan.dev/run={name}"):
                if pod["status"].get("phase") in ("Succeeded", "Failed"):
                    return pod
            await asyncio.sleep(0.2)


def _name() -> str:
    return f"suite-{uuid7()[-12:]}"


def job(name: str, image: str, program: str) -> Json:
    """One pod that is not tried again, as a namespace for restricted pods takes it."""
    labels = {"capstan.dev/run": name}
    container = {
        "name": "run",
        "image": image,
        "command": ["/opt/jobs/bin/python", "-c", program],
        "env": [],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    secured = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "securityContext": secured, "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }
