"""Bark Infinity's ways to split a text (docs/parity.md I8): by length, by counting units, by strings and patterns.

White space at the ends of a part is dropped, nothing else is. Knows no model: whether a part fits is checked
when it is spoken.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from openbark.errors import ParamError, TextError

__all__ = [
    "current_date_time_in_words",
    "estimate_spoken_time",
    "load_text",
    "split_by_char",
    "split_by_lines",
    "split_by_pos",
    "split_by_random",
    "split_by_regex",
    "split_by_sentence",
    "split_by_string",
    "split_by_words",
    "split_general_purpose",
    "split_general_purpose_hm",
    "split_text",
]

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|(?<=[。！？])|\n+")
_BRACKETS = re.compile(r"\[[^\]]*\]")
_CLAUSE_END = re.compile(r"(?<=[,;:–—])\s+")
_PARTS_OF_SPEECH = {
    "conjunction": "and or but nor so yet because although though while if when unless until since",
    "preposition": "about above after at before below by for from in into of on over through to under with",
    "pronoun": "i you he she it we they who which that this these those",
    "determiner": "a an the some any each every no my your his her its our their",
}
_DEFAULT_PART = "conjunction"
_DEFAULT_COUNT = {"word": 30, "line": 1, "sentence": 1, "char": 150}


def _whole(parts: Sequence[str]) -> list[str]:
    return [stripped for part in parts if (stripped := part.strip())]


def _count(value: object, unit: str) -> int:
    if value is None:
        return _DEFAULT_COUNT[unit]
    try:
        count = int(str(value))
    except ValueError:
        count = 0
    if count < 1:
        raise ParamError(f"splitting by {unit} needs a whole number from 1, not {value!r}")
    return count


def _grouped(units: Sequence[str], size: int, joint: str) -> list[str]:
    return _whole([joint.join(units[i : i + size]) for i in range(0, len(units), size)])


def split_by_words(text: str, words_per_part: int = 30) -> list[str]:
    """Parts of so many words."""
    return _grouped(text.split(), _count(words_per_part, "word"), " ")


def split_by_lines(text: str, lines_per_part: int = 1) -> list[str]:
    """Parts of so many lines; empty lines do not count."""
    return _grouped(_whole(text.splitlines()), _count(lines_per_part, "line"), "\n")


def split_by_sentence(text: str, sentences_per_part: int = 1) -> list[str]:
    """Parts of so many sentences, by their end marks, in Latin and East Asian writing."""
    return _grouped(_whole(_SENTENCE_END.split(text)), _count(sentences_per_part, "sentence"), " ")


def split_by_char(text: str, characters_per_part: int = 150) -> list[str]:
    """Parts of so many characters, cut anywhere."""
    size = _count(characters_per_part, "char")
    return _whole([text[i : i + size] for i in range(0, len(text), size)])


def split_by_string(text: str, separator: str) -> list[str]:
    """Parts between a string."""
    if not separator:
        raise ParamError("splitting by string needs the string as its value")
    return _whole(text.split(separator))


def split_by_regex(text: str, pattern: str) -> list[str]:
    """Parts between matches of a regular expression. Raises ParamError for a broken one."""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ParamError(f"{pattern!r} is not a regular expression: {error}") from error
    if not pattern:
        raise ParamError("splitting by regex needs the pattern as its value")
    parts, start = [], 0
    for match in expression.finditer(text):
        if match.end() > match.start():
            parts.append(text[start : match.start()])
            start = match.end()
    return _whole([*parts, text[start:]])


def split_by_random(text: str, longest: int = 30, seed: int | None = None) -> list[str]:
    """Parts of 1 to `longest` words; `seed` makes them the same again. No global state is touched."""
    words, limit = text.split(), _count(longest, "word")
    generator = random.Random(seed)
    parts = []
    while words:
        size = generator.randint(1, limit)
        parts.append(" ".join(words[:size]))
        words = words[size:]
    return parts


def split_by_pos(text: str, part_of_speech: str = _DEFAULT_PART) -> list[str]:
    """Break before each English conjunction, preposition, pronoun or determiner: the classes that a list of
    words settles. Raises ParamError for another part of speech."""
    if part_of_speech not in _PARTS_OF_SPEECH:
        raise ParamError(
            f"splitting by pos knows {', '.join(_PARTS_OF_SPEECH)}, not {part_of_speech!r}"
        )
    class_words = set(_PARTS_OF_SPEECH[part_of_speech].split())
    parts: list[list[str]] = [[]]
    for word in text.split():
        if re.sub(r"\W", "", word).lower() in class_words and parts[-1]:
            parts.append([])
        parts[-1].append(word)
    return _whole([" ".join(part) for part in parts])


def split_text(
    text: str,
    split_type: str | None = None,
    value: str | int | None = None,
    seed: int | None = None,
) -> list[str]:
    """Split by one of the documented choices; None leaves the text whole.

    Raises ParamError for "rhyme", which needs a pronouncing dictionary, and for unknown choices.
    """
    if split_type is None:
        return _whole([text])
    if split_type in ("word", "line", "sentence", "char"):
        count = _count(value, split_type)
        by = {
            "word": split_by_words,
            "line": split_by_lines,
            "sentence": split_by_sentence,
            "char": split_by_char,
        }
        return by[split_type](text, count)
    if split_type == "string":
        return split_by_string(text, str(value or ""))
    if split_type == "regex":
        return split_by_regex(text, str(value or ""))
    if split_type == "random":
        return split_by_random(text, _count(value, "word"), seed)
    if split_type == "pos":
        return split_by_pos(text, str(value or _DEFAULT_PART))
    reason = "needs a pronouncing dictionary" if split_type == "rhyme" else "is not known"
    raise ParamError(
        f"splitting by {split_type} {reason}; allowed: word, line, sentence, char, string, random, pos, regex"
    )


def split_general_purpose(
    text: str, split_character_goal_length: int = 110, split_character_max_length: int = 170
) -> list[str]:
    """Parts of about the goal length and at most the maximum: ends of sentences first, then of clauses, then
    of words. Only a word longer than the maximum is left longer."""
    goal, most = split_character_goal_length, split_character_max_length
    parts = [""]
    for sentence in _whole(_SENTENCE_END.split(text)):
        for piece in _pieces(sentence, most):
            joined = f"{parts[-1]} {piece}".strip()
            if parts[-1] and (len(joined) > most or len(parts[-1]) >= goal):
                parts.append(piece)
            else:
                parts[-1] = joined
    return _whole(parts)


def _pieces(sentence: str, most: int) -> list[str]:
    if len(sentence) <= most:
        return [sentence]
    pieces: list[str] = []
    for clause in _CLAUSE_END.split(sentence):
        units = [clause] if len(clause) <= most else clause.split()
        for unit in units:
            joined = f"{pieces[-1]} {unit}" if pieces else unit
            if pieces and len(joined) <= most:
                pieces[-1] = joined
            else:
                pieces.append(unit)
    return pieces


def split_general_purpose_hm(
    text: str,
    process_text_by_each: str | None = None,
    group_text_by_counting: str | None = None,
    in_groups_of_size: int | None = None,
    split_character_goal_length: int = 110,
    split_character_max_length: int = 170,
) -> list[str]:
    """Cut into units and put them together until a count is reached; without these three, by length.

    Raises ParamError when only some of the three are given: upstream crashed there.
    """
    asked = (process_text_by_each, group_text_by_counting, in_groups_of_size)
    if process_text_by_each is None or group_text_by_counting is None or in_groups_of_size is None:
        if any(value is not None for value in asked):
            raise ParamError(
                "process_text_by_each, group_text_by_counting and in_groups_of_size go together; "
                "give all three or none"
            )
        return split_general_purpose(text, split_character_goal_length, split_character_max_length)
    parts: list[str] = []
    for unit in split_text(text, process_text_by_each, 1):
        joint = "" if process_text_by_each == "char" else " "
        joined = f"{parts[-1]}{joint}{unit}" if parts else unit
        if parts and len(split_text(joined, group_text_by_counting, 1)) <= in_groups_of_size:
            parts[-1] = joined
        else:
            parts.append(unit)
    return parts


def estimate_spoken_time(text: str, wpm: float = 150, threshold: float = 15) -> float:
    """Seconds that a text takes at so many words a minute; what stands in square brackets is not spoken.

    `threshold` changes nothing, as upstream (I5). Raises ParamError.
    """
    if wpm <= 0:
        raise ParamError(f"wpm is {wpm}; allowed: above 0")
    return len(_BRACKETS.sub("", text).split()) / wpm * 60


def load_text(path: str | Path) -> str:
    """The text of a UTF-8 file. Raises TextError."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TextError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TextError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from error


def current_date_time_in_words(moment: datetime | None = None) -> str:
    """A date as people say it."""
    now = moment or datetime.now()
    return f"{now:%A, %B} {now.day}, {now.year}, {now.hour % 12 or 12}:{now:%M %p}"
