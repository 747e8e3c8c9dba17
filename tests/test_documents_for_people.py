import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings
from typer.main import get_command

from functions import local, settings, wire
from functions.commands import app
from functions.encode import settings as encode
from functions.errors import Code
from functions.gateway import settings as gateway
from functions.infer import settings as infer
from functions.ingest import settings as ingest
from functions.options import Options

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page.relative_to(ROOT)
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("training/*.md"))
)
SETTINGS = [
    kind
    for module in (settings, local, wire, ingest, infer, encode, gateway)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, BaseSettings) and kind is not BaseSettings
]
NESTED = {"KOUBO_INFER_CANN_"}
"""In docs/backends.md, among infer's."""
OF_COMMANDS = {"KOUBO_LOCAL_HTTP"}
"""Options of a command, which no class reads."""


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    """A link to a file of the repository finds it, and one to a heading finds the heading."""
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, heading = target.partition("#")
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", linked.read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in headings]
            assert heading in slugs, target


def test_commands_of_the_readme_exist() -> None:
    """Every `koubo` command and every `make` target that the README names is there."""
    text = (ROOT / "README.md").read_text("utf-8")
    commands = get_command(app).commands  # type: ignore[attr-defined]  # a group has them
    named = set(re.findall(r"(?:^\$ |`|^ {4})koubo ([a-z]+)", text, re.MULTILINE))
    assert named
    assert named <= set(commands)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^ {4})make ([a-z-]+)", text, re.MULTILINE)) <= targets


def test_every_option_is_documented() -> None:
    """docs/options.md shows each key of `koubo.toml` with its default."""
    text = (ROOT / "docs" / "options.md").read_text("utf-8")
    for name, field in Options.__dataclass_fields__.items():
        default = field.default
        shown = str(default).lower() if isinstance(default, bool) else f'"{default}"'
        assert re.search(rf"^{name} = {re.escape(shown)}\s", text, re.MULTILINE), name


def test_every_rejection_is_documented() -> None:
    """docs/operating.md explains each code that an error document can have."""
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    assert [code.public for code in Code if f"`{code.public}`" not in text] == []


def test_every_shared_module_is_in_the_architecture() -> None:
    """docs/architecture.md says of each file that functions share what it is for."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    modules = {path.name for path in (ROOT / "functions").glob("[!_]*.py")}
    assert modules - set(re.findall(r"\b\w+\.py\b", text)) == set()


def test_every_concern_of_the_settings_is_in_the_guide() -> None:
    """docs/operating.md names each prefix."""
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    prefixes = {kind.model_config["env_prefix"] for kind in SETTINGS}
    assert {prefix for prefix in prefixes if f"`{prefix}`" not in text} == NESTED


def test_every_setting_that_a_page_names_exists() -> None:
    """A page about an environment variable is about one that something reads."""
    known = {
        f"{kind.model_config['env_prefix']}{field}".upper()
        for kind in SETTINGS
        for field in kind.model_fields
    }
    for page in PAGES:
        if page.name != "CHANGELOG.md":  # which tells of those that are gone, too
            named = re.findall(r"\bKOUBO_[A-Z0-9_]*[A-Z0-9]\b", (ROOT / page).read_text("utf-8"))
            assert set(named) - known <= OF_COMMANDS, page
