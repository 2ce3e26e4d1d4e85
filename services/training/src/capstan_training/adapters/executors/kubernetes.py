"""Runs each pipeline as one Job with one pod. The run lives there: this process only looks, and may come and go."""

from __future__ import annotations

import asyncio
from importlib.metadata import version as distribution_version

from capstan_servicekit.errors import Upstream
from capstan_servicekit.objects.port import ObjectStore
from capstan_training.actions.ports import (
    Handover,
    Output,
    PipelineFailed,
    PipelineOrder,
    PipelineOutOfMemory,
    PipelineResult,
    PipelineTimedOut,
)
from capstan_training.adapters.kubernetes_api import KubernetesApi, KubernetesRefused
from capstan_training.adapters.pod_log import PodLog, Position
from capstan_training.adapters.run_job import ATTEMPT, RUN, Place, job, secret
from capstan_training.domain.pod_state import Object, Seen, finished, said, see
from capstan_training.settings import Settings

_SLOWER_S = 2.0
_UNREMARKABLE_LOOKS = 20


def make(settings: Settings, objects: ObjectStore, handover: Handover) -> KubernetesExecutor:
    """One Job per run, in the cluster that this process belongs to or that KUBECONFIG names."""
    place = Place(
        image=settings.run_image,
        image_pull_policy=settings.run_image_pull_policy,
        service_account=settings.run_service_account,
        callback_url=settings.run_callback_url,
        owner=settings.run_owner,
        version=distribution_version("capstan-training"),
        cpu_request_share=settings.run_cpu_request_share,
    )
    api = KubernetesApi.from_surroundings(settings.run_namespace)
    return KubernetesExecutor(api, handover, place, poll_s=settings.poll_s, patience_s=settings.run_start_patience_s)


class RunLost(Exception):
    """The run was taken away from outside; started again it may well succeed."""


class KubernetesExecutor:
    """As many runs side by side as the cluster has room for.

    `patience_s`: how long a pod that cannot start (no image, say) is given, since registries have bad moments.
    """

    def __init__(
        self, api: KubernetesApi, handover: Handover, place: Place, *, poll_s: float = 0.5, patience_s: float = 60
    ) -> None:
        self._api, self._handover, self._place = api, handover, place
        self._poll_s, self._patience_s = poll_s, patience_s

    async def run(self, order: PipelineOrder, output: Output) -> PipelineResult:
        """Run to the end. See the port."""
        jobs = [job for job in await self._jobs(order.run) if "deletionTimestamp" not in job["metadata"]]
        newest = max(jobs, key=_attempt, default=None)
        result = await self._handover.outcome(order.run)
        if result is not None:
            await self._rest_of_log(order, output)
            return result
        if newest is None or see(newest, await self._pods(newest)).kind == "lost":
            newest = await self._start(order, 1 + max(map(_attempt, await self._jobs(order.run)), default=0))
        return await _Watch(self, order, output, newest).result()

    async def end(self, run: str) -> None:
        """Delete the run's Jobs that are not over yet. Those that are stay for a day, to be looked at."""
        for watched in await self._jobs(run):
            if not finished(watched) and not said(await self._pods(watched)):
                await self._api.delete_job(watched["metadata"]["name"])

    async def close(self) -> None:
        """Let go; the Jobs go on."""
        await self._api.close()

    async def _start(self, order: PipelineOrder, attempt: int) -> Object:
        made = await self._api.create_job(job(order, self._place, attempt))
        if made is None:
            raise RunLost(f"another process is starting attempt {attempt} of the run {order.run}")
        await self.give_token(order, made)
        return made

    async def give_token(self, order: PipelineOrder, made: Object) -> None:
        """Make the Job's Secret, unless it is there."""
        token = await self._handover.new_token(order.run)
        await self._api.create_secret(secret(order, self._place, _attempt(made), token, made))

    async def look(self, watched: Object) -> Seen:
        """What has become of a Job."""
        name = watched["metadata"]["name"]
        jobs = await self._jobs(watched["metadata"]["labels"][RUN])
        return see(next((job for job in jobs if _name(job) == name), None), await self._pods(watched))

    def follow(self, order: PipelineOrder, output: Output, pod: Position, skip: int) -> PodLog:
        """The pod's log from a position on."""
        return PodLog(self._api.log, output, pod, skip)

    async def outcome(self, run: str) -> PipelineResult | None:
        """What was handed in."""
        return await self._handover.outcome(run)

    @property
    def pauses(self) -> tuple[float, float, float]:
        """Between two looks at a pod that is to start and at one that runs; and the patience."""
        return self._poll_s, max(self._poll_s, min(_SLOWER_S, self._poll_s * 4)), self._patience_s

    async def _jobs(self, run: str) -> list[Object]:
        return await self._api.jobs(f"{RUN}={run}")

    async def _pods(self, of: Object) -> list[Object]:
        return await self._api.pods(f"batch.kubernetes.io/job-name={_name(of)}")

    async def _rest_of_log(self, order: PipelineOrder, output: Output) -> None:
        """What the pod of a run that ended meanwhile had still to say, if it can still be asked."""
        newest = max(await self._jobs(order.run), key=_attempt, default=None)
        if newest is not None and (pod := see(newest, await self._pods(newest)).pod):
            await _Follower(self, order, output).drain(pod)


