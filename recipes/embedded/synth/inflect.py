"""English inflection by rule with a table of exceptions: plurals and verb forms.

Works on single base words or on phrases whose head is first (verbs) or last (nouns).
"""

from __future__ import annotations

from itertools import pairwise

from openbark.errors import ParamError
from recipes.embedded.synth.words import DOUBLED_VERBS, IRREGULAR_PLURALS, IRREGULAR_VERBS

_VOWELS = "aeiou"
_SOUNDS_VOWEL = ("hour", "honest", "heir", "honor")
_SOUNDS_CONSONANT = ("uni", "use", "usual", "one", "once", "euro", "ewe")


def _table(text: str) -> dict[str, tuple[str, ...]]:
    rows = (row.split() for row in text.split(";"))
    return {row[0]: tuple(row[1:]) for row in rows}


def _with_s(word: str) -> str:
    if word.endswith("y") and word[-2] not in _VOWELS:
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "z", "ch", "sh")) or word in ("go", "do"):
        return word + "es"
    return word + "s"


class Inflector:
    """Inflect nouns and verbs; holds the exception tables."""

    def __init__(self) -> None:
        self._verbs = _table(IRREGULAR_VERBS)
        self._plurals = _table(IRREGULAR_PLURALS)

    def inflect(self, phrase: str, form: str) -> str:
        """Return a form of a phrase.

        Args:
            form: "s" noun plural; "z" third person; "ed" past; "en" participle; "ing".
        """
        if form == "s":
            head, space, last = phrase.rpartition(" ")
            return head + space + self._plurals.get(last, (_with_s(last),))[0]
        first, space, rest = phrase.partition(" ")
        return self._verb(first, form) + space + rest

    def _verb(self, verb: str, form: str) -> str:
        if form == "z":
            return {"have": "has", "be": "is"}.get(verb, _with_s(verb))
        if form == "ing":
            if verb.endswith("ie"):
                return verb[:-2] + "ying"
            if verb.endswith("e") and not verb.endswith("ee") and verb != "be":
                return verb[:-1] + "ing"
            return (verb + verb[-1] if verb in DOUBLED_VERBS else verb) + "ing"
        if form not in ("ed", "en"):
            raise ParamError(f"inflect: unknown form {form!r}; use s, z, ed, en or ing")
        if verb in self._verbs:
            return self._verbs[verb][0 if form == "ed" else 1]
        if verb.endswith("e"):
            return verb + "d"
        if verb.endswith("y") and verb[-2] not in _VOWELS:
            return verb[:-1] + "ied"
        return (verb + verb[-1] if verb in DOUBLED_VERBS else verb) + "ed"


def with_articles(text: str) -> str:
    """Turn "a" into "an" before a vowel sound."""
    words = text.split(" ")
    for place, (word, following) in enumerate(pairwise(words)):
        if word not in ("a", "A"):
            continue
        bare = following.lstrip("\"'").lower()
        vowel = bare[:1] in _VOWELS and bare != "" and not bare.startswith(_SOUNDS_CONSONANT)
        if vowel or bare.startswith(_SOUNDS_VOWEL):
            words[place] = word + "n"
    return " ".join(words)
