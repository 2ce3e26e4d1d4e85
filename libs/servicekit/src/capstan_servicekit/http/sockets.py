"""The one place where sockets are made.

asyncio sets TCP_NODELAY on an accepted connection only where the listening socket says that its protocol is TCP
(`asyncio.base_events._set_nodelay`), and `socket.socket()` as well as `socket.create_server()` leave the protocol 0.
Header and body of an answer then go out as two packets, and the second one waits for the client's delayed
acknowledgement: 44 ms instead of 0.5 on every request of a kept-alive connection.
"""

from __future__ import annotations

import socket
from contextlib import suppress

BACKLOG = 1024


class NoPort(OSError):
    """None of the wanted ports can be listened on; the text names address, ports and the system's reason."""


def listening_socket(host: str, *ports: int, backlog: int = BACKLOG) -> socket.socket:
    """A listening TCP socket on the first of `ports` that is free; port 0 is any free one. NoPort.

    `host` is a name or an address of either family. The socket blocks, and is not inherited by programs.
    """
    last: OSError | None = None
    for port in ports:
        try:
            return _listen(host, port, backlog)
        except OSError as error:
            last = error
    wanted = " and ".join(str(port) for port in ports)
    reason = last.strerror or str(last) if last is not None else "no port was named"
    raise NoPort(last.errno if last is not None else None, f"cannot listen on port {wanted} of {host}: {reason}")


def free_port(host: str, *wanted: int) -> int:
    """The first of `wanted` that is free now, else any free one. For programs that bind their ports themselves."""
    with listening_socket(host, *wanted, 0) as probe:
        return port_of(probe)


def begin_connection(host: str, port: int) -> socket.socket:
    """A TCP socket that does not block and is about to be connected; what became of it shows at its first use."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setblocking(False)
    with suppress(OSError):
        sock.connect((host, port))
    return sock


def port_of(sock: socket.socket) -> int:
    """The port that a socket is bound to."""
    return int(sock.getsockname()[1])


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        # The connections of an earlier run may linger on the port for a minute.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock
