"""Stop a run: everything that it started is killed."""

from __future__ import annotations

from capstan_servicekit.db.session import Database
from capstan_servicekit.work.queue import WorkQueue
from capstan_contracts.rest.training import Run
from capstan_contracts.work import State
from capstan_servicekit.errors import Conflict
from capstan_training.actions.read_runs import find_run, to_run
from capstan_training.actions.start_run import RUN


class CancelRun:
    """`POST /runs/{run}/cancel`."""

    def __init__(self, database: Database, work: WorkQueue) -> None:
        self._database, self._work = database, work

    async def __call__(self, project: str, run: str) -> Run:
        """Ask the run to stop; its state follows within seconds. Again on a cancelled run: nothing. Ended: Conflict."""
        async with self._database.write() as session:
            row = await find_run(session, project, run)
            state = State(row.state)
            if state.finished and state is not State.CANCELLED:
                raise Conflict(f"The run has ended already: {state.value}")
            await self._work.cancel(session, RUN, key=run, project=project)
            status = await self._work.status(session, RUN, key=run, project=project)
        return to_run(row, status.progress if status else None)
