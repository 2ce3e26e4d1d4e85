"""The way from a run's pod to the training service. By urllib: the job environment has no other HTTP client."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from capstan_contracts.rest.training import PodOrder, PodOutcome

_PIECE = 1 << 20
_SLOWEST_S = 5.0
_TIMEOUT_S = 120


class RunOver(Exception):
    """The service does not know this run any more, or has ended it: nothing that is done here counts."""


class PodClient:
    """Calls with the run's token. A service that restarts is waited for: the Job's deadline ends the waiting."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def order(self) -> PodOrder:
        """What is to be run."""
        return PodOrder.model_validate_json(self._call("GET", "/order"))

    def fetch(self, name: str, digest: str, target: Path) -> None:
        """Fetch an input into a file."""
        pause = 0.2
        while True:
            try:
                self._download(f"/inputs/{name}", target)
                with target.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() == digest:
                        return
                print(f"[pod] {name} came incomplete; once more", flush=True)
            except (OSError, HTTPException) as error:
                _tell(error)
            time.sleep(pause)
            pause = min(pause * 2, _SLOWEST_S)

    def hand_in(self, name: str, file: Path) -> None:
        """Send an output."""
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self._call("PUT", f"/outputs/{name}/{digest}", file=file)

    def finish(self, outcome: PodOutcome) -> None:
        """Say how it ended."""
        self._call("PUT", "/outcome", body=outcome.model_dump_json().encode())

    def _download(self, path: str, target: Path) -> None:
        with self._open(self._request("GET", path)) as answer, target.open("wb") as file:
            while piece := answer.read(_PIECE):
                file.write(piece)

    def _call(self, method: str, path: str, *, body: bytes | None = None, file: Path | None = None) -> bytes:
        pause = 0.2
        while True:
            try:
                if file is None:
                    return self._answer(self._request(method, path, body))
                with file.open("rb") as stream:
                    request = self._request(method, path, stream)
                    request.add_header("content-length", str(file.stat().st_size))
                    return self._answer(request)
            except (OSError, HTTPException) as error:
                _tell(error)
            time.sleep(pause)
            pause = min(pause * 2, _SLOWEST_S)

    def _answer(self, request: urllib.request.Request) -> bytes:
        with self._open(request) as answer:
            content: bytes = answer.read()
            return content

    def _request(self, method: str, path: str, data: bytes | BinaryIO | None = None) -> urllib.request.Request:
        request = urllib.request.Request(self._url + path, data=data, method=method)
        request.add_header("authorization", f"Bearer {self._token}")
        if isinstance(data, bytes):
            request.add_header("content-type", "application/json")
        elif data is not None:
            request.add_header("content-type", "application/octet-stream")
        return request

    def _open(self, request: urllib.request.Request) -> HTTPResponse:
        try:
            answer: HTTPResponse = self._opener.open(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                detail = _detail(error.read())
            if error.code >= 500 or error.code == 429:
                raise OSError(f"the service answered {error.code} {detail}") from None
            raise RunOver(f"the service answered {error.code} {detail}") from None
        return answer


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body).get("detail", ""))
    except (ValueError, AttributeError):
        return ""


def _tell(error: Exception) -> None:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    print(f"[pod] waiting for the training service: {reason}", flush=True)
