"""An ASGI app behind a real port, in the test's own event loop: for callers that are other processes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from capstan_servicekit.http.sockets import listening_socket


def free_socket(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A listening socket; with port 0 on a free one."""
    return listening_socket(host, port)


@asynccontextmanager
async def listening(app: ASGIApp, sock: socket.socket) -> AsyncIterator[None]:
    """Serve on a bound socket, and close it at the end. The app's own start and stop are the caller's."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await task
        sock.close()
