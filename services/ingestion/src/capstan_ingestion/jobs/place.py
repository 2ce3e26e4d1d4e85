"""Place files into a DVC store with DVC's own library, so that a plain `dvc pull` finds them."""

from __future__ import annotations

import os
from pathlib import Path

from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash import hash_file
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.state import StateNoop
from dvc_data.hashfile.tree import Tree
from dvc_objects.fs.local import LocalFileSystem

from capstan_ingestion.domain.jobs import FilesToPlace, PlacedFiles
from capstan_servicekit.jobs.api import Job


def run(job: Job) -> PlacedFiles:
    """Safe to repeat and to run beside itself: objects are named by their content and appear by a rename.

    Whether the kept files are there is for the caller to say: they need not lie in this folder.
    """
    given = job.read(FilesToPlace)
    fs = LocalFileSystem()
    store = HashFileDB(fs, given.store, state=StateNoop(), hash_name="md5", verify=True)
    md5s = {path: str(hash_file(source, fs, "md5")[1].value) for path, source in given.new.items()}
    for path, source in given.new.items():
        store.add(source, fs, md5s[path], hardlink=True)
    folder = Tree()
    for path, md5 in (given.kept | md5s).items():
        folder.add((path,), Meta(), HashInfo("md5", md5))
    folder.digest()
    store.add(folder.path, folder.fs, folder.oid)
    for oid in (*md5s.values(), folder.oid):
        _make_durable(Path(store.oid_to_path(oid)))
    return PlacedFiles(md5s, dvc_md5=folder.oid)


def _make_durable(path: Path) -> None:
    for place in (path, path.parent, path.parent.parent):
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
