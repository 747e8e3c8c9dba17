"""Every function's image: what it installs, what its Dockerfile promises, and that it works."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FUNCTIONS = ("ingest", "infer", "encode", "gateway")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What the default image leaves out: who deploys to such a platform adds the extra.
ELSEWHERE = ("s3", "lambda")

IMPORT_IN_IMAGE = """
import importlib, importlib.metadata, re, sys

function, others, installed = sys.argv[1], sys.argv[2].split(), set(sys.argv[3].split())
owners = importlib.metadata.packages_distributions()


class Image:
    @staticmethod
    def find_spec(name, path=None, target=None):
        first, _, rest = name.partition(".")
        if first == "functions" and rest.partition(".")[0] in others:
            raise ModuleNotFoundError(f"{name} is another function's", name=name)
        of = {re.sub("[-_.]+", "-", owner).lower() for owner in owners.get(first, ())}
        if of and first != "functions" and not of & installed:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)


sys.meta_path.insert(0, Image)
importlib.import_module(f"functions.{function}.main")
"""


def requirements(*extras: str) -> list[Requirement]:
    """What pyproject names for the core and these extras."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def installed(*extras: str) -> set[str]:
    """Every distribution that the core and these extras bring, theirs included."""
    found: set[str] = set()
    waiting = requirements(*extras)
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in found:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or ():
            needed = Requirement(line)
            for extra in ("", *wanted.extras):
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    waiting.append(needed)
    return found


