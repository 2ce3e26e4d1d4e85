"""The source `upload`: clients send files."""

from __future__ import annotations

from typing import ClassVar


class Upload:
    """`POST /datasets/{dataset}/batches` and `/pulls`."""

    kind: ClassVar[str] = "upload"
    pushed: ClassVar[bool] = True
