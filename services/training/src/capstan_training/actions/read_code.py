"""Show a recipe archive and what it compiled to."""

from __future__ import annotations

from capstan_contracts.ids import short
from capstan_contracts.rest.training import CodeArchive
from capstan_contracts.work import State
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import NotFound
from capstan_training.tables import CodeRow


def to_archive(row: CodeRow) -> CodeArchive:
    """The wire form."""
    return CodeArchive(
        digest=row.digest,
        state=State(row.state),
        problem=row.problem,
        pipelines={name: str(pipeline["ir"]) for name, pipeline in sorted(row.pipelines.items())},
    )


class ReadCode:
    """`GET /code/{digest}`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, project: str, digest: str) -> CodeArchive:
        """The archive; NotFound."""
        async with self._database.read() as session:
            row = await session.get(CodeRow, (project, digest))
        if row is None:
            raise NotFound(
                f"no recipe archive {short(digest)} in project {project}", hint="Upload it with PUT /code/{digest}."
            )
        return to_archive(row)
