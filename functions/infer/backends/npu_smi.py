"""How Ascend NPUs are, as `npu-smi` tells it.

`npu-smi info -m` maps cards and chips to the numbers that programs use; `-t common`, `-t usages`
and `-t health` of a card print lines of `key : value`, a block for each chip. In `common` a block
begins with its Chip ID, in others it ends with it. What belongs to the board's controller (MCU)
comes under a Chip Name. Keys differ between chips:

* 310 has `Memory Capacity(MB)`, later ones `DDR Capacity(MB)`, 910 `HBM Capacity(MB)` beside a DDR
  that may be 0.
* 910 and its descendants measure each chip's power, 310P only the card's, in the MCU's block. 310
  knows the rated power of a chip, which is no measurement, and measures the card's.
"""

import shutil
import subprocess
from dataclasses import dataclass

from functions.infer.backends.graph import Reading

_SECONDS = 10.0
_UNKNOWN = frozenset({"", "-", "NA", "N/A"})
_MIB = float(1 << 20)
_HEAD = ("npuid", "chipcount")
_NAMES = ("chipid", "chipname")
Block = dict[str, str]


@dataclass(frozen=True)
class Chip:
    """Where a device sits: `index` is the number that programs use, 0 the first one."""

    index: int
    card: int
    chip: int
    name: str


def readings(index: int | None = None) -> tuple[Reading, ...]:
    """How the NPUs of this machine are; empty where there is no npu-smi, or it says nothing.

    Args:
        index: of the device; all of them without it.
    """
    program = shutil.which("npu-smi")
    if program is None:
        return ()
    chips = [chip for chip in parse_mapping(_ask(program, "-m")) if index in (None, chip.index)]
    found: list[Reading] = []
    for card in sorted({chip.card for chip in chips}):
        texts = [
            _ask(program, "-t", kind, "-i", str(card)) for kind in ("common", "usages", "health")
        ]
        found += parse_card([chip for chip in chips if chip.card == card], *texts)
    return tuple(found)


def parse_mapping(text: str) -> list[Chip]:
    """The chips in the output of `npu-smi info -m`; a board's controllers have no number."""
    chips = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4 or not all(word.isdecimal() for word in words[:3]):
            continue
        # Newer ones have a column more, the physical number, before the name.
        name = words[4:] if words[3].isdecimal() else words[3:]
        chips.append(Chip(int(words[2]), int(words[0]), int(words[1]), " ".join(name)))
    return chips


def parse_card(chips: list[Chip], common: str, usages: str, health: str) -> list[Reading]:
    """A card's chips, out of what `npu-smi info -t` says of it."""
    (live, board), (used, _), (well, _) = (_blocks(text) for text in (common, usages, health))
    found = []
    for chip in chips:
        now, use = live.get(chip.chip, {}), used.get(chip.chip, {})
        total, share = _memory(use)
        own = _number(now, "NPU Real-time Power")
        power = own if own is not None else _card_power(board)
        found.append(
            Reading(
                device=f"npu:{chip.index}",
                name=chip.name,
                use=_part(_first(use, now, key="Aicore Usage Rate")),
                memory_used=None if total is None or share is None else total * share,
                memory_total=total,
                temperature=_number(now, "Temperature"),
                power=power,
                power_of="chip" if own is not None else "card",
                healthy=_health(well.get(chip.chip, {})),
            )
        )
    return found


def _ask(program: str, *arguments: str) -> str:
    """What npu-smi says; nothing where it fails, hangs or knows nothing of it."""
    try:
        done = subprocess.run(
            [program, "info", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _pairs(text: str) -> list[tuple[str, str]]:
    """Keys without spaces and units, in lower case, and values, of the lines that have both."""
    found = []
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found.append((_plain(key), value.strip()))
    return found


def _plain(key: str) -> str:
    return "".join(key.partition("(")[0].split()).lower()


def _blocks(text: str) -> tuple[dict[int, Block], Block]:
    """The lines of each chip, and those of the board's controller.

    Some reports name the chip before its lines, some after them: the first line tells.
    """
    pairs = [pair for pair in _pairs(text) if pair[0] not in _HEAD]
    leads = bool(pairs) and pairs[0][0] in _NAMES
    chips: dict[int, Block] = {}
    board: Block = {}
    block: Block = {}
    for key, value in pairs:
        if key not in _NAMES:
            block.setdefault(key, value)
            continue
        owner = {} if leads else block
        if key == "chipname":
            board = owner
        elif value.isdecimal():
            chips[int(value)] = owner
        block = owner if leads else {}
    return chips, board


def _number(block: Block, key: str) -> float | None:
    value = block.get(_plain(key), "")
    if value in _UNKNOWN:
        return None
    try:
        return float(value.split()[0])
    except ValueError:
        return None


def _first(*blocks: Block, key: str) -> float | None:
    return next((found for each in blocks if (found := _number(each, key)) is not None), None)


def _part(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _memory(use: Block) -> tuple[float | None, float | None]:
    """Bytes in all, and the used part of them, of the memory that graphs live in."""
    for kind in ("HBM", "DDR", "Memory"):
        total = _number(use, f"{kind} Capacity")
        if total:
            return total * _MIB, _part(_number(use, f"{kind} Usage Rate"))
    return None, None


def _card_power(board: Block) -> float | None:
    power = _number(board, "NPU Real-time Power")
    return power if power is not None else _number(board, "Power Dissipation")


def _health(block: Block) -> bool | None:
    state = block.get("health") or block.get("healthstatus") or ""
    return None if state in _UNKNOWN else state == "OK"
