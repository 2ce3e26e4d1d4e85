"""Values of k8s/dev: single-replica data services, for development only."""

from __future__ import annotations

from pydantic import Field

from schema.base import Bytes, ImageName, Resources, Values, resources


class DataPod(Values):
    """One data service."""

    image: ImageName = Field(min_length=1, description="with a tag or digest; `latest` is refused")
    resources: Resources
    storage: Bytes = Field(description="size of its volume, on the default StorageClass")


class S3Pod(DataPod):
    """The S3 gateway, on a folder of its volume."""

    bucket: str = Field(default="capstan", pattern=r"^[a-z0-9][a-z0-9.-]{2,62}$")


class DevelopmentData(Values):
    """Single-replica PostgreSQL, NATS, Redis and S3. Nothing is replicated or backed up."""

    secret: str = Field(default="capstan-data", description="the Secret that the charts of the services read")
    image_pull_policy: str = Field(default="IfNotPresent", pattern="^(IfNotPresent|Never|Always)$")
    storage_class: str = Field(default="", description="empty: the default one")
    postgresql: DataPod = DataPod(image="postgres:15", resources=resources("50m", "128Mi", "1", "512Mi"), storage="4Gi")
    nats: DataPod = DataPod(
        image="nats:2.15-alpine", resources=resources("25m", "32Mi", "500m", "256Mi"), storage="2Gi"
    )
    redis: DataPod = DataPod(image="redis:7", resources=resources("25m", "32Mi", "500m", "512Mi"), storage="1Gi")
    s3: S3Pod = S3Pod(
        image="versity/versitygw:v1.8.0", resources=resources("25m", "32Mi", "500m", "256Mi"), storage="8Gi"
    )