class _Follower:
    """The log of the pod that is followed now."""

    def __init__(self, executor: KubernetesExecutor, order: PipelineOrder, output: Output) -> None:
        self._executor, self._order, self._output = executor, order, output
        self._pod, self._over = "", asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def turn_to(self, pod: str) -> None:
        """Follow this pod; one that was not followed before begins at its beginning."""
        if pod == self._pod:
            return
        await self.finish()
        at, after = await self._output.resume()
        position = Position.parse(at, pod)
        if not at.startswith(f"{pod} "):
            await self._output.begins(str(position))
            after = 0
        self._pod, self._over = pod, asyncio.Event()
        log = self._executor.follow(self._order, self._output, position, after)
        self._task = asyncio.create_task(log.follow(self._over))

    async def drain(self, pod: str) -> None:
        """All that a pod that has ended has said."""
        await self.turn_to(pod)
        await self.finish()

    async def finish(self) -> None:
        """The pod has ended: wait for the rest of its log."""
        if self._task is not None:
            self._over.set()
            await self._task
            self._task = None

    async def cancel(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class _Watch:
    """One Job, from here to its end."""

    def __init__(self, executor: KubernetesExecutor, order: PipelineOrder, output: Output, watched: Object) -> None:
        self._executor, self._order, self._output, self._job = executor, order, output, watched
        self._follower = _Follower(executor, order, output)
        self._stuck_since: float | None = None
        self._looks, self._waited_for = 0, ""

    async def result(self) -> PipelineResult:
        """What was made, or the reason why nothing was."""
        start_s, run_s, _ = self._executor.pauses
        try:
            while True:
                seen = await self._look()
                if seen.pod:
                    await self._follower.turn_to(seen.pod)
                if seen.kind in ("starting", "waiting", "stuck"):
                    await self._wait(seen)
                elif seen.kind != "going":
                    return await self._end(seen)
                await asyncio.sleep(run_s if seen.kind == "going" else start_s)
        finally:
            await self._follower.cancel()

    async def _look(self) -> Seen:
        """An API that is not there for a while is waited for: the Job goes on without it, and has a deadline."""
        try:
            return await self._executor.look(self._job)
        except KubernetesRefused:
            raise
        except Upstream as error:
            return Seen("waiting", error.detail)

    async def _wait(self, seen: Seen) -> None:
        """Say why; PipelineFailed when it cannot start and has had its time."""
        now = asyncio.get_running_loop().time()
        if seen.kind != "stuck":
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
            await self._executor.give_token(self._order, self._job)  # it may be what is missing; twice does no harm
        elif now - self._stuck_since >= self._executor.pauses[2]:
            raise PipelineFailed(seen.reason)
        self._looks += 1
        if seen.kind != "starting" or not self._waited_for:  # a Job that is over its deadline loses its pod first
            self._waited_for = seen.reason
        if seen.kind != "starting" or self._looks > _UNREMARKABLE_LOOKS:
            await self._output.waits(seen.reason)

    async def _end(self, seen: Seen) -> PipelineResult:
        await self._follower.finish()
        result = await self._executor.outcome(self._order.run)
        if result is not None:
            return result
        if seen.kind == "timed-out":
            raise PipelineTimedOut(await self._too_long())
        if seen.kind == "out-of-memory":
            raise PipelineOutOfMemory(f"it held more than {self._order.memory_mb} MB")
        if seen.kind == "crashed":
            raise PipelineFailed(seen.reason)
        why = seen.reason or "its pod ended without handing its outcome in"
        await self._output.waits(why)
        raise RunLost(why)

    async def _too_long(self) -> str:
        """A Job that is over its deadline has no pod any more: what was read of one tells whether it ever ran."""
        ran, _ = await self._output.resume()
        if ran:
            return f"it ran longer than {self._order.timeout_s:g} s"
        why = f": {self._waited_for}" if self._waited_for else ""
        return f"it could not start within {self._order.timeout_s:g} s{why}"


def _name(thing: Object) -> str:
    return str(thing["metadata"]["name"])


def _attempt(job: Object) -> int:
    return int(job["metadata"]["labels"][ATTEMPT])
