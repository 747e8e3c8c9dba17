from copy import deepcopy
from dataclasses import dataclass, field

import pytest

from functions.settings import BucketSettings
from functions.wire import Aspect, Rules, WireSettings, apply, differences, from_s3, plan, to_s3

BUCKETS = BucketSettings()
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:koubo"
LAMBDA = "arn:aws:lambda:eu-central-1:123456789012:function:koubo"


@dataclass
class Rulebook:
    """Rules in memory, as a store keeps them."""

    rules: dict[tuple[str, Aspect], Rules] = field(default_factory=dict)
    buckets: set[str] = field(default_factory=set)

    def read(self, bucket: str, aspect: Aspect) -> Rules | None:
        return self.rules.get((bucket, aspect), []) if bucket in self.buckets else None

    def write(self, bucket: str, aspect: Aspect, rules: Rules) -> None:
        if aspect == "bucket":
            self.buckets.add(bucket)
        else:
            self.rules[bucket, aspect] = rules


def notifications(settings: WireSettings, bucket: str) -> Rules:
    (wanted,) = (
        one
        for one in plan(settings, BUCKETS)
        if (one.bucket, one.aspect) == (bucket, "notifications")
    )
    return wanted.rules


def test_the_events_are_named() -> None:
    """Rules name the four ways in which objects come to be, and no wildcard."""
    for bucket in (BUCKETS.input, BUCKETS.work):
        for rule in notifications(WireSettings(), bucket):
            assert {event.rpartition(":")[2] for event in rule["Events"]} == {
                *("Put", "Post", "Copy", "CompleteMultipartUpload"),
            }


def test_each_function_hears_of_its_own() -> None:
    """Uploads go to ingest, segments to infer, patches and parts to encode, under the prefix."""
    settings = WireSettings(prefix="studio/")
    (upload,) = notifications(settings, BUCKETS.input)
    assert upload["Arn"] == settings.ingest
    found = {
        tuple(one["Value"] for one in rule["Filter"]["Key"]["FilterRules"]): rule["Arn"]
        for rule in notifications(settings, BUCKETS.work)
    }
    assert found == {
        ("studio/", ".segment.json"): settings.infer,
        ("studio/", ".patches.zip"): settings.encode,
        ("studio/", ".part.mp4"): settings.encode,
    }


@pytest.mark.parametrize(
    "settings",
    [
        WireSettings(),
        WireSettings(expire_days=30, prefix="a/"),
        WireSettings(ingest=QUEUE, infer=QUEUE, encode=LAMBDA, cors_origins=["https://a.b"]),
    ],
)
def test_what_is_wired_stays(settings: WireSettings) -> None:
    """Applied once, there is nothing more to do; each change says so in words before."""
    rulebook = Rulebook()
    changes = list(differences(plan(settings, BUCKETS), rulebook))
    assert len(changes) >= 4
    for change in changes:
        assert str(change)
        apply(change, rulebook)
    assert list(differences(plan(settings, BUCKETS), rulebook)) == []


def test_other_peoples_rules_stay() -> None:
    """Rules that are not ours are kept, and are no drift."""
    rulebook = Rulebook(buckets={BUCKETS.input})
    theirs = {"Id": "backup", "Arn": QUEUE, "Events": ["s3:ObjectRemoved:Delete"]}
    rulebook.rules[BUCKETS.input, "notifications"] = [theirs]
    for change in differences(plan(WireSettings(), BUCKETS), rulebook):
        apply(change, rulebook)
    assert theirs in rulebook.rules[BUCKETS.input, "notifications"]
    assert list(differences(plan(WireSettings(), BUCKETS), rulebook)) == []


def test_drift_is_seen() -> None:
    """A rule that somebody changed is shown with what it is and what it should be."""
    rulebook = Rulebook()
    for change in differences(plan(WireSettings(), BUCKETS), rulebook):
        apply(change, rulebook)
    rulebook.rules[BUCKETS.work, "notifications"][0]["Events"] = ["s3:ObjectCreated:*"]
    (change,) = differences(plan(WireSettings(), BUCKETS), rulebook)
    minus, plus = str(change).splitlines()
    assert minus.startswith("- koubo-work: notifications koubo-infer")
    assert plus.startswith("+ koubo-work: notifications koubo-infer")
    apply(change, rulebook)
    assert list(differences(plan(WireSettings(), BUCKETS), rulebook)) == []


def test_work_outlives_its_inputs() -> None:
    """Where things expire, a run's objects go after its inputs, or it would be made again."""
    days = {
        one.bucket: rule["Expiration"]["Days"]
        for one in plan(WireSettings(expire_days=7), BUCKETS)
        if one.aspect == "lifecycle"
        for rule in one.rules
        if "Expiration" in rule
    }
    assert days == {BUCKETS.input: 7, BUCKETS.work: 8}


@pytest.mark.parametrize("arn", [WireSettings().ingest, QUEUE, LAMBDA])
def test_notifications_survive_s3s_form(arn: str) -> None:
    """Rules come back from S3's form as they went in, however it spells the filter's names."""
    rules = notifications(WireSettings(infer=arn, encode=arn), BUCKETS.work)
    stored = deepcopy(to_s3(rules))
    for kind in stored.values():
        for rule in kind:
            for one in rule["Filter"]["Key"]["FilterRules"]:
                one["Name"] = one["Name"].title()
    assert from_s3(stored) == rules
