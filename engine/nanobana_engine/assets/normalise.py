"""Text normalisation shared by the packer and retrieval, so that a stored name and a typed word meet in one form."""

from __future__ import annotations

import unicodedata

_MARK_FREE_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW")
"""Scripts whose combining marks may be dropped; elsewhere (Devanagari, Thai, kana …) they carry the vowel."""

VARIATION_SELECTORS = frozenset("\ufe0e\ufe0f")


def _marks_are_optional(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(_MARK_FREE_SCRIPTS)


def normalise(text: str) -> str:
    """Case-folded, compatibility-composed text without accents, joiners and punctuation; words parted by one space."""
    if text.isascii():
        return " ".join("".join(c if c.isalnum() else " " for c in text.replace("'", "").lower()).split())
    kept: list[str] = []
    base_is_bare = False
    for char in unicodedata.normalize("NFKD", text).casefold():
        category = unicodedata.category(char)
        if category == "Mn":
            if not base_is_bare and char not in VARIATION_SELECTORS:
                kept.append(char)
        elif category[0] in "LN" or category in ("Mc", "So", "Sk"):
            base_is_bare = category[0] == "L" and _marks_are_optional(char)
            kept.append(char)
        elif category == "Cf" or char in "'’ʼ":
            continue
        else:
            base_is_bare = False
            kept.append(" ")
    return " ".join(unicodedata.normalize("NFKC", "".join(kept)).split())


def trigrams(word: str) -> frozenset[str]:
    """The word's character 3-grams with its ends marked, for nearest-name search."""
    padded = f"^{word}$"
    return frozenset(padded[i : i + 3] for i in range(max(1, len(padded) - 2)))
