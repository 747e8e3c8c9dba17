"""Where images are built: buildah with a storage of its own, a base, and foreign processors."""

import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
BASE = f"localhost/base:{SUITE}"
GO = f"localhost/go:{SUITE}"
BINFMT = Path("/proc/sys/fs/binfmt_misc")
# The header of an aarch64 ELF program, and the bits of it that count. F opens the interpreter now,
# so that it needn't be in the image; O and C pass on the program and its rights.
QEMU_AARCH64 = (
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    ":/usr/bin/qemu-aarch64-static:OCF"
)


class Workshop:
    """A buildah of our own: its storage lies in the work folder and touches no other.

    Args:
        work: the folder; a base in it is used again.
        arch: of the images, in Debian's words.
    """

    def __init__(self, work: Path, arch: str) -> None:
        self.work, self.arch = work, arch
        self.base_root = work / f"base-{arch}"
        self.log = work / f"log-{arch}.txt"
        self._environment = {
            **os.environ,
            "BUILDAH_ISOLATION": "chroot",
            "BUILDAH_FORMAT": "docker",  # the OCI format has no health check
        }

    def run(self, *command: str, seconds: float = 600) -> str:
        """Runs a program and returns what it printed; its whole session ends with it."""
        with self.log.open("a") as log:
            log.write(f"$ {' '.join(command)}\n")
            log.flush()
            process = subprocess.Popen(
                command,
                env=self._environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
            try:
                said, _ = process.communicate(timeout=seconds)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            log.write(said)
        if process.returncode != 0:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
            sys.exit(f"{command[0]} ended with status {process.returncode}:\n{tail}")
        return said

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[int]:
        """Has buildah run something for as long as the context lasts; yields its process id."""
        with self.log.open("a") as log:
            process = subprocess.Popen(
                self._buildah(*arguments),
                env=self._environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def buildah(self, *arguments: str, seconds: float = 600) -> str:
        """Runs buildah."""
        return self.run(*self._buildah(*arguments), seconds=seconds).strip()

    def _buildah(self, *arguments: str) -> tuple[str, ...]:
        # Plain folders (vfs) need no mounts, which would outlive us and don't nest everywhere.
        storage = ("--storage-driver", "vfs", "--root", f"{self.work}/storage")
        own = (*storage, "--runroot", f"{self.work}/runroot")
        command = ("buildah", *own, *arguments)
        if self.arch != native():
            command = (*self._without_processors(), *command)
        return command

    def _without_processors(self) -> tuple[str, ...]:
        """What to put before a command so that it can't see this machine's processors.

        qemu of bookworm shows a program the machine's own /proc/cpuinfo. onnxruntime crashes over
        that as soon as /sys tells it how many processors to look for.
        """
        nothing = self.work / "nothing"
        nothing.mkdir(exist_ok=True)
        script = 'mount --bind "$1" /sys/devices/system/cpu && shift && exec "$@"'
        return ("unshare", "--mount", "sh", "-c", script, "sh", str(nothing))


def install_tools(shop: Workshop) -> None:
    """Has apt install what is missing."""
    wanted = {"buildah": "buildah", "debootstrap": "debootstrap"}
    if shop.arch != native():
        wanted["qemu-aarch64-static"] = "qemu-user-static"
    missing = [package for program, package in wanted.items() if shutil.which(program) is None]
    if missing:
        shop.run("apt-get", "update", "-qq")
        shop.run("apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing)


def native() -> str:
    """This machine's architecture in Debian's words."""
    return {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


@contextmanager
def emulation(shop: Workshop) -> Iterator[None]:
    """Has the kernel run foreign programs; what was set up for it is taken back."""
    if shop.arch == native():
        yield
        return
    mounted = not (BINFMT / "register").exists()
    if mounted:
        shop.run("mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT))
    entry = BINFMT / "qemu-aarch64"
    registered = not entry.exists()
    if registered:
        (BINFMT / "register").write_text(QEMU_AARCH64)
    try:
        yield
    finally:
        if registered:
            entry.write_text("-1")
        if mounted:
            shop.run("umount", str(BINFMT))


def make_base(shop: Workshop) -> None:
    """Makes the base image, from the folder of an earlier run where there is one."""
    if not (shop.base_root / "etc" / "koubo-base").exists():
        shutil.rmtree(shop.base_root, ignore_errors=True)
        targets = ("--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages")
        lines = shop.run("apt-get", "indextargets", *targets).splitlines()
        mirror = dict(reversed([line.split() for line in lines])).get(SUITE)
        if mirror is None:
            sys.exit(f"apt on this machine knows no {SUITE}, so there is nothing to make a base of")
        options = (f"--arch={shop.arch}", "--variant=minbase", "--include=ca-certificates")
        # What it mounts in there ends with it, even if it is killed on its way.
        command = ("unshare", "--mount", "debootstrap", *options)
        shop.run(*command, SUITE, str(shop.base_root), mirror, seconds=1800)
        shop.run("chroot", str(shop.base_root), "apt-get", "clean")
        add_machine(shop)
        (shop.base_root / "etc" / "koubo-base").touch()
    container = shop.buildah("from", "--arch", shop.arch, "scratch")
    shop.buildah("add", "--quiet", container, str(shop.base_root), "/")
    shop.buildah("commit", "--quiet", "--rm", container, BASE)


def make_go(shop: Workshop) -> list[str]:
    """Makes a base with Go in it, out of this machine's; returns what a build with it is given.

    What this machine has fetched and built of Go's is used again.
    """
    go = shutil.which("go") or str(Path(sys.executable).parent / "go")
    names = ("GOROOT", "GOPROXY", "GOSUMDB", "GOMODCACHE", "GOCACHE")
    root, proxy, sums, modules, built = shop.run(go, "env", *names).splitlines()
    container = shop.buildah("from", "--pull-never", BASE)
    shop.buildah("add", "--quiet", container, root, "/usr/local/go")
    path = "/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    own = {"PATH": path, "GOPATH": "/go", "GOTOOLCHAIN": "local", "GOPROXY": proxy, "GOSUMDB": sums}
    for name, value in own.items():
        shop.buildah("config", "--env", f"{name}={value}", container)
    shop.buildah("commit", "--quiet", "--rm", container, GO)
    for folder in (modules, built):
        Path(folder).mkdir(parents=True, exist_ok=True)
    caches = (f"{modules}:/go/pkg/mod", f"{built}:/root/.cache/go-build")
    volumes = [part for cache in caches for part in ("--volume", cache)]
    return [*volumes, "--build-arg", f"GO={GO}"]


def add_machine(shop: Workshop) -> None:
    """Gives the base this machine's certificates and its configuration of pip."""
    own = "usr/local/share/ca-certificates"
    if Path("/", own).is_dir():
        shutil.copytree(Path("/", own), shop.base_root / own, dirs_exist_ok=True)
        shop.run("chroot", str(shop.base_root), "update-ca-certificates")
    own_pip = Path(os.environ.get("PIP_CONFIG_FILE", "/etc/pip.conf"))
    if own_pip.is_file():
        shutil.copyfile(own_pip, shop.base_root / "etc" / "pip.conf")
