"""The story: the loop goes round once on the flights of 2013. It knows the platform through its public clients only.

The same code plays against any target: a laptop's platform, or a cluster's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from capstan_client.sdk import Capstan
from demo.chapter import Plan, Seen
from demo.data_chapter import DataChapter
from demo.model_chapter import ModelChapter
from demo.steps import Screen, Step, play
from demo.traffic_chapter import TrafficChapter

Body = Callable[[], Awaitable[None]]


class Story:
    """The steps, in order."""

    def __init__(self, capstan: Capstan, plan: Plan, screen: Screen) -> None:
        self.seen = Seen()
        self.steps: list[Step] = []
        self._screen = screen
        self._data = DataChapter(capstan, plan, screen, self.seen)
        self._traffic = TrafficChapter(capstan, plan, screen, self.seen)
        self._models = ModelChapter(capstan, plan, screen, self.seen)
        self.one_prediction = self._models.one_prediction

    async def tell(self, after: Mapping[str, Body] | None = None) -> list[Step]:
        """Play all steps, and those of the teller after the named ones; StepFailed at the first that does not hold."""
        data, traffic, models = self._data, self._traffic, self._models
        for name, expected, body in (
            ("apply the loop", "every service takes its part; applying again changes nothing", data.apply),
            ("months arrive", "three months committed; a broken one kept apart, mended and replayed", data.months),
            ("first champion", "features, training and gates by themselves; the champion serves", models.first),
            ("quiet months", "predictions over HTTP, labels later, live quality; no alarm", traffic.quiet),
            ("the season changes", "drift is detected with corrected figures, and reported", traffic.season),
            ("retrain by itself", "a run on complete labels passes the gates and serves", models.retrain),
            ("a sabotaged run", "trained on shuffled labels, refused with every gate's figures", models.sabotage),
            ("a rollback", "the former champion answers at once; the ledger says who and why", models.rollback),
            ("the new champion at work", "the next month is answered by it; live quality is known", traffic.after),
            ("explain one prediction", "down to source files and rows; the ledger is intact", models.explain),
        ):
            await self._play(name, expected, body)
            if after and name in after:
                await after[name]()
        return self.steps

    async def _play(self, name: str, expected: str, body: Callable[[Step], Awaitable[None]]) -> None:
        step = Step(name, expected)
        self.steps.append(step)
        try:
            await play(step, body, self._screen)
        finally:
            self._data.mark(f"{name}: {'done' if step.ok else 'failed'}")
