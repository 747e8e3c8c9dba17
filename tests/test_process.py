import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from functions.errors import RetryableError
from functions.process import Limits, ProgramFailedError, run_supervised

PYTHON = sys.executable
BRIEF = Limits(seconds=20)


def python(code: str) -> list[str]:
    return [PYTHON, "-c", code]


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_feed_arrives_whole(tmp_path: Path) -> None:
    """Every byte of the feed reaches the program, however the pieces are cut."""
    pieces = [b"a" * 3_000_000, bytearray(b"b" * 17), memoryview(b"c" * 70_000)]
    out = tmp_path / "out"
    code = f"import sys;open({str(out)!r},'wb').write(sys.stdin.buffer.read())"
    run_supervised(python(code), limits=BRIEF, feed=pieces)
    assert out.read_bytes() == b"".join(pieces)


def test_program_without_feed_reads_nothing() -> None:
    """Standard input is empty and not the terminal's when there is no feed."""
    run_supervised(python("import sys;sys.exit(len(sys.stdin.read()))"), limits=BRIEF)


def test_progress_is_reported_frame_by_frame() -> None:
    """The `frame` key of ffmpeg's progress reaches the caller; other keys don't."""
    seen: list[int] = []
    code = "print('frame= 1\\nfps=25\\nframe=7\\nout_time=00:01\\nframe=N/A')"
    finished = run_supervised(python(code), limits=BRIEF, on_progress=seen.append)
    assert seen == [1, 7]
    assert finished.frames == 7


def test_failure_carries_the_last_lines() -> None:
    """A status other than 0 raises, with the end of what the program said."""
    code = "import sys;[print('line',i,file=sys.stderr) for i in range(9000)];sys.exit(3)"
    with pytest.raises(ProgramFailedError, match=r"status 3.*line 8999") as caught:
        run_supervised(python(code), limits=BRIEF)
    assert isinstance(caught.value, RetryableError)
    assert len(caught.value.said) == 20


def test_flood_without_line_ends_stays_bounded() -> None:
    """Hundreds of megabytes on both outputs neither block the program nor fill our memory."""
    code = (
        "import os\nblock=b'x'*(1<<20)\n"
        "for _ in range(150): os.write(1,block); os.write(2,block)\nos._exit(4)"
    )
    before = psutil.Process().memory_info().rss
    with pytest.raises(ProgramFailedError) as caught:
        run_supervised(python(code), limits=Limits(seconds=60))
    assert sum(len(line) for line in caught.value.said) <= 20 * 4096
    assert psutil.Process().memory_info().rss - before < 50 << 20


def test_deadline_kills_the_whole_group(tmp_path: Path) -> None:
    """At the wall deadline the program and what it started are dead, SIGTERM ignored or not."""
    note = tmp_path / "pids"
    code = (
        "import os,signal,subprocess,sys\nsignal.signal(signal.SIGTERM,signal.SIG_IGN)\n"
        "child=subprocess.Popen([sys.executable,'-c','import signal;signal.pause()'])\n"
        f"open({str(note)!r},'w').write(f'{{os.getpid()}} {{child.pid}}')\nsignal.pause()"
    )
    started = time.monotonic()
    with pytest.raises(ProgramFailedError, match="did not end within") as caught:
        run_supervised(python(code), limits=Limits(seconds=1.5))
    assert caught.value.timed_out
    assert time.monotonic() - started < 10
    own, child = map(int, note.read_text().split())
    assert not alive(own)
    assert not alive(child)


def test_deadline_holds_while_feeding() -> None:
    """A program that stops reading can't block the feed past the deadline."""
    endless = (b"x" * (1 << 20) for _ in iter(int, 1))
    with pytest.raises(ProgramFailedError) as caught:
        run_supervised(
            python("import signal;signal.pause()"), limits=Limits(seconds=1), feed=endless
        )
    assert caught.value.timed_out


def test_feed_error_kills_the_program_and_comes_through(tmp_path: Path) -> None:
    """What the feed raises is what the caller gets, and the program is gone by then."""
    note = tmp_path / "pid"
    os.mkfifo(note)
    pids: list[int] = []

    def feed() -> Iterator[bytes]:
        yield b"x"
        pids.append(int(note.read_text()))
        raise ValueError("the source broke")

    code = f"import os,sys;open({str(note)!r},'w').write(str(os.getpid()));sys.stdin.buffer.read()"
    with pytest.raises(ValueError, match="the source broke"):
        run_supervised(python(code), limits=BRIEF, feed=feed())
    assert not alive(pids[0])


def test_progress_error_comes_through() -> None:
    """An error in the progress callback stops the program and is not lost."""

    def refuse(frame: int) -> None:
        raise ValueError(f"no frame {frame}")

    code = "import signal;print('frame=5',flush=True);signal.pause()"
    with pytest.raises(ValueError, match="no frame 5"):
        run_supervised(python(code), limits=BRIEF, on_progress=refuse)


def test_feed_that_is_not_read_is_an_error() -> None:
    """A program that ends well without reading everything still failed us."""
    endless = (b"x" * (1 << 20) for _ in iter(int, 1))
    with pytest.raises(ProgramFailedError, match="stopped reading"):
        run_supervised(python("pass"), limits=BRIEF, feed=endless)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(20, memory_bytes=1 << 30), "bytearray(2 << 30)"),
        (Limits(20, file_bytes=1 << 20), "open(os.environ['OUT'],'wb').write(b'x'*(4<<20))"),
        (Limits(20, open_files=16), "files=[open(os.devnull) for _ in range(64)]"),
        (Limits(20, cpu_seconds=1), "[0 for _ in iter(int, 1)]"),
    ],
    ids=["memory", "file size", "open files", "processor time"],
)
def test_kernel_limits_stop_it(
    limits: Limits, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that takes more than its share fails, long before the deadline."""
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    # It waits for its input to end, which comes after the limits are set.
    code = f"import os,sys;sys.stdin.read();{code}"
    with pytest.raises(ProgramFailedError) as caught:
        run_supervised(python(code), limits=limits, feed=[])
    assert not caught.value.timed_out


@pytest.mark.skipif(sys.platform != "linux", reason="needs setpriv")
def test_program_dies_with_its_parent(tmp_path: Path) -> None:
    """When our process is killed outright, the program it ran does not stay behind."""
    note = tmp_path / "pid"
    os.mkfifo(note)
    inner = f"import os,signal;open({str(note)!r},'w').write(str(os.getpid()));signal.pause()"
    outer = (
        "import sys\nfrom functions.process import *\n"
        f"run_supervised([sys.executable,'-c',{inner!r}],limits=Limits(60))"
    )
    parent = psutil.Popen([PYTHON, "-c", outer], cwd=Path(__file__).parents[1])
    try:
        program = psutil.Process(int(note.read_text()))
    finally:
        parent.kill()
        parent.wait()
    psutil.wait_procs([program], timeout=10)
    assert not alive(program.pid)
