"""How much lies in a folder that user code fills."""

from __future__ import annotations

import os
from contextlib import suppress

MOST_FILES = 100_000


def used(folder: str) -> int:
    """Bytes on the disk below a folder. One with more than `MOST_FILES` entries is as good as infinitely large."""
    total, entries, todo = 0, 0, [folder]
    while todo:
        with suppress(OSError), os.scandir(todo.pop()) as found:
            for entry in found:
                entries += 1
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks << 9
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
        if entries > MOST_FILES:
            return 1 << 62
    return total
