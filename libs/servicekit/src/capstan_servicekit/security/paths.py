"""One path resolver: decode nothing, normalise, resolve links, and stay under the root."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from capstan_contracts.errors import Code
from capstan_servicekit.errors import Invalid, broken


def under(root: Path, relative: str) -> Path:
    """`relative` below `root` with links resolved; refuses absolute paths, `..`, backslashes, NUL and percent signs.

    A percent sign is refused because some later reader might decode it (MLflow's CVE-2024-1560).
    """
    pure = PurePosixPath(relative)
    suspicious = any(bad in relative for bad in ("\\", "\0", "%", "//")) or ".." in pure.parts
    if not relative or suspicious or pure.is_absolute():
        raise Invalid(
            "The path is not allowed",
            errors=broken("path", "relative, of plain names, no '..', '\\' or '%'"),
            code=Code.INVALID_NAME,
        )
    base = root.resolve()
    target = (base / pure).resolve()
    if not target.is_relative_to(base):
        raise Invalid("The path leaves its folder", errors=broken("path", "below its root"), code=Code.INVALID_NAME)
    return target
