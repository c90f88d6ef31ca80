"""Fractions, powers, scores, telephone numbers and plain numbers in English words.

Dates, times and years are `openbark.text.normalize.calendar`, money and measures have their own modules; `QUANTITY_RULES` says
in which order they are applied.
"""

from __future__ import annotations

import re
from types import MappingProxyType

from openbark.text.normalize.calendar import DATE_RULES, TIME_RULES, YEAR_RULES
from openbark.text.normalize.measures import MEASURE_RULES
from openbark.text.normalize.money import MONEY_RULES, WHOLE, scale_word
from openbark.text.normalize.numbers import (
    cardinal,
    decimal,
    digit_by_digit,
    integer,
    ordinal,
    quantity,
)
from openbark.text.normalize.rules import Rule

_PARTS = MappingProxyType({2: ("half", "halves"), 4: ("quarter", "quarters")})
_LARGEST_DENOMINATOR = 100
_FEW_DIGITS = 12
_BOOKS = (
    "Genesis|Exodus|Leviticus|Numbers|Deuteronomy|Joshua|Judges|Ruth|Samuel|Kings|Chronicles|Ezra|Nehemiah|Esther|Job|"
    "Psalms?|Proverbs|Ecclesiastes|Isaiah|Jeremiah|Lamentations|Ezekiel|Daniel|Hosea|Joel|Amos|Obadiah|Jonah|Micah|"
    "Nahum|Habakkuk|Zephaniah|Haggai|Zechariah|Malachi|Matthew|Mark|Luke|John|Acts|Romans|Corinthians|Galatians|"
    "Ephesians|Philippians|Colossians|Thessalonians|Timothy|Titus|Philemon|Hebrews|James|Peter|Jude|Revelation|"
    "Quran|Surah"
)
_NUMBERED = (
    "Chapter|Part|Episode|Track|Level|Lesson|Unit|Season|Volume|Vol|Page|Section|Exercise|Question|Room|Step|Day|Week|"
    "Number|Book|Scene|Act|Figure|Table|Appendix|Module|Round|Stage|Phase"
)
_LABELS = (
    "Apartment|Apt|Room|Flat|Gate|Seat|Unit|Suite|Section|Class|Grade|Building|Platform|Row|Block|Level|Model|Type|Boeing|"
    "Airbus|Figure|Table|Part|Exhibit|Route|Highway|Bus|Line|Channel|Studio|Group|Team|Ward"
)


_LABEL_BEFORE = re.compile(rf"\b(?i:{_LABELS}) \Z")


def _fraction(match: re.Match[str]) -> str:
    whole = match["whole"]
    if len(match["top"]) > _FEW_DIGITS or len(match["bottom"]) > _FEW_DIGITS:
        return f"{integer(match['top'])} over {integer(match['bottom'])}"
    top, bottom = int(match["top"]), int(match["bottom"])
    if not 0 < top < bottom or bottom > _LARGEST_DENOMINATOR:
        words = f"{cardinal(top)} over {cardinal(bottom)}"
    else:
        name = ordinal(bottom)
        one, many = _PARTS.get(bottom, (name, f"{name}s"))
        words = f"{cardinal(top)} {one if top == 1 else many}"
    return f"{integer(whole)} and {words}" if whole else words


def _telephone(match: re.Match[str]) -> str:
    plus = "plus " if match.group().startswith("+") else ""
    groups = re.findall(r"\d+", match.group())
    return plus + ", ".join(digit_by_digit(group) for group in groups)


def _vanity(match: re.Match[str]) -> str:
    hundreds = f"{cardinal(int(match['area']) // 100)} hundred"
    area = hundreds if match["area"].endswith("00") else digit_by_digit(match["area"])
    country = f"{digit_by_digit(match['country'])} " if match["country"] else ""
    return f"{country}{area}, {match['words'].replace('-', ' ')}"


def _ordinal(match: re.Match[str]) -> str | None:
    digits = match["digits"].replace(",", "")
    return ordinal(int(digits)) if len(digits) <= _FEW_DIGITS else None


