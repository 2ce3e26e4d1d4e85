"""The first champion, the retrain that starts by itself, the sabotaged run, and one prediction explained."""

from __future__ import annotations

import time
from typing import Any

from capstan_client.sdk.lineage import trace
from capstan_client.sdk.transport import poll
from capstan_contracts.ids import short
from capstan_contracts.rest.registry import LedgerEntry, Rollback
from capstan_contracts.rest.training import RunRequest
from demo.chapter import LOOP, Chapter
from demo.steps import Step


class ModelChapter(Chapter):
    """Train, decide, serve, explain."""

    async def first(self, step: Step) -> None:
        runs = await self.until(self.capstan.training.runs, bool)
        run = await self.capstan.training.wait_for_run(runs[0].id, timeout_s=self.plan.patience_s)
        step.check("the run started by itself", run.reason == "first")
        step.check("the run succeeded", run.state.value == "succeeded")
        ledger = await self.until(lambda: self.capstan.registry.ledger(LOOP), bool)
        refused = [gate["sentence"] for gate in ledger[0].gates if gate["passed"] is False]
        if ledger[0].decision != "approved":
            raise AssertionError(f"the gates refused the first candidate: {refused}")
        deployment = await self.serving(1)
        version = await self.capstan.registry.version(LOOP, deployment.model_version or 0)
        champion = await self.capstan.registry.champion(LOOP)
        entry = next(e for e in await self.capstan.registry.ledger(LOOP) if e.sequence == champion.ledger_sequence)
        step.check("the champion is what serves", deployment.package == champion.package == version.package)
        step.check("every gate passed", all(gate["passed"] is not False for gate in entry.gates))
        self.seen.champion = champion.version
        step.figures = {
            "metrics": run.metrics, "package": short(version.package), "gates": entry.gates, "run": run.id,
            "training_set": short(run.training_set or ""),
        }  # fmt: skip
        auc = run.metrics.get("auc", float("nan"))
        step.observed = f"version {champion.version} serves, holdout AUC {auc:.3f}, {len(entry.gates)} gates"

    async def retrain(self, step: Step) -> None:
        done = {"promoted", "refused", "failed", "withheld"}
        retrains = await self.until(
            lambda: self.capstan.monitoring.retrains(LOOP), lambda found: any(r.state in done for r in found)
        )
        retrain = next(one for one in reversed(retrains) if one.state in done)
        step.check("the retrain was asked for by monitoring and promoted", retrain.state == "promoted")
        run = await self.capstan.training.run(retrain.run or "")
        deployment = await self.serving(self.seen.champion + 1)
        champion = await self.capstan.registry.champion(LOOP)
        step.check("the run names drift as its reason", run.reason == "drift")
        step.check(
            "it was pinned to the version whose labels are complete", run.dataset_version == retrain.dataset_version
        )
        step.check("the new champion serves", deployment.model_version == champion.version > self.seen.champion)
        entry = next(e for e in await self.capstan.registry.ledger(LOOP) if e.sequence == champion.ledger_sequence)
        self.seen.champion = champion.version
        step.figures = {"run": run.id, "metrics": run.metrics, "gates": entry.gates, "evidence": retrain.evidence}
        versus = next((gate for gate in entry.gates if "champion" in gate["gate"].lower()), {"sentence": ""})
        step.observed = f"version {champion.version} serves; {versus['sentence']}"

    async def sabotage(self, step: Step) -> None:
        request = RunRequest(loop=LOOP, parameters={"shuffle_labels": True})
        run = await self.capstan.training.start(request)
        run = await self.capstan.training.wait_for_run(run.id, timeout_s=self.plan.patience_s)

        async def decided() -> LedgerEntry | None:
            versions = {v.run: v.version for v in await self.capstan.registry.versions(LOOP)}
            entries = await self.capstan.registry.ledger(LOOP)
            return next((entry for entry in entries if entry.version == versions.get(run.id)), None)

        entry = await self.until(decided, lambda found: found is not None)
        assert entry is not None
        champion = await self.capstan.registry.champion(LOOP)
        failed = [gate for gate in entry.gates if gate["passed"] is False]
        step.check("the run itself succeeded", run.state.value == "succeeded")
        step.check("the gates refused it", entry.decision == "refused" and bool(failed))
        step.check("every gate has a sentence with its figures", all(gate["sentence"] for gate in entry.gates))
        step.check("the champion stayed", champion.version == self.seen.champion)
        for gate in failed:
            self.screen.say(f"refused: {gate['sentence']}")
        step.figures = {"gates": entry.gates, "ledger_sequence": entry.sequence}
        step.observed = f"version {entry.version} refused by {len(failed)} of {len(entry.gates)} gates"

    async def rollback(self, step: Step) -> None:
        registry = self.capstan.registry
        back, seconds = await self._go_back("an example of a rollback")
        entry = next(e for e in await registry.ledger(LOOP) if e.sequence == back.ledger_sequence)
        forth, _ = await self._go_back("the rollback was an example", back.from_version)
        champion = await registry.champion(LOOP)
        goal = self.plan.rollback_goal_s
        step.check("it went back to the champion before", back.from_version == self.seen.champion > back.to_version)
        step.check(f"the former champion answered within {goal:g} s", seconds <= goal)
        step.check("the ledger has who and why", bool(entry.by) and "an example" in entry.gates[0]["sentence"])
        step.check("the champion is back", champion.version == forth.to_version == self.seen.champion)
        step.figures = {"seconds": round(seconds, 3), "ledger_sequence": back.ledger_sequence}
        step.observed = (
            f"version {back.to_version} answered {seconds:.2f} s after the command, "
            f"ledger entry {back.ledger_sequence}; then version {forth.to_version} again"
        )

    async def _go_back(self, reason: str, version: int | None = None) -> tuple[Rollback, float]:
        """Seconds from the command to the first answer of the version that it brings back."""
        started = time.monotonic()
        done = await self.capstan.registry.rollback(LOOP, reason=reason, version=version)

        def there(answer: dict[str, Any]) -> bool:
            return bool(answer["model_version"] == done.to_version)

        await poll(self.one_prediction, there, timeout_s=self.plan.patience_s, every_s=0.02)
        return done, time.monotonic() - started

    async def explain(self, step: Step) -> None:
        found = await trace(self.capstan, self.seen.sample_prediction)
        verified = await self.capstan.registry.verify_ledger()
        then = await self.capstan.registry.champion(LOOP, found.prediction.answered_at)
        explained = [origin.explanation for origin in found.features if origin.explanation and origin.explanation.rows]
        step.check("the id leads to version, run and dataset", found.run.id == found.version.run)
        step.check("source files and rows are named", bool(explained) and bool(found.dataset.files))
        step.check("the ledger names the same version for that moment", then.version == found.prediction.model_version)
        step.check("the ledger is intact", verified.intact and verified.entries >= 3)
        step.figures = {
            "prediction": found.prediction.prediction_id, "urns": found.urns,
            "files": [f"{file.source} ({file.rows:,} rows)" for file in found.dataset.files],
            "rows": [f"{row.dataset} {row.file} row {row.row}" for why in explained for row in why.rows[:1]],
            "ledger_entries": verified.entries,
        }  # fmt: skip
        moment = f"{found.prediction.answered_at:%H:%M:%S}"
        step.observed = (
            f"{' <- '.join(found.urns[:5])}: {len(explained)} views down to a row of a file; "
            f"production at {moment} was version {then.version}; ledger of {verified.entries} entries intact"
        )
