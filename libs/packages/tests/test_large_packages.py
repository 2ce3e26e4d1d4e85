"""A package of any size is packed, checked and read in the memory of a piece; its header costs a few reads."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from capstan_packages.reader import read_header, read_package
from capstan_packages.writer import write_package
from capstan_testkit.packages import build_content

MIB = 1024 * 1024
LARGE = 300 * MIB
BOUND = 8 * MIB
Peak = Callable[[], AbstractContextManager[list[int]]]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A folder whose model has 300 MiB: a file of holes, so that the disk has not."""
    content = build_content(tmp_path / "unpacked", engine="big", members=("weights.safetensors",), model=b"first")
    os.truncate(content / "weights.safetensors", LARGE)
    return content


@pytest.fixture
def peak() -> Peak:
    """The most bytes that Python objects had within, as the one entry of a list."""

    @contextmanager
    def measure() -> Iterator[list[int]]:
        found: list[int] = []
        tracemalloc.start()
        try:
            yield found
        finally:
            found.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    return measure


def test_memory_does_not_grow_with_the_members(large: Path, tmp_path: Path, peak: Peak) -> None:
    target = tmp_path / "large.tar"
    with peak() as packing:
        digest = write_package(large, target)
    with peak() as reading:
        package = read_package(target)
    with peak() as streaming:
        size = sum(len(chunk) for chunk in package.member("weights.safetensors").chunks())
    assert (package.digest, size) == (digest, LARGE)
    assert max(*packing, *reading, *streaming) < BOUND
    with target.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest


def test_the_header_alone_costs_a_few_reads(large: Path, tmp_path: Path, peak: Peak) -> None:
    target = tmp_path / "large.tar"
    write_package(large, target)
    before = _bytes_read()
    with peak() as reading:
        header = read_header(target)
    assert header.members == ("weights.safetensors",)
    assert _bytes_read() - before < MIB
    assert reading[0] < MIB


def _bytes_read() -> int:
    """What this process has asked the kernel for so far; 0 where the kernel does not say."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar"))