def _dotted(match: re.Match[str]) -> str:
    return " point ".join(integer(part) for part in match.group().split("."))


def _grouped(match: re.Match[str]) -> str | None:
    """Thousands set apart by dots, spaces or apostrophes, as the rules below know them, with a point for decimals."""
    whole, fraction = match["whole"], match["fraction"]
    parts = re.split(r"[.' ]", whole)
    if "." in whole and not fraction and (len(parts) == 2 or _is_address(parts)):
        return None
    if (
        " " in whole
        and not fraction
        and parts[-1] != "000"
        and (len(parts) == 2 or len(parts[0]) == 3)
    ):
        return None  # two numbers, or a telephone number
    return ",".join(parts) + (f".{fraction}" if fraction else "")


def _is_address(parts: list[str]) -> bool:
    return len(parts) == 4 and all(int(part) < 256 for part in parts)


def _scaled(match: re.Match[str]) -> str | None:
    if _LABEL_BEFORE.search(match.string[max(0, match.start() - 16) : match.start()]):
        return None
    whole, fraction = match["whole"], match["fraction"]
    amount = decimal(whole, fraction) if fraction else quantity(whole)
    return f"{amount} {scale_word(match['scale'])}"


def _verses(match: re.Match[str]) -> str:
    first, last = match["first"], match["last"]
    if last:
        return f"{match['book']} {match['chapter']}, verses {first} to {last}"
    if len(first) == 2 and first[0] != "0":
        return f"{match['book']} {match['chapter']} {first}"
    return f"{match['book']} {match['chapter']}, verse {first}"


_GROUPING_RULES: tuple[Rule, ...] = (
    Rule(
        "thousands set apart by spaces, dots or apostrophes",
        re.compile(
            r"(?<![\w.,/+'-])(?<!\d )(?P<whole>[1-9]\d{0,2}(?:(?: \d{3})+|(?:\.\d{3})+|(?:'\d{3})+))"
            r"(?:,(?P<fraction>\d{1,2}))?(?![\d/]|[.,' -]\d)"
        ),
        _grouped,
        (
            ("1 000 000 people", "one million people"),
            ("€1.234,56", "one thousand two hundred and thirty-four euros and fifty-six cents"),
            (
                "1.234.567",
                "one million two hundred and thirty-four thousand five hundred and sixty-seven",
            ),
        ),
    ),
    Rule(
        "a decimal comma beside a currency or a unit",
        re.compile(
            r"(?<=[€£$₹])(?P<whole>\d+),(?P<cents>\d\d)(?![\d,])|(?<![\d,.])(?P<whole2>\d+),(?P<cents2>\d\d)(?= ?€)"
            r"|(?<![\d,.])(?P<whole3>\d+),(?P<cents3>\d{1,2})(?= ?(?:%|kg|km|cm|mm|ml|m|g|l|°C)(?!\w))"
        ),
        lambda match: ".".join(group for group in match.groups() if group),
        (
            ("€12,50", "twelve euros and fifty cents"),
            ("3,99 €", "three euros and ninety-nine cents"),
            ("12,5 kg", "twelve point five kilograms"),
        ),
    ),
    Rule(
        "commas between numbers",
        re.compile(r"(?<=\d),(?=\d)(?!\d{3}(?!\d))"),
        lambda match: ", ",
        (("1,2,3", "one, two, three"),),
    ),
)

