"""What every store of dataset versions must do: name files and folders by their content, as DVC does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from capstan_contracts.rest.ingestion import ManifestFile
from capstan_servicekit.errors import Upstream
from capstan_servicekit.objects.port import Condition


class VersionStore(Protocol):
    """The port, as ingestion's tests give it; `Any` has `md5s` and `dvc_md5`."""

    async def place(self, project: str, *, new: Mapping[str, Path], kept: Sequence[ManifestFile], folder: Path) -> Any:
        """Put files, by their paths in the dataset, beside the kept ones."""
        ...

    async def scrub(self, project: str, md5: str) -> Condition:
        """Read all bytes of what was placed."""
        ...


def kept(path: str, md5: str) -> ManifestFile:
    """A file of the version before."""
    digest = hashlib.sha256(path.encode()).hexdigest()
    return ManifestFile(partition=path, batch=digest, path=path, md5=md5, sha256=digest, bytes=1, rows=1, source=path)


class VersionStoreBehaviour:
    """Inherit, and give the fixture `store`, which may be empty."""

    async def _place(self, store: VersionStore, folder: Path, path: str, text: str, *beside: ManifestFile) -> Any:
        return await self._place_all(store, folder, {path: text}, *beside)

    async def _place_all(
        self, store: VersionStore, folder: Path, texts: Mapping[str, str], *beside: ManifestFile
    ) -> Any:
        new = {path: folder / f"{path.replace('/', '-')}-{text}" for path, text in texts.items()}
        for path, text in texts.items():
            new[path].write_text(text, encoding="utf-8")
        scratch = folder / "scratch"
        scratch.mkdir(exist_ok=True)
        return await store.place("default", new=new, kept=beside, folder=scratch)

    async def test_a_file_has_the_name_of_its_content_and_a_folder_that_of_its_files(
        self, store: VersionStore, tmp_path: Path
    ) -> None:
        first = await self._place(store, tmp_path, "2013-01.parquet", "january")
        assert first.md5s == {"2013-01.parquet": hashlib.md5(b"january", usedforsecurity=False).hexdigest()}
        assert first.dvc_md5.endswith(".dir")
        assert await self._place(store, tmp_path, "2013-01.parquet", "january") == first
        elsewhere = await self._place(store, tmp_path, "2013-02.parquet", "january")
        assert list(elsewhere.md5s.values()) == list(first.md5s.values()) and elsewhere.dvc_md5 != first.dvc_md5

    async def test_the_order_of_the_kept_files_does_not_matter(self, store: VersionStore, tmp_path: Path) -> None:
        placed = {name: await self._place(store, tmp_path, name, name) for name in ("a", "b")}
        beside = [kept(name, stored.md5s[name]) for name, stored in placed.items()]
        forth = await self._place(store, tmp_path, "c", "c", *beside)
        back = await self._place(store, tmp_path, "c", "c", *reversed(beside))
        alone = await self._place(store, tmp_path, "c", "c")
        assert forth == back and forth.md5s == alone.md5s and forth.dvc_md5 != alone.dvc_md5

    async def test_files_that_are_placed_at_once_make_the_folder_of_those_placed_one_by_one(
        self, store: VersionStore, tmp_path: Path
    ) -> None:
        texts = {"a": "a", "b": "the same", "c": "the same"}
        at_once = await self._place_all(store, tmp_path, texts)
        beside: list[ManifestFile] = []
        for name, text in texts.items():
            single = await self._place(store, tmp_path, name, text, *beside)
            beside.append(kept(name, single.md5s[name]))
        assert at_once.dvc_md5 == single.dvc_md5
        assert at_once.md5s == {file.path: file.md5 for file in beside}

    async def test_a_kept_file_that_the_store_has_lost_is_no_part_of_a_new_version(
        self, store: VersionStore, tmp_path: Path
    ) -> None:
        lost = hashlib.md5(b"never placed", usedforsecurity=False).hexdigest()
        with pytest.raises(Upstream, match=rf"the store has lost 2013-01\.parquet \({lost}\)"):
            await self._place(store, tmp_path, "2013-02.parquet", "february", kept("2013-01.parquet", lost))

    async def test_what_was_placed_is_whole_and_what_was_not_is_gone(self, store: VersionStore, tmp_path: Path) -> None:
        placed = await self._place(store, tmp_path, "2013-01.parquet", "january")
        md5 = placed.md5s["2013-01.parquet"]
        assert await store.scrub("default", md5) is Condition.WHOLE
        assert await store.scrub("default", placed.dvc_md5) is Condition.WHOLE
        assert await store.scrub("elsewhere", md5) is Condition.GONE
        assert await store.scrub("default", "0" * 32) is Condition.GONE
