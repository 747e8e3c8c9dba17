"""`koubo doctor`: what works on this machine, and what to do about what doesn't."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError
from rich.markup import escape
from rich.table import Column, Table

from functions.data_folder import DataFolder
from functions.errors import KouboError
from functions.settings import BucketSettings, CacheSettings, wrong_setting

_ENCODERS = ("libx264", "libx265", "libsvtav1")
_NEEDED_ENCODER = "libx264"
_LOW_DISK = 2 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        what: its name.
        works: whether a run can be made with it as it is.
        says: what was found.
        fix: what to do, where it doesn't work.
        needed: whether runs need it at all, as Koubo is set up here.
    """

    what: str
    works: bool
    says: str
    fix: str = ""
    needed: bool = True

    @property
    def is_well(self) -> bool:
        """Whether it is as it has to be."""
        return self.works or not self.needed


def examine(data: DataFolder, cache: CacheSettings) -> list[Finding]:
    """Looks at everything that a run needs, and at what else could run models."""
    checks: list[tuple[str, Callable[[], str], str]] = [
        ("python", _python, "Use Python 3.11 or newer."),
        ("ffmpeg", _ffmpeg, "Install koubo[encode], or set KOUBO_FFMPEG_PATH to an ffmpeg."),
        ("decoder", _decoder, "Install koubo[ingest]."),
        ("face models", lambda: _faces(cache), "Run `koubo setup`."),
        ("viseme model", _viseme, "Install koubo again: files of the package are missing."),
        ("store", lambda: _store(data), f"Make {data.root} writable, or choose another --data."),
        ("disk", lambda: _disk(data), "Free some space, or choose another --data."),
    ]
    return [*(_look(*check) for check in checks), *_backends()]


def table(findings: list[Finding]) -> Table:
    """The findings, for a terminal."""
    shown = Table("", "what", Column("found", overflow="fold"), box=None)
    for finding in findings:
        failed = "[red]no[/]" if finding.needed else "[dim]-[/]"
        mark = "[green]ok[/]" if finding.works else failed
        shown.add_row(mark, finding.what, escape(f"{finding.says}\n{finding.fix}".strip()))
    if not all(finding.works or finding.needed for finding in findings):
        shown.caption = "-  is not here, and is not needed as Koubo is set up"
        shown.caption_justify = "left"
    return shown


def _look(what: str, check: Callable[[], str], fix: str) -> Finding:
    try:
        return Finding(what, works=True, says=check())
    except (ImportError, KouboError, OSError, subprocess.SubprocessError) as error:
        return Finding(what, works=False, says=str(error), fix=fix)


def _python() -> str:
    return sys.version.partition(" ")[0]


def _ffmpeg() -> str:
    from functions.ffmpeg_program import ffmpeg_path  # noqa: PLC0415 -- a missing extra is a finding

    path = str(ffmpeg_path())

    def ask(argument: str) -> str:
        command = [path, "-hide_banner", argument]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=20, check=True
        ).stdout

    version = ask("-version").split(" ")[2]
    listed = ask("-encoders")
    found = [encoder for encoder in _ENCODERS if f" {encoder} " in listed]
    if _NEEDED_ENCODER not in found:
        raise KouboError(f"{path} has no {_NEEDED_ENCODER}")
    return f"{version} with {', '.join(found)} ({path})"


def _decoder() -> str:
    from functions.media import decoder_version  # noqa: PLC0415 -- a missing extra is a finding

    return decoder_version()


def _backends() -> list[Finding]:
    """Every backend that could run models, and whether the settings ask for it."""
    try:
        # A missing extra is a finding.
        from functions.infer.backends.examination import examine, examine_npus  # noqa: PLC0415
        from functions.infer.settings import InferSettings  # noqa: PLC0415

        npus, found = examine_npus(), examine(InferSettings())
    except ImportError as error:
        return [Finding("backends", works=False, says=str(error), fix="Install koubo[infer].")]
    except ValidationError as error:
        return [Finding("backends", works=False, says=wrong_setting(error) or str(error))]
    except (KouboError, ValueError) as error:
        return [Finding("backends", works=False, says=str(error))]
    findings = [Finding("ascend", npus.works, npus.says, npus.fix, needed=False)]
    for each in found:
        probe = each.found
        fix = "" if probe.works else probe.fix
        findings.append(Finding(each.name, probe.works, probe.says, fix, needed=each.wanted))
    return findings


def _faces(cache: CacheSettings) -> str:
    from functions.ingest.face_models import find  # noqa: PLC0415 -- a missing extra is a finding

    return str(find(cache.models).mesh.parent)


def _viseme() -> str:
    from functions.infer.manifest import find_model  # noqa: PLC0415 -- a missing extra is a finding

    manifest = find_model("viseme", "1")
    return f"{manifest.name} {manifest.version}, {manifest.licence}"


def _store(data: DataFolder) -> str:
    store, bucket = data.store(), BucketSettings().work
    key = f"doctor/{uuid.uuid4().hex}"
    if not store.put_new(bucket, key, b"1") or store.put_new(bucket, key, b"2"):
        raise KouboError("the store can't create an object only once")
    store.delete(bucket, key)
    return str(data.root)


def _disk(data: DataFolder) -> str:
    free = shutil.disk_usage(data.root).free
    if free < _LOW_DISK:
        raise KouboError(f"only {free / 1e9:.1f} GB are free at {data.root}")
    return f"{free / 1e9:.0f} GB free"
