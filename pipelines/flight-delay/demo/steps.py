"""A story is a list of steps; each says what it expects and is judged by what the services answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


class Screen(Protocol):
    """Where the story is told."""

    def say(self, text: str) -> None:
        """A line."""
        ...

    def busy(self, text: str) -> None:
        """What is being done now."""
        ...


@dataclass
class Step:
    """One step as it turned out."""

    name: str
    expected: str
    observed: str = ""
    ok: bool = False
    seconds: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)
    checks: list[tuple[str, bool]] = field(default_factory=list)

    def check(self, sentence: str, holds: bool) -> None:
        """A condition of this step: the step is good when all of its conditions hold."""
        self.checks.append((sentence, bool(holds)))

    @property
    def broken(self) -> list[str]:
        """Conditions that do not hold."""
        return [sentence for sentence, holds in self.checks if not holds]


class StepFailed(Exception):
    """The story cannot go on."""


async def play(step: Step, body: Callable[[Step], Awaitable[None]], screen: Screen) -> Step:
    """Run one step and judge it; StepFailed when it raises or one of its conditions does not hold."""
    started = time.monotonic()
    screen.busy(step.name)
    try:
        await body(step)
    except Exception as error:
        step.observed = f"{type(error).__name__}: {error}"
        raise StepFailed(f"{step.name}: {step.observed}") from error
    finally:
        step.seconds = round(time.monotonic() - started, 2)
        step.ok = bool(step.checks) and not step.broken and not step.observed.startswith("StepFailed")
    if not step.ok:
        raise StepFailed(f"{step.name}: does not hold: {'; '.join(step.broken)}")
    return step
