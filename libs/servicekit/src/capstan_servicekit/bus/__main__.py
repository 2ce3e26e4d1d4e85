"""`python -m capstan_servicekit.bus`: makes the broker's streams, once per installation; safe to repeat.

Waits up to a minute for the broker. What cannot be mended by waiting is told in one sentence, with exit code 1.
"""

from __future__ import annotations

import asyncio
import sys
import time

from nats.errors import Error as NatsError
from pydantic import ValidationError
from pydantic_settings import SettingsError

from capstan_servicekit.bus.nats import diagnose, ensure_streams
from capstan_servicekit.settings import BusAdminSettings, wrong_settings

PAUSE_S = 1.0


def _hopeless(error: BaseException) -> bool:
    """Whether waiting cannot help: the broker answers, and says no."""
    return isinstance(error, NatsError) and "authorization" in str(error).lower()


async def ensure(settings: BusAdminSettings) -> None:
    """Make the streams, with patience. SystemExit with a sentence when it cannot be done."""
    until, told = time.monotonic() + settings.bus_wait_s, ""
    while True:
        try:
            await ensure_streams(
                settings.bus_url,
                user=settings.bus_admin_user,
                password=settings.bus_admin_password.get_secret_value(),
                replicas=settings.bus_replicas,
            )
        except (NatsError, TimeoutError, OSError) as error:
            sentence = diagnose(
                error, url=settings.bus_url, user=settings.bus_admin_user, setting="CAPSTAN_BUS_ADMIN_PASSWORD"
            )
            if _hopeless(error) or time.monotonic() >= until:
                raise SystemExit(f"capstan bus: {sentence}") from None
            if sentence != told:
                print(f"capstan bus: waiting: {sentence}", file=sys.stderr, flush=True)
                told = sentence
            await asyncio.sleep(PAUSE_S)
        else:
            print("capstan bus: the streams are there", flush=True)
            return


def main() -> None:
    """The command line."""
    try:
        settings = BusAdminSettings()
    except (ValidationError, SettingsError) as error:
        raise SystemExit(f"capstan bus: {wrong_settings(error)}") from None
    asyncio.run(ensure(settings))


if __name__ == "__main__":
    main()
