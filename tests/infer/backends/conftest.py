"""Stand-ins for what only a machine with an NPU has."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

NPU_SMI = Path(__file__).parent / "npu_smi"

_PROGRAM = """#!{python}
# Answers as npu-smi does on one kind of card, and only the questions that it knows.
import sys
from pathlib import Path

said = Path({folder!r})
asked = sys.argv[1:]
if asked == ["info", "-m"]:
    name = "mapping"
elif len(asked) == 5 and asked[:2] == ["info", "-t"] and asked[3] == "-i":
    name = asked[2] if (said / f"{{asked[2]}}.txt").is_file() else f"{{asked[2]}}-{{asked[4]}}"
else:
    sys.exit("Error parameter of -t")
sys.stdout.write((said / f"{{name}}.txt").read_text())
"""


@pytest.fixture
def npu_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts an `npu-smi` on the path that answers as on this kind of card."""

    def install(kind: str) -> None:
        program = tmp_path / "bin" / "npu-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(NPU_SMI / kind)))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))

    return install
