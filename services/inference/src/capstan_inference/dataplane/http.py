"""The HTTP API of the model server: a bare ASGI application, so that a request costs little more than its model."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import orjson

from capstan_formats.id_range import IdRange
from capstan_inference.dataplane import metadata
from capstan_inference.dataplane.access import Access
from capstan_inference.dataplane.answers import v1_answer, v2_answer
from capstan_inference.dataplane.bodies import Batch, parse_json, v1_batch, v2_batch
from capstan_inference.dataplane.config import Limits
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.deadlines import Deadlines
from capstan_inference.dataplane.ids import IdSource, now_ms
from capstan_inference.dataplane.log import PredictionLog
from capstan_inference.dataplane.models import Models
from capstan_inference.dataplane.paths import Paths, Route
from capstan_inference.dataplane.recording import Outputs, Records
from capstan_inference.dataplane.request_errors import (
    BODY_TOO_LARGE,
    INTERNAL,
    OVERLOADED,
    UNSUPPORTED_MEDIA,
    RequestError,
    wrong,
)
from capstan_inference.dataplane.served import Served

log = logging.getLogger(__name__)
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Answered = tuple[Outputs, Records]

DEADLINE_HEADER: Final = b"capstan-deadline-ms"
BINARY_HEADER: Final = b"inference-header-content-length"
_CLOSE: Final = (b"connection", b"close")
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")
_TEXT: Final = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


class ModelApp:
    """Routes, admits, answers. One event loop; what takes long to score is scored by one thread beside it."""

    def __init__(self, models: Models, prediction_log: PredictionLog, access: Access, limits: Limits) -> None:
        self._models, self._log, self._access, self._limits = models, prediction_log, access, limits
        self._counters: Counters = prediction_log.counters
        self._paths, self._ids, self._deadlines = Paths(), IdSource(), Deadlines()
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._rows_beside = 0
        #: Soon to stop: each answer ends its connection, so that the next request goes to another server.
        self.leaving = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        kind, status, headers = "unknown", 200, [_JSON]
        try:
            route = self._paths.resolve(scope["method"], scope["path"])
            kind = route.kind
            if route.role is not None:
                self._access.check(scope["headers"], route.role, route.scope)
            if route.method == "POST":
                body = await self._predict(route, scope["headers"], receive)
            else:
                body = self._describe(route, scope["headers"])
                headers = [_TEXT] if kind == "metrics" else headers
        except RequestError as refusal:
            status, body, headers = _refused(refusal, scope["path"])
        except Exception:  # the process edge: the caller learns nothing of the inside, the log everything
            log.exception("request.failed %s", scope["path"])
            failure = RequestError(INTERNAL, "Something went wrong on our side; the log has it.")
            status, body, headers = _refused(failure, scope["path"])
        headers.append((b"content-length", b"%d" % len(body)))
        if self.leaving:
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._counters.answered(kind, status, time.perf_counter() - started)

    async def _predict(self, route: Route, headers: Headers, receive: Receive) -> bytes:
        seconds = self._limits.deadline_s
        length = 0
        for name, value in headers:
            if name == b"content-length":
                length = int(value)
            elif name == DEADLINE_HEADER:
                seconds = min(seconds, _deadline(value))
            elif name == BINARY_HEADER:
                raise RequestError(UNSUPPORTED_MEDIA, "binary tensor data is not taken; send `data` as JSON")
        if length > self._limits.max_body_bytes:
            raise self._too_large()
        return await self._deadlines.within(seconds, self._answer(route, receive))

    async def _body(self, receive: Receive) -> bytes:
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise wrong("body", "the connection ended before the body did")
            body += message.get("body", b"")
            if len(body) > self._limits.max_body_bytes:
                break
        if len(body) > self._limits.max_body_bytes:
            raise self._too_large()
        return body

    async def _answer(self, route: Route, receive: Receive) -> bytes:
        body = await self._body(receive)
        served = self._models.get(route.project, route.model, route.version)
        counters = self._counters
        if counters.waiting >= self._limits.max_waiting:
            raise RequestError(OVERLOADED, f"{counters.waiting} requests are waiting", hint="Try again after a second.")
        counters.waiting += 1
        try:
            parse = v2_batch if route.kind == "v2_infer" else v1_batch
            batch = parse(parse_json(body), served.signature.names, self._limits.max_rows)
            _check_outputs(batch, served)
            small = served.cost.of(batch.rows) <= self._limits.inline_s
            ids = self._ids.new(now_ms(), batch.rows)
            answered = _answered(served, batch, ids) if small else await self._beside(served, batch, ids)
            outputs, records = answered
            await self._log.append(route.project, route.model, records, batch.rows)
        finally:
            counters.waiting -= 1
        counters.rows[route.project, route.model, served.placement.version] += batch.rows
        answer = v2_answer if batch.v2 else v1_answer
        return answer(batch, served.placement, outputs, ids.texts())

    async def _beside(self, served: Served, batch: Batch, ids: IdRange) -> Answered:
        """Score in the model thread. A request that is too late by then is not scored at all: it was cancelled."""
        if self._rows_beside + batch.rows > self._limits.rows_beside:
            raise RequestError(
                OVERLOADED, f"{self._rows_beside} rows are waiting to be scored", hint="Try again after a second."
            )
        self._rows_beside += batch.rows
        try:
            return await asyncio.get_running_loop().run_in_executor(self._model_thread, _answered, served, batch, ids)
        finally:
            self._rows_beside -= batch.rows

    def _describe(self, route: Route, headers: Headers) -> bytes:
        if route.kind == "metrics":
            return self._counters.text(named=self._access.sees_all(headers)).encode()
        if route.kind == "v2_server":
            return orjson.dumps(metadata.server())
        if route.kind in ("v2_live", "v2_ready"):
            # The process listens only once its models are loaded.
            return orjson.dumps({route.kind.removeprefix("v2_"): True})
        if route.kind == "v1_list":
            return orjson.dumps({"models": self._models.names(route.project)})
        describe = {
            "v1_model": metadata.v1_status,
            "v2_model": metadata.v2_model,
            "v2_model_ready": metadata.v2_ready,
        }[route.kind]
        return orjson.dumps(describe(self._models.get(route.project, route.model, route.version)))

    def _too_large(self) -> RequestError:
        rule = f"at most {self._limits.max_body_bytes} bytes"
        return RequestError(BODY_TOO_LARGE, f"The body is larger than {rule[8:]}", place="body", rule=rule)

    def close(self) -> None:
        """End the model thread."""
        self._model_thread.shutdown(wait=False, cancel_futures=True)


def _answered(served: Served, batch: Batch, ids: IdRange) -> Answered:
    """Outputs, and the records that the log takes before anybody sees them."""
    scored = served.score(batch)
    return scored.outputs, served.recorder.records(scored, ids)


def _check_outputs(batch: Batch, served: Served) -> None:
    for index, name in enumerate(batch.outputs):
        if name not in served.outputs:
            rule = f"the model answers {', '.join(map(repr, served.outputs))}, not {name[:64]!r}"
            raise wrong(f"outputs[{index}].name", rule)


def _deadline(value: bytes) -> float:
    if not value.isdigit() or not 1 <= int(value[:10]) <= 3_600_000:
        raise wrong("header capstan-deadline-ms", "whole milliseconds from 1 to 3600000 are needed")
    return int(value) / 1000


def _refused(refusal: RequestError, path: str) -> tuple[int, bytes, Headers]:
    headers = [_PROBLEM]
    if refusal.status == 503:
        headers.append((b"retry-after", b"1"))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return refusal.status, refusal.body(path[:500]), headers
