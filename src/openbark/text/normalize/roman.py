"""Roman numerals in English words, where a title or a name stands before them.

A letter by itself is read as a numeral only after a title such as "Act"; "I" the pronoun, "mix" and "did" never are.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from openbark.text.normalize.numbers import cardinal, ordinal
from openbark.text.normalize.rules import Rule

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_NUMERAL = r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_VALID = re.compile(_NUMERAL)
_SMALL = r"X{0,3}(?:IX|IV|V?I{0,3})"
_TITLES = (
    "Act|Appendix|Apollo|Article|Book|Canto|Chapter|Chap|Class|Division|Episode|Exhibit|Figure|Fig|Game|Group|Gemini|"
    "Lesson|Level|Mark|Movement|Opus|Paragraph|Part|Phase|Psalm|Quarter|Round|Scene|Season|Section|Stage|Step|Symphony|"
    "Table|Tier|Title|Tome|Type|Unit|Verse|Vatican|Volume|Vol|War|Bowl|Factor"
)
# Titles that also have letters for their own: "Section C" and "Class V" are no numerals.
_LETTERED = "Class|Division|Exhibit|Figure|Fig|Group|Section|Unit|Grade|Appendix|Table|Tier|Quarter|Level|Factor"
_SPEAKS_OF_I = (
    "am|was|have|had|will|would|shall|should|could|can|may|might|must|do|did|read|wrote|like|liked|love|loved|think|"
    "thought|know|knew|want|wanted|need|needed|saw|see|play|played|mentioned|meant|mean|remember|skipped|said|took|"
    "missed|enjoyed|hate|hated|finished|just|never|always|also|still|really"
)
_RULERS = (
    "Albert|Alexander|Alfonso|Benedict|Boniface|Carl|Charles|Christian|Clement|Constantine|Darius|Edward|Elizabeth|"
    "Ferdinand|Francis|Frederick|Friedrich|George|Gregory|Gustav|Harald|Henry|Innocent|Isabella|Ivan|James|Joseph|John|"
    "Juan|Julius|Leo|Leopold|Louis|Ludwig|Mary|Maximilian|Napoleon|Nicholas|Olaf|Oscar|Otto|Paul|Pedro|Peter|Philip|Pius|"
    "Ptolemy|Rama|Ramesses|Ramses|Richard|Robert|Rudolf|Sixtus|Stephen|Thomas|Umberto|Urban|Victor|Victoria|Wilhelm|"
    "William|Emmanuel|Catherine|Margaret|Haakon|Tutankhamun|Thutmose|Mehmed|Selim|Murad|Abdul|Akbar|Artaxerxes|Xerxes"
)
_FUNCTION_WORDS = (
    "The|A|An|This|That|These|In|On|At|Of|And|Or|But|His|Her|Their|My|Your|Our|Its|I|He|She|It|We|They|You|If|When|With|"
    "For|From|By|To|As|No|Is|Was|Are|An|Start|Started|Get|Use|Using|Via|Give|Gave"
)
_HOSPITAL = r"(?! (?:drip|fluid|fluids|line|lines|therapy|bag|access|injection|infusion|antibiotics|pole|treatment)\b)"


def roman_value(numeral: str) -> int | None:
    """The number a numeral in capitals stands for; None where it is not well formed."""
    if not numeral or _VALID.fullmatch(numeral) is None:
        return None
    total = 0
    for letter, following in zip(numeral, f"{numeral[1:]} ", strict=True):
        value = _VALUES[letter]
        total += -value if _VALUES.get(following, 0) > value else value
    return total


def _spell(spell: Callable[[int], str]) -> Callable[[re.Match[str]], str | None]:
    def read(match: re.Match[str]) -> str | None:
        value = roman_value(match["numeral"].upper())
        return None if value is None else f"{match['before']}{spell(value)}"

    return read


def _after_title(match: re.Match[str]) -> str | None:
    numeral = match["numeral"].upper()
    value = roman_value(numeral)
    if value is None or (len(numeral) == 1 and numeral not in "IVX"):
        return None
    if (
        len(numeral) == 1
        and re.fullmatch(_LETTERED, match["title"].capitalize())
        and numeral != "I"
    ):
        return None
    return f"{match['title']} {cardinal(value)}"


def _the_nth(match: re.Match[str]) -> str | None:
    value = roman_value(match["numeral"])
    return None if value is None else f"{match['before']}the {ordinal(value)}{match['of'] or ''}"


ROMAN_RULES: tuple[Rule, ...] = (
    Rule(
        "world wars",
        re.compile(r"\bWW(?P<numeral>II?)\b"),
        lambda match: f"World War {'two' if match['numeral'] == 'II' else 'one'}",
        (("WWII", "World War two"), ("before WWI", "before World War one")),
    ),
    Rule(
        "numerals after a title",
        re.compile(
            rf"\b(?P<title>{_TITLES}|(?i:chapter|chapters|part|act|scene|book|volume|episode|section|article|phase))\.? "
            rf"(?P<numeral>(?-i:[IVXLC]+))\b(?!'|-\w|\.\w)(?!(?<= I) (?:{_SPEAKS_OF_I})\b)"
        ),
        _after_title,
        (
            ("Chapter XIV", "Chapter fourteen"),
            ("World War II", "World War two"),
            ("Act I, Scene V", "Act one, Scene five"),
            ("the part I like", "the part I like"),
            ("Section C", "Section C"),
        ),
    ),
    Rule(
        "numerals of a ruler",
        re.compile(
            rf"\b(?P<before>(?:{_RULERS})(?: [A-Z][a-z]+)? )(?P<numeral>(?:{_SMALL})(?<=[IVX]))(?P<of>'s)?(?![\w'-])"
            rf"(?!(?<= I) (?!of [A-Z])[a-z])"
        ),
        _the_nth,
        (
            ("Louis XVI", "Louis the sixteenth"),
            ("Henry VIII's wives", "Henry the eighth's wives"),
            ("Pope John Paul II", "Pope John Paul the second"),
            ("and John I saw", "and John I saw"),
        ),
    ),
    Rule(
        "centuries",
        re.compile(
            r"\b(?P<before>)(?P<numeral>[IVX]{1,5})(?:th|st|nd|rd)?(?= (?:century|centuries|dynasty|Century|Dynasty)\b)"
        ),
        _spell(ordinal),
        (
            ("the XIX century", "the nineteenth century"),
            ("the XVIII Dynasty", "the eighteenth Dynasty"),
        ),
    ),
    Rule(
        "numerals after a name",
        re.compile(
            rf"\b(?P<before>(?!(?:{_FUNCTION_WORDS}) )[A-Z][a-z]+ )(?P<numeral>(?:{_SMALL})(?<=[IVX]{{2}}))(?![\w'-])"
            + _HOSPITAL
        ),
        _spell(cardinal),
        (
            ("Rocky II", "Rocky two"),
            ("Final Fantasy VII", "Final Fantasy seven"),
            ("The IV drip", "The IV drip"),
        ),
    ),
    Rule(
        "pages in small numerals",
        re.compile(r"\b(?P<before>(?:pages?|pp?\.) )(?P<numeral>[ivxl]+)\b"),
        _spell(cardinal),
        (("page xiv", "page fourteen"), ("on page ix", "on page nine")),
    ),
    Rule(
        "numerals that number a line",
        re.compile(r"\A(?P<before>)(?P<numeral>[IVX]{2,5})(?=[.)] )"),
        _spell(cardinal),
        (("II. Methods", "two. Methods"), ("IV) The end", "four) The end")),
    ),
)
"""In the order in which they must be applied."""
