"""Wiring: what buckets, rules and lifecycles the store must have for uploads to fire the chain.

What is wanted is worked out from settings alone; what there is is read from the store; what differs
is a list of changes, which is printed or made. Rules of other people on the same buckets stay.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from functions.chain import FunctionName
from functions.events import CREATED
from functions.layout import PART_SUFFIX, PATCHES_SUFFIX, SEGMENT_SUFFIX
from functions.settings import BucketSettings

Aspect = Literal["bucket", "notifications", "lifecycle", "cors"]
Rules = list[dict[str, Any]]

_OURS = "koubo-"
_TARGETS = ("QueueConfigurations", "LambdaFunctionConfigurations", "TopicConfigurations")
_ARN_NAMES = {
    "QueueConfigurations": "QueueArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
    "TopicConfigurations": "TopicArn",
}


class WireSettings(BaseSettings):
    """KOUBO_WIRE_*: whom the store tells of new objects, and what it tidies up by itself.

    Args:
        ingest: the target's ARN: MinIO's or RustFS's webhook, an SQS queue, a Lambda function.
        infer: the same, for segments.
        encode: the same, for patches and parts.
        prefix: only keys that begin so fire anything, such as `tenant/`.
        expire_days: after which inputs and everything made of them go; 0 keeps them.
        cors_origins: web pages that may upload by presigned links, such as `https://example.org`.
    """

    model_config = SettingsConfigDict(env_prefix="KOUBO_WIRE_", env_ignore_empty=True, frozen=True)

    ingest: str = "arn:minio:sqs::INGEST:webhook"
    infer: str = "arn:minio:sqs::INFER:webhook"
    encode: str = "arn:minio:sqs::ENCODE:webhook"
    prefix: str = ""
    expire_days: int = Field(default=0, ge=0)
    cors_origins: tuple[str, ...] = ()

    @property
    def is_minio(self) -> bool:
        """Whether the store is MinIO, which lacks some of S3's rules and has settings instead."""
        return self.ingest.startswith("arn:minio:")


@dataclass(frozen=True)
class Wanted:
    """What one aspect of one bucket should be; empty rules where there should be none of ours."""

    bucket: str
    aspect: Aspect
    rules: Rules


@dataclass(frozen=True)
class Change:
    """What has to be made of what there is.

    Args:
        wanted: what should be.
        found: our own rules as they are; None where the bucket is missing.
    """

    wanted: Wanted
    found: Rules | None

    def __str__(self) -> str:
        """One line a rule, for people."""
        title = f"{self.wanted.bucket}: {self.wanted.aspect}"
        if self.wanted.aspect == "bucket":
            return f"+ {title}"
        found, wanted = self.found or [], self.wanted.rules
        gone = [f"- {title} {_words(rule)}" for rule in found if rule not in wanted]
        new = [f"+ {title} {_words(rule)}" for rule in wanted if rule not in found]
        return "\n".join(gone + new)


class Wiring(Protocol):
    """A store's rules, read and written."""

    def read(self, bucket: str, aspect: Aspect) -> Rules | None:
        """All rules, other people's among them; None where the bucket is missing."""

    def write(self, bucket: str, aspect: Aspect, rules: Rules) -> None:
        """Replaces all rules."""


def plan(settings: WireSettings, buckets: BucketSettings) -> list[Wanted]:
    """All that should be, buckets first."""
    names = (buckets.input, buckets.work, buckets.output, buckets.models)
    found = [Wanted(name, "bucket", []) for name in names]
    found.append(Wanted(buckets.input, "notifications", list(_rules(settings, "input"))))
    found.append(Wanted(buckets.work, "notifications", list(_rules(settings, "work"))))
    for name, days in (
        (buckets.input, settings.expire_days),
        # A day later: a run that is gone while its inputs are there would be made again.
        (buckets.work, settings.expire_days and settings.expire_days + 1),
        (buckets.output, 0),
    ):
        found.append(Wanted(name, "lifecycle", [_lifecycle(settings, days)]))
    if not settings.is_minio:
        found += [Wanted(name, "cors", _cors(settings)) for name in (buckets.input, buckets.output)]
    return found


def differences(wanted: list[Wanted], wiring: Wiring) -> Iterator[Change]:
    """What has to be changed, in the order in which to change it."""
    for one in wanted:
        there = wiring.read(one.bucket, one.aspect)
        ours = None if there is None else [rule for rule in there if _is_ours(rule)]
        if ours is None or _sorted(ours) != _sorted(one.rules):
            yield Change(one, ours)


