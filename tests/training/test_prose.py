"""Clauses that are cut out of verses."""

from training.prose import clauses_of


def test_clauses() -> None:
    """References and brackets go; clauses of fewer than 4 or more than 22 words are left out."""
    verses = [
        "Ge1:1 In the beginning God created the heaven and the earth.",
        "Ge1:2 And he said; Let [there] be light: and there was light.",
        "Ps1:1 " + "and " * 30 + ".",
    ]
    assert clauses_of(verses) == [
        "In the beginning God created the heaven and the earth",
        "Let there be light",
        "and there was light",
    ]