def source(module: str) -> Path | None:
    """The file of a module of ours."""
    path = ROOT.joinpath(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def imported(module: str) -> Iterator[str]:
    """What a module of ours imports anywhere in its code, inside functions too."""
    waiting: list[ast.AST] = [ast.parse(source(module).read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            waiting += ast.iter_child_nodes(node)


def reached(function: str) -> tuple[set[str], set[str]]:
    """Our modules that a function's `main` can come to, and the first names of all others."""
    ours, others, waiting = set(), set(), [f"functions.{function}.main"]
    while waiting:
        module = waiting.pop()
        if not module.startswith("functions."):
            others.add(module.partition(".")[0])
        elif module not in ours and source(module) is not None:
            ours.add(module)
            waiting += imported(module)
    return ours, others - set(sys.stdlib_module_names) - {"functions"}


def instructions(function: str) -> list[tuple[str, str]]:
    """A Dockerfile's instructions with their arguments, continued lines joined."""
    text = (ROOT / "functions" / function / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_extra_installs_what_main_imports(function: str) -> None:
    """With nothing but the core and the function's extra, and no other function, main imports."""
    others = " ".join(set(FUNCTIONS) - {function})
    packages = " ".join(installed(function))
    command = [sys.executable, "-c", IMPORT_IN_IMAGE, function, others, packages]
    ended = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_package_outside_the_image_is_noticed(function: str) -> None:
    """The test above can fail: without the extra's packages a function's main does not import."""
    packages = " ".join(installed() - {"fastapi"})
    command = [sys.executable, "-c", IMPORT_IN_IMAGE, function, "", packages]
    ended = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert "is not in the image" in ended.stderr


@pytest.mark.parametrize("function", FUNCTIONS)
def test_late_imports_are_installed_too(function: str) -> None:
    """What is imported only when it is needed is named as well, by the function or a platform."""
    owners = importlib.metadata.packages_distributions()
    _, others = reached(function)
    named = installed(function, *ELSEWHERE)
    missing = {name for name in others if not {canonicalize_name(o) for o in owners[name]} & named}
    assert not missing


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_extra_names_nothing_that_is_not_used(function: str) -> None:
    """An image carries no package for somebody else's sake."""
    owners = importlib.metadata.packages_distributions()
    _, others = reached(function)
    used = {canonicalize_name(owner) for name in others for owner in owners[name]}
    named = {canonicalize_name(line) for line in PROJECT["optional-dependencies"][function]}
    assert named <= used


def test_an_install_brings_every_file() -> None:
    """What lies beside the code, a model's weights and pictures above all, is installed with it."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = tools["package-data"]["*"]
    listed = subprocess.run(
        ["git", "ls-files", "functions"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [Path(line) for line in listed.stdout.splitlines()]
    beside = {path.name for path in files if path.suffix != ".py" and path.name != "Dockerfile"}
    assert "ear.onnx" in beside
    assert {name for name in beside if not any(map(Path(name).match, patterns))} == set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_reaches_another(function: str) -> None:
    """Nothing that main can come to, not even late, lies in another function's folder."""
    ours, _ = reached(function)
    assert f"functions.{function}.main" in ours
    folders = {module.split(".")[1] for module in ours}
    assert folders & set(FUNCTIONS) == {function}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_image_holds_its_own_function_only(function: str) -> None:
    """The extra that is installed and the folder that is copied are the function's."""
    lines = instructions(function)
    runs = [argument for name, argument in lines if name == "RUN"]
    extra = f'".[{function}${{PLATFORM:+,$PLATFORM}}]"'
    assert any(f"--constraint constraints.txt {extra}" in run for run in runs)
    assert ("ARG", "PLATFORM=") in lines, "nothing is added unless somebody asks for it"
    copied = [argument.split()[0] for name, argument in lines if name == "COPY"]
    assert {c for c in copied if c.startswith("functions/")} == {
        "functions/*.py",
        f"functions/{function}",
    }
    assert f'python -c "import functions.{function}.main"' in runs


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_image_runs_as_nobody_and_says_how_it_is(function: str) -> None:
    """Its base is an argument; it has a user, a scratch volume, a health check, a port, labels."""
    lines = instructions(function)
    assert lines[0] == ("ARG", "BASE=docker.io/library/debian:bookworm-slim")
    assert [argument for name, argument in lines if name == "FROM"] == [
        "${BASE} AS build",
        "${BASE}",
    ]
    last = dict(lines)
    assert int(last["USER"].partition(":")[0]) >= 1000
    assert last["VOLUME"] == "/scratch"
    assert "TMPDIR=/scratch" in last["ENV"]
    assert last["EXPOSE"] == "8080"
    assert "/healthz" in last["HEALTHCHECK"]
    assert last["CMD"] == f'["uvicorn", "functions.{function}.main:app"]'
    assert f'org.opencontainers.image.title="koubo-{function}"' in last["LABEL"]
    assert ("ARG", f"VERSION={PROJECT['version']}") in lines


def test_packages_are_asked_for_by_names_that_every_base_knows() -> None:
    """System packages come in by one script, so that a Dockerfile fits Debian and openEuler."""
    both = {"python3", "python3-pip", "ca-certificates"}
    for function in FUNCTIONS:
        runs = [argument for name, argument in instructions(function) if name == "RUN"]
        asked = {
            name
            for run in runs
            if "/packages" in run
            for name in run.split("/packages ")[1].split()
        }
        assert asked <= both
        assert not re.search(r"\b(apt|apt-get|dnf|yum)\b", " ".join(runs))


def test_no_address_of_a_package_index_is_written_down() -> None:
    """Where packages come from is the machine's business."""
    files = [ROOT / "functions" / name / "Dockerfile" for name in FUNCTIONS]
    files += [path for path in (ROOT / "infra" / "images").iterdir() if path.is_file()]
    for file in files:
        assert not re.search(r"https?://(?!127\.0\.0\.1)", file.read_text()), file


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("apt-get") is None,
    reason="images are built without an engine only by root on Debian",
)
def test_every_image_is_built_and_works() -> None:
    """`infra/images/verify` builds all images, runs every smoke, and leaves nothing behind."""
    command = [sys.executable, str(ROOT / "infra" / "images" / "verify")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True) as verify:
        try:
            said, complained = verify.communicate()
        finally:
            verify.terminate()  # not killed: it takes its containers down
    assert verify.returncode == 0, complained
    assert [line.split()[0] for line in said.splitlines()[2:]] == [*FUNCTIONS, "minio", "wire"]
