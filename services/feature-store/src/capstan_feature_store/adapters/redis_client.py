"""The connection to Redis, and its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from capstan_formats.online import OnlineServerAway
from capstan_servicekit.errors import NotReady

FAILURES: Final[tuple[type[Exception], ...]] = (redis.RedisError, OSError)
SETTING: Final = "CAPSTAN_ONLINE_STORE_URL"


def connect(url: str, *, timeout_s: float = 5.0) -> redis.Redis:
    """A client; it connects on first use, and threads may share it."""
    return redis.Redis.from_url(
        url,
        protocol=2,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.1), 2),
        client_name="capstan-feature-store",
    )


def sentence(error: BaseException, url: str) -> str:
    """What is wrong, and which setting mends it."""
    place = urlsplit(url).netloc.rpartition("@")[2] or "a socket"
    cause = error.__cause__ if isinstance(error, OnlineServerAway) and error.__cause__ is not None else error
    text = str(cause)
    if isinstance(cause, redis.AuthenticationError) or text.startswith(("NOAUTH", "WRONGPASS", "NOPERM")):
        return f"the online store at {place} refuses the password in {SETTING}; set it to the one that Redis has"
    if text.startswith("OOM") or "used memory > 'maxmemory'" in text:
        return f"the online store at {place} is full; give Redis more memory (maxmemory)"
    if text.startswith(("READONLY", "MISCONF")):
        return f"the online store at {place} takes no writes ({text[:100]}); look at its disk and its role"
    if isinstance(cause, redis.ConnectionError | redis.TimeoutError | OSError):
        return f"the online store at {place} cannot be reached; does it run, and is {SETTING} right?"
    return f"the online store at {place} refuses a command: {text[:200]}"


@contextmanager
def speaking(url: str) -> Iterator[None]:
    """NotReady with a sentence for what the client raises."""
    try:
        yield
    except (redis.RedisError, OSError, OnlineServerAway) as error:
        raise NotReady(sentence(error, url)) from error
