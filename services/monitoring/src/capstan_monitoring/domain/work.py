"""What the leased work of monitoring is given. A window is named by its loop, its start and the model's version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True)
class SegmentToIngest:
    """A segment of the prediction log, by its digest.

    With `package` only its rows that waited for that package are taken in; `cause` is what told of the package.
    """

    KIND: ClassVar[str] = "ingest"
    loop: str
    segment: str
    package: str = ""
    cause: str = ""

    @property
    def key(self) -> str:
        """Once per loop and segment, and again for each package and cause."""
        return ":".join(part for part in (self.loop, self.segment, self.package, self.cause) if part)


@dataclass(frozen=True)
class LabelsToJoin:
    """The labels of a batch that came with a version of the loop's dataset."""

    KIND: ClassVar[str] = "join-labels"
    loop: str
    dataset: str
    version: str
    batch: str

    @property
    def key(self) -> str:
        """Once per loop and version."""
        return f"{self.loop}:{self.dataset}:{self.version}"


@dataclass(frozen=True)
class NamedWindow:
    """A window by its name."""

    loop: str
    start: datetime
    version: int

    @property
    def key(self) -> str:
        """The window's name."""
        return f"{self.loop}:{self.start:%Y-%m-%dT%H:%M:%S.%f}:{self.version}"


@dataclass(frozen=True)
class WindowToJudge(NamedWindow):
    """A window that time has closed."""

    KIND: ClassVar[str] = "judge"


@dataclass(frozen=True)
class WindowToReport(NamedWindow):
    """A judged window that people want to read of."""

    KIND: ClassVar[str] = "report"


@dataclass(frozen=True)
class WindowToMeasure(NamedWindow):
    """A window that labels have come for. `cause` is what brought them: a digest, a version, or a request."""

    KIND: ClassVar[str] = "quality"
    cause: str

    @property
    def key(self) -> str:
        """Once per window and cause."""
        return f"{super().key}:{self.cause}"