_DIGIT_RULES: tuple[Rule, ...] = (
    Rule(
        "telephone numbers with words",
        re.compile(
            r"(?<![\w-])(?:\+?(?P<country>\d)-)?(?P<area>[2-9]\d\d)-(?P<words>(?:\d{1,3}-)?(?:[A-Z]{3,}|[A-Z]{2}(?=-))(?:-[A-Z]{2,})*)(?![\w-])"
        ),
        _vanity,
        (("1-800-FLOWERS", "one eight hundred, FLOWERS"),),
    ),
    Rule(
        "telephone numbers",
        re.compile(
            r"(?<![\w.,-])(?:\+?\d{1,3}[ .-])?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?![\w-])"
            r"|(?<![\w.,$£€-])\d{3}-\d{4}(?![\w-])"
            r"|\b\d+(?:-\d+){2,}\b(?!/)"
            r"|(?<![\w.])\+\d{1,3}(?: \d{2,6}){1,4}(?![\w-])"
            r"|(?<![\w.,])0\d{2,4}(?: \d{2,4}){1,3}(?![\w-])"
        ),
        _telephone,
        (
            ("555-1234", "five five five, one two three four"),
            ("(555) 123-4567", "five five five, one two three, four five six seven"),
        ),
    ),
    Rule(
        "emergency numbers",
        re.compile(
            r"\b(?P<number>911)\b(?![.,:/-]\d|%| [a-z]+s\b)(?<!\$911)|\b911(?= (?:calls?|operators?|dispatchers?)\b)"
            r"|(?<=[Cc]all )(?:999|112)\b|(?<=[Dd]ial )(?:999|112)\b"
        ),
        lambda match: digit_by_digit(match.group()),
        (
            ("Call 911.", "Call nine one one."),
            ("911 operators", "nine one one operators"),
            ("911 pages", "nine hundred and eleven pages"),
        ),
    ),
    Rule(
        "chapter and verse",
        re.compile(
            rf"\b(?P<book>{_BOOKS}) (?P<chapter>\d{{1,3}}):(?P<first>\d{{1,3}})(?:-(?P<last>\d{{1,3}}))?(?![\d:])"
        ),
        _verses,
        (
            ("Genesis 1:1-3", "Genesis one, verses one to three"),
            ("John 3:16", "John three sixteen"),
            ("Psalm 23:1", "Psalm twenty-three, verse one"),
        ),
    ),
    Rule(
        "numbers of chapters",
        re.compile(rf"\b(?P<word>(?i:{_NUMBERED})) 0+(?=[1-9]\d*\b)(?![\d.,]*[.,:]\d)"),
        lambda match: f"{match['word']} ",
        (("Chapter 01", "Chapter one"), ("Episode 007", "Episode seven")),
    ),
    Rule(
        "ranges of times",
        re.compile(r"(?<=\d[ap]m)\s?-\s?(?=\d)|(?<=:\d\d)\s?-\s?(?=\d)"),
        lambda match: " to ",
        (("9am-5pm", "nine a m to five p m"), ("7:00-8:30", "seven o'clock to eight thirty")),
    ),
)

_RANGE_RULES: tuple[Rule, ...] = (
    Rule(
        "scores and ratios",
        re.compile(r"(?<=\d):(?=\d)"),
        lambda match: " to ",
        (("16:9", "sixteen to nine"),),
    ),
    Rule(
        "number signs",
        re.compile(r"#(?=\d)"),
        lambda match: "number ",
        (("#1", "number one"),),
    ),
    Rule(
        "sizes",
        re.compile(r"(?<=\d)(?P<unit>\"|'|(?: ?(?:mm|cm|m|in|ft)\b\.?))?\s?[xX]\s?(?=\d)"),
        lambda match: f"{match['unit'] or ''} by ",
        (("2x4", "two by four"), ("1920 x 1080", "nineteen twenty by one thousand and eighty")),
    ),
    Rule(
        "mixed numbers",
        re.compile(
            r"(?<![\w.,/-])(?P<whole>\d{1,3})-(?=[1-9]\d?/[1-9]\d?(?![\d/]))|(?<![\w.,/-])(?P<whole2>\d{1,3}) +(?=[1-9]\d?/[1-9]\d?(?![\d/]))"
        ),
        lambda match: f"{match['whole'] or match['whole2']} ",
        (("1-1/2 cups", "one and one half cups"), ("1 ½ cups", "one and one half cups")),
    ),
    Rule(
        "minus signs",
        re.compile(r"(?<![\w)\]%.,$£€¥°\"'-])-(?=[$£€¥]?\.?\d)"),
        lambda match: "minus ",
        (("-5", "minus five"), ("-$5", "minus five dollars")),
    ),
    Rule(
        "subtraction",
        re.compile(r"(?<=\d) - (?=\d)"),
        lambda match: " minus ",
        (("5 - 3 = 2", "five minus three equals two"),),
    ),
    MONEY_RULES[0],
    Rule(
        "ranges",
        re.compile(r"(?<=\d)(?P<unit>[%¢°]?)-(?=[$£€¥]?\d)"),
        lambda match: f"{match['unit']} to ",
        (("10-20%", "ten to twenty percent"), ("$10-$20", "ten dollars to twenty dollars")),
    ),
)

