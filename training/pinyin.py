"""Pinyin -> the phonemes that the neural voices read: IPA letters with arrows for the tones."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["phonemes"]

INITIALS: Final = {
    "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k",
    "k": "kʰ", "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ",
    "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s", "": "",
}  # fmt: skip
# Each final: the sounds up to its nucleus, after which the tone is written, and the rest.
FINALS: Final = {
    "a": ("a", ""), "ai": ("ai", ""), "an": ("a", "n"), "ang": ("a", "ŋ"), "ao": ("au", ""),
    "e": ("ɤ", ""), "ei": ("ei", ""), "en": ("ə", "n"), "eng": ("ə", "ŋ"), "er": ("ɚ", ""),
    "i": ("i", ""), "ia": ("ja", ""), "ian": ("jɛ", "n"), "iang": ("ja", "ŋ"),
    "iao": ("jau", ""), "ie": ("je", ""), "in": ("i", "n"), "ing": ("i", "ŋ"),
    "iong": ("jʊ", "ŋ"), "iu": ("jou", ""), "o": ("wo", ""), "ong": ("ʊ", "ŋ"), "ou": ("ou", ""),
    "u": ("u", ""), "ua": ("wa", ""), "uai": ("wai", ""), "uan": ("wa", "n"),
    "uang": ("wa", "ŋ"), "ui": ("wei", ""), "un": ("wə", "n"), "uo": ("wo", ""), "v": ("y", ""),
    "ve": ("ɥe", ""), "van": ("ɥɛ", "n"), "vn": ("y", "n"),
}  # fmt: skip
TONES: Final = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
WHOLE: Final = {
    "yi": "i", "ya": "ia", "ye": "ie", "yao": "iao", "you": "iu", "yan": "ian", "yin": "in",
    "yang": "iang", "ying": "ing", "yong": "iong", "yu": "v", "yue": "ve", "yuan": "van",
    "yun": "vn", "wu": "u", "wo": "uo", "wa": "ua", "wai": "uai", "wan": "uan", "wang": "uang",
    "wei": "ui", "wen": "un",
}  # fmt: skip
_SYLLABLE: Final = re.compile(r"(zh|ch|sh|[bpmfdtnlgkhjqxrzcs]?)([a-z]+)([1-5])")


def phonemes(text: str) -> str:
    """Return the phonemes of pinyin syllables with tone digits; all else is left as it is."""
    return _SYLLABLE.sub(_syllable, text)


def _syllable(found: re.Match[str]) -> str:
    initial, final, tone = found.groups()
    final = WHOLE.get(initial + final, final)
    if initial in ("j", "q", "x") and final.startswith("u"):
        final = "v" + final[1:]
    if final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s"):
        return f"{INITIALS[initial]}ɨ{TONES[tone]}"
    nucleus, rest = FINALS[final]
    return f"{INITIALS[initial]}{nucleus}{TONES[tone]}{rest}"
