"""The store's side of wiring: boto3 for S3's rules, minio-py for what only MinIO has."""

import json
from dataclasses import dataclass
from typing import Any

import boto3
import minio
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from minio.credentials.providers import StaticProvider

from functions.errors import KouboError, NotSetUpError
from functions.settings import StoreSettings
from functions.wire import Aspect, Rules, WireSettings, from_s3, to_s3

_ABSENT = {
    "404",
    "NoSuchBucket",
    "NoSuchLifecycleConfiguration",
    "NoSuchCORSConfiguration",
}


class WireError(KouboError):
    """The store does not take a rule; the message is its own."""


@dataclass(frozen=True)
class S3Wiring:
    """Rules of S3, MinIO or RustFS, by boto3's client."""

    client: Any

    @staticmethod
    def connect(settings: StoreSettings) -> "S3Wiring":
        """A client for the store of these settings; nothing is contacted yet.

        Raises:
            NotSetUpError: the store is a folder, which needs no wiring.
        """
        return S3Wiring(s3_client(settings))

    def read(self, bucket: str, aspect: Aspect) -> Rules | None:
        """See `wire.Wiring`."""
        try:
            self.client.head_bucket(Bucket=bucket)
        except ClientError as error:
            return _absent(error, None)
        except BotoCoreError as error:
            raise WireError(f"the store can't be reached: {error}") from error
        try:
            match aspect:
                case "bucket":
                    return []
                case "notifications":
                    found = self.client.get_bucket_notification_configuration(Bucket=bucket)
                    return from_s3(found)
                case "lifecycle":
                    found = self.client.get_bucket_lifecycle_configuration(Bucket=bucket)
                    return [_lifecycle(rule) for rule in found["Rules"]]
                case "cors":
                    return list(self.client.get_bucket_cors(Bucket=bucket)["CORSRules"])
        except ClientError as error:
            return _absent(error, [])

    def write(self, bucket: str, aspect: Aspect, rules: Rules) -> None:
        """See `wire.Wiring`."""
        try:
            match aspect:
                case "bucket":
                    self._create(bucket)
                case "notifications":
                    self.client.put_bucket_notification_configuration(
                        Bucket=bucket, NotificationConfiguration=to_s3(rules)
                    )
                case "lifecycle":
                    self.client.put_bucket_lifecycle_configuration(
                        Bucket=bucket, LifecycleConfiguration={"Rules": rules}
                    )
                case "cors" if rules:
                    self.client.put_bucket_cors(
                        Bucket=bucket, CORSConfiguration={"CORSRules": rules}
                    )
                case "cors":
                    self.client.delete_bucket_cors(Bucket=bucket)
        except ClientError as error:
            raise WireError(f"{bucket}: {aspect}: {error}") from error

    def _create(self, bucket: str) -> None:
        region = self.client.meta.region_name
        # S3's oldest region is the one that must not be named.
        place = {} if region == "us-east-1" else {"LocationConstraint": region}
        extra = {"CreateBucketConfiguration": place} if place else {}
        self.client.create_bucket(Bucket=bucket, **extra)


def s3_client(settings: StoreSettings) -> Any:  # noqa: ANN401 -- boto3 makes its clients' classes at run time
    """A boto3 client for the store; without keys in the settings boto3 looks for its own."""
    if settings.kind != "s3":
        raise NotSetUpError("the store is a folder: set KOUBO_STORE_KIND=s3 and its endpoint")
    keys = settings.keys
    return boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name=settings.region,
        aws_access_key_id=keys[0] if keys else None,
        aws_secret_access_key=keys[1] if keys else None,
        config=Config(
            s3={"addressing_style": "path" if settings.endpoint else "auto"},
            retries={"mode": "standard", "max_attempts": 5},
        ),
    )


def missing_targets(store: StoreSettings, wire: WireSettings) -> list[str]:
    """What MinIO was not told at its start, in words; empty where every target is there.

    Rules that name an unknown target are refused, and MinIO learns of targets only when it starts.
    """
    if not wire.is_minio or store.endpoint is None:
        return []
    host = urllib3.util.parse_url(store.endpoint)
    keys = store.keys
    admin = minio.MinioAdmin(
        endpoint=host.netloc or "",
        credentials=StaticProvider(*keys) if keys else StaticProvider("", ""),
        secure=host.scheme == "https",
    )
    known = set(json.loads(admin.info()).get("sqsARN") or ())
    return [
        f"MinIO knows no {arn}: start it with MINIO_NOTIFY_WEBHOOK_ENABLE_{arn.split(':')[4]}=on "
        f"and MINIO_NOTIFY_WEBHOOK_ENDPOINT_{arn.split(':')[4]}=http://.../events"
        for arn in (wire.ingest, wire.infer, wire.encode)
        if arn not in known
    ]


def _absent(error: ClientError, instead: Rules | None) -> Rules | None:
    code = error.response["Error"]["Code"]
    if code in _ABSENT:
        return instead
    raise WireError(f"the store refuses: {error}") from error


def _lifecycle(rule: dict[str, Any]) -> dict[str, Any]:
    """A lifecycle rule as we write it; stores leave out an empty prefix or spell it differently."""
    named = {name: value for name, value in rule.items() if name not in ("Prefix", "Filter")}
    prefix = rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
    others = {name: value for name, value in rule.get("Filter", {}).items() if name != "Prefix"}
    return {**named, "Filter": others or {"Prefix": prefix}}