_NUMBER_RULES: tuple[Rule, ...] = (
    Rule(
        "percent",
        re.compile(r"(?<=\d)\s?%"),
        lambda match: " percent",
        (("50%", "fifty percent"),),
    ),
    *MEASURE_RULES,
    Rule(
        "equal shares",
        re.compile(r"(?<![\w/.])(?P<half>50)/50(?![\w/])"),
        lambda match: "fifty fifty",
        (("a 50/50 chance", "a fifty fifty chance"),),
    ),
    Rule(
        "marks out of ten",
        re.compile(r"(?<![\w/])(?P<mark>\d+\.\d+)/(?P<of>\d+)(?![\w/])"),
        lambda match: f"{match['mark']} out of {match['of']}",
        (("9.5/10", "nine point five out of ten"),),
    ),
    Rule(
        "fractions",
        re.compile(r"(?<![\w/.])(?:(?P<whole>\d{1,3}) )?(?P<top>\d+)/(?P<bottom>\d+)(?![\w/])"),
        _fraction,
        (("3/4", "three quarters"), ("1 1/2", "one and one half"), ("7/3", "seven over three")),
    ),
    Rule(
        "thousands and millions by letter",
        re.compile(
            rf"(?<![\w.,])(?P<whole>{WHOLE})(?:\.(?P<fraction>\d+))?"
            r"(?P<scale>[kKMB]|mn|bn|tn)(?![\w&-]|[.,]\d| (?:run|runs|race|races|resolution|TV|TVs|video|videos|display|monitor|screen)\b)"
        ),
        _scaled,
        (
            ("10K followers", "ten thousand followers"),
            ("2.5M people", "two point five million people"),
            ("a 5K run", "a five K run"),
        ),
    ),
    Rule(
        "lines of a screen",
        re.compile(r"(?<![\w.,])(?P<hundreds>\d{1,2})(?P<rest>[1-9]\d)p\b"),
        lambda match: f"{cardinal(int(match['hundreds']))} {cardinal(int(match['rest']))} p",
        (("1080p", "ten eighty p"), ("720p", "seven twenty p")),
    ),
    Rule(
        "ordinals",
        re.compile(rf"(?<![\d.,])(?P<digits>{WHOLE})(?:st|nd|rd|th)\b", re.IGNORECASE),
        _ordinal,
        (("21st", "twenty-first"), ("the 4th", "the fourth")),
    ),
    Rule(
        "versions",
        re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}"),
        _dotted,
        (("Version 1.2.3", "Version one point two point three"),),
    ),
    *YEAR_RULES,
    Rule(
        "decimals",
        re.compile(rf"(?<!\d)({WHOLE})?\.(\d+)"),
        lambda match: decimal(match[1] or "", match[2]),
        (("3.14", "three point one four"),),
    ),
    Rule(
        "whole numbers",
        re.compile(WHOLE),
        lambda match: integer(match.group()),
        (("342", "three hundred and forty-two"), ("007", "zero zero seven")),
    ),
)

QUANTITY_RULES: tuple[Rule, ...] = (
    *_GROUPING_RULES,
    *DATE_RULES,
    *_DIGIT_RULES,
    *TIME_RULES,
    *_RANGE_RULES,
    *MONEY_RULES[1:],
    *_NUMBER_RULES,
)
"""In the order in which they must be applied: the most specific writing first, bare digits last."""
