"""Composition root: settings -> adapters -> actions -> routes and subscriptions."""

from __future__ import annotations

from capstan_ingestion.actions.apply_part import DatasetParts
from capstan_ingestion.actions.check_batch import CheckBatch
from capstan_ingestion.actions.clear_incoming import ClearIncoming
from capstan_ingestion.actions.commit_batch import CommitBatch
from capstan_ingestion.actions.compare_keys import CompareKeys
from capstan_ingestion.actions.describe_batch import DescribeBatch
from capstan_ingestion.actions.describe_dataset import DescribeDataset
from capstan_ingestion.actions.ports import Checker, VersionStore
from capstan_ingestion.actions.pull_batch import PullBatch
from capstan_ingestion.actions.put_dataset import PutDataset
from capstan_ingestion.actions.read_batches import ReadBatches
from capstan_ingestion.actions.read_datasets import ReadDatasets
from capstan_ingestion.actions.read_versions import ReadVersions
from capstan_ingestion.actions.receive_batch import ReceiveBatch
from capstan_ingestion.actions.register_dataset import RegisterDataset
from capstan_ingestion.actions.replay_batch import ReplayBatch
from capstan_ingestion.actions.scrub_objects import ScrubObjects
from capstan_ingestion.actions.scrubs import Scrubs
from capstan_ingestion.actions.start_check import StartCheck
from capstan_ingestion.actions.widen_files import WidenFiles
from capstan_ingestion.adapters.dvc_store import DvcFolderStore
from capstan_ingestion.adapters.job_checker import JobChecker
from capstan_ingestion.routes.batches import batches_router
from capstan_ingestion.routes.datasets import datasets_router
from capstan_ingestion.routes.scrubs import scrubs_router
from capstan_ingestion.routes.uploads import UPLOADS, uploads_router
from capstan_ingestion.routes.versions import versions_router
from capstan_ingestion.settings import Settings
from capstan_ingestion.subscriptions import subscriptions
from capstan_servicekit.loops.apply import ApplyPart
from capstan_servicekit.loops.routes import loops_router
from capstan_servicekit.runtime import Kit, Service
from capstan_servicekit.security.egress import Egress
from capstan_servicekit.settings import ServiceSettings


def build(settings: ServiceSettings) -> Service:
    """The service with its real parts."""
    own = settings if isinstance(settings, Settings) else Settings(**settings.model_dump())
    return compose(Kit.from_settings(own), own)


def compose(
    kit: Kit, settings: Settings, *, checker: Checker | None = None, store: VersionStore | None = None
) -> Service:
    """The service around a kit; tests give parts of their own."""
    database, clock, outbox, work, objects = kit.database, kit.clock, kit.outbox, kit.work, kit.objects
    incoming = settings.home / "incoming" / kit.service
    register, describe_dataset = RegisterDataset(clock), DescribeDataset()
    start_check, describe_batch = StartCheck(work), DescribeBatch(work)
    receive = ReceiveBatch(database, clock, objects, start_check, describe_batch, incoming)
    egress = Egress(allow_hosts=settings.allow_pull_hosts, max_bytes=settings.max_upload_bytes)
    checker = checker or JobChecker(kit.jobs, settings)
    store = store or _version_store(kit, settings)
    commit = CommitBatch(
        database,
        clock,
        outbox,
        objects,
        store,
        WidenFiles(checker, objects),
        CompareKeys(checker, objects),
    )
    check = CheckBatch(clock, outbox, kit.jobs, objects, checker, commit)
    return Service(
        kit=kit,
        routers=(
            loops_router(ApplyPart(database, DatasetParts(clock, register))),
            datasets_router(ReadDatasets(database, describe_dataset), PutDataset(database, register, describe_dataset)),
            uploads_router(receive, PullBatch(egress, receive)),
            batches_router(
                ReadBatches(database, objects, describe_batch), ReplayBatch(database, start_check, describe_batch)
            ),
            versions_router(ReadVersions(database)),
            scrubs_router(Scrubs(database, work, clock)),
        ),
        subscriptions=subscriptions(),
        work=[check, ScrubObjects(database, clock, work, objects, store)],
        tasks=(ClearIncoming(clock, incoming),),
        uploads=UPLOADS,
    )


def _version_store(kit: Kit, settings: Settings) -> VersionStore:
    """Beside the objects, wherever they are."""
    if not settings.object_store_url:
        return DvcFolderStore(settings.home / "objects", kit.jobs)
    from capstan_ingestion.adapters.dvc_s3 import DvcS3Store  # noqa: PLC0415 - a laptop need not load the S3 client
    from capstan_servicekit.objects.bucket import S3Bucket  # noqa: PLC0415

    return DvcS3Store(S3Bucket.from_settings(settings), kit.jobs)