def apply(change: Change, wiring: Wiring) -> None:
    """Makes a change; rules that are not ours stay."""
    wanted = change.wanted
    there = wiring.read(wanted.bucket, wanted.aspect) or []
    others = [rule for rule in there if not _is_ours(rule)]
    wiring.write(wanted.bucket, wanted.aspect, others + wanted.rules)


def to_s3(rules: Rules) -> dict[str, Rules]:
    """S3's form of notification rules: a list for each kind of target."""
    made: dict[str, Rules] = {}
    for rule in rules:
        kind = _target_kind(rule["Arn"])
        ours = {name: value for name, value in rule.items() if name != "Arn"}
        made.setdefault(kind, []).append({**ours, _ARN_NAMES[kind]: rule["Arn"]})
    return made


def from_s3(found: Mapping[str, Any]) -> Rules:
    """Our form of notification rules, one list, alike however the store spells them."""
    rules = []
    for kind in _TARGETS:
        for rule in found.get(kind, ()):
            filters = rule.get("Filter", {}).get("Key", {}).get("FilterRules", ())
            named = {one["Name"].lower(): one["Value"] for one in filters}
            rules.append(_rule(rule.get("Id", ""), rule[_ARN_NAMES[kind]], rule["Events"], named))
    return rules


def _rules(settings: WireSettings, bucket: Literal["input", "work"]) -> Iterator[dict[str, Any]]:
    fired: dict[str, tuple[tuple[FunctionName, str], ...]] = {
        "input": (("ingest", ""),),
        "work": (("infer", SEGMENT_SUFFIX), ("encode", PATCHES_SUFFIX), ("encode", PART_SUFFIX)),
    }
    # Never `ObjectCreated:*`: MinIO fires that for changed tags and locks as well.
    events = [f"s3:ObjectCreated:{how}" for how in CREATED]
    for function, suffix in fired[bucket]:
        named = {"prefix": settings.prefix, "suffix": suffix}
        arn: str = getattr(settings, function)
        yield _rule(f"{_OURS}{function}{suffix.replace('.', '-')}", arn, events, named)


def _rule(identity: str, arn: str, events: list[str], named: Mapping[str, str]) -> dict[str, Any]:
    filters = [
        {"Name": name, "Value": named[name]} for name in ("prefix", "suffix") if named.get(name)
    ]
    rule: dict[str, Any] = {"Id": identity, "Arn": arn, "Events": sorted(events)}
    return {**rule, "Filter": {"Key": {"FilterRules": filters}}} if filters else rule


def _target_kind(arn: str) -> str:
    service = arn.split(":")[2]
    kinds = {"lambda": "LambdaFunctionConfigurations", "sns": "TopicConfigurations"}
    return kinds.get(service, "QueueConfigurations")


def _lifecycle(settings: WireSettings, days: int) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "ID": f"{_OURS}tidy",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
    }
    if not settings.is_minio:  # it forgets unfinished uploads after a day without being told
        rule["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": 1}
    if days:
        rule["Expiration"] = {"Days": days}
    return rule


def _cors(settings: WireSettings) -> Rules:
    if not settings.cors_origins:
        return []
    return [
        {
            "ID": f"{_OURS}uploads",
            "AllowedOrigins": list(settings.cors_origins),
            "AllowedMethods": ["GET", "HEAD", "PUT", "POST"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 3600,
        }
    ]


def _is_ours(rule: Mapping[str, Any]) -> bool:
    return str(rule.get("Id", rule.get("ID", ""))).startswith(_OURS)


def _words(rule: Mapping[str, Any]) -> str:
    """A rule for people: a notification in short, others as they are."""
    if "Arn" not in rule:
        return _line(rule)
    filters = rule.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    where = ", ".join(f"{one['Name']} {one['Value']}" for one in filters) or "every key"
    events = ", ".join(event.rpartition(":")[2] for event in rule["Events"])
    return f"{rule['Id']}: {where} ({events}) to {rule['Arn']}"


def _sorted(rules: Rules) -> list[str]:
    return sorted(_line(rule) for rule in rules)


def _line(rule: Mapping[str, Any]) -> str:
    return json.dumps(rule, sort_keys=True, ensure_ascii=False)
