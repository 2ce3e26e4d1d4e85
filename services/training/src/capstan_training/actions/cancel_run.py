"""Stop a run: everything that it started is killed."""

from __future__ import annotations

from capstan_contracts.rest.training import Run
from capstan_contracts.work import State
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import Conflict
from capstan_servicekit.work.queue import WorkQueue
from capstan_training.actions.read_runs import to_run
from capstan_training.domain.run import RUN
from capstan_training.domain.work import RunToCarryOut
from capstan_training.tables import run_row


class CancelRun:
    """`POST /runs/{run}/cancel`."""

    def __init__(self, database: Database, work: WorkQueue) -> None:
        self._database, self._work = database, work

    async def __call__(self, project: str, run: str) -> Run:
        """Ask the run to stop; its state follows within seconds. Again on a cancelled run: nothing. Ended: Conflict."""
        async with self._database.write() as session:
            row = await run_row(session, project, run)
            state = State(row.state)
            if state is not State.CANCELLED and not RUN.allows(state, State.CANCELLED):
                raise Conflict(f"The run has ended already: {state.value}")
            await self._work.cancel(session, RunToCarryOut(run), project=project)
            status = await self._work.status(session, RunToCarryOut(run), project=project)
        return to_run(row, status.progress if status else None)
