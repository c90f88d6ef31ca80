"""Initialisms spelled letter by letter, names with signs, addresses of the web and of mail.

Words in capitals that are spoken as words (NASA) and words that are only shouted (STOP) stay as they are.
"""

from __future__ import annotations

import re

from openbark.text.normalize.rules import Rule

# Spelled although they hold a vowel; without one (BBC, TV, HTML) a word in capitals is spelled anyhow.
_SPELLED = (
    "AC|AI|AOL|API|APIs|ATM|ATMs|AWS|BA|BBQ|CEO|CEOs|CFO|CFOs|CIA|CIO|COO|CPA|CPU|CPUs|CTO|DIY|DNA|DOB|DOJ|EEG|EKG|"
    "EPA|ESL|ESPN|ETA|EU|EV|EVs|FAA|FAQ|FAQs|FBI|FDA|FIA|GI|GOP|GPA|GPU|GPUs|HIV|IBM|ICU|ID|IDs|IEEE|IMF|IOU|IP|IPO|IQ|"
    "IRS|ISBN|ISO|ISP|IVF|KGB|LA|LEDs|LGBTQ?|MBA|MIT|MRI|MVP|NBA|NCAA|NGOs?|NIH|NYU|OCD|OECD|OMG|POV|PPE|PTA|ROI|RNA|"
    "RSVP|SEO|SOS|SUVs?|UAE|UCLA|UFC|UFOs?|UI|UK|UN|UPS|URLs?|USA|USB|USD|USPS|USSR|UV|UX|VIPs?|WWE|NSA|ABC|HBO|"
    "ADHD|ACLU|NAACP|NRA|PSA|TSA|USDA|DEA|DUI|GED|UAV|OS|MI(?=\\d)|FYI|EUR|ISBN"
)
_MEANT_AS_LETTERS = (
    r"IT(?= (?:department|support|team|manager|guy|staff|security|company|industry|job|jobs|systems?|services?|sector|help)\b)"
    r"|(?<=[Tt]he )WHO(?! [A-Z])|US"
)
_NO_VOWEL = r"[B-DF-HJ-NP-TV-XZ]{2,6}"
_WORDS_WITHOUT_A_VOWEL = frozenset(
    "HMM HM MM MMM SH SHH PST PSST PFFT TSK BRR BRRR ZZ ZZZ ZZZZ MR MRS MS DR ST NTH JR SR LTD VS GRR GRRR HMMM CWM MT FT".split()
)
_WORD = re.compile(r"[A-Za-z]{2,}")
_ROMAN = re.compile(r"[IVX]{2,}")
_GASES = "CO2|H2O|O2|N2O|CH4|NO2|SO2|H2|CO2e"
_URL = r"(?:(?:https?|ftp)://|www\.)[!-~]*[A-Za-z0-9/_=#&%~-]"
_DOMAIN_ENDS = "com|org|net|io|edu|gov|co|uk|de|fr|it|es|eu|us|ca|au|info|dev|ai|app|me|tv|ly"
_URL_WORDS = {
    ".": " dot ",
    "/": " slash ",
    "-": " dash ",
    "_": " underscore ",
    "?": " question mark ",
    "=": " equals ",
    "&": " and ",
    "#": " hash ",
    "~": " tilde ",
    "%": " percent ",
    ":": " colon ",
    "@": " at ",
    "+": " plus ",
}


def _spelled(match: re.Match[str]) -> str | None:
    word = match["word"]
    letters = word.removesuffix("s")
    if letters in _WORDS_WITHOUT_A_VOWEL or _ROMAN.fullmatch(letters):
        return None
    if letters in ("US", "LA") and _is_shouted(match):
        return None
    return " ".join(letters) + ("'s" if word.endswith("s") else "")


def _is_shouted(match: re.Match[str]) -> bool:
    """Whether the words around are in capitals too: there US is "us"."""
    around = match.string[max(0, match.start() - 60) : match.end() + 60]
    others = [word for word in _WORD.findall(around) if word != match["word"]]
    return bool(others) and sum(word.isupper() for word in others) * 2 > len(others)


def _formula(match: re.Match[str]) -> str:
    return " ".join(match.group())


def _address(match: re.Match[str]) -> str:
    """An address without its scheme; its signs by name."""
    written = re.sub(r"\A(?:https?|ftp)://", "", match.group()).rstrip("/")
    written = re.sub(r"\Awww\.", "" if "//" in match.group() else "w w w.", written)
    return re.sub(r" +", " ", re.sub(r"[^A-Za-z0-9 ]", _sign, written)).strip()


def _sign(match: re.Match[str]) -> str:
    return _URL_WORDS.get(match.group(), " ")


ADDRESS_RULES: tuple[Rule, ...] = (
    Rule(
        "addresses of the web",
        re.compile(_URL, re.IGNORECASE),
        _address,
        (
            ("https://example.com/a", "example dot com slash a"),
            ("See http://www.test.org.", "See test dot org."),
            ("www.example.com", "w w w dot example dot com"),
        ),
    ),
    Rule(
        "bare domains with a path",
        re.compile(
            rf"(?<![\w@./-])(?:[A-Za-z0-9-]{{1,63}}\.){{1,5}}(?:{_DOMAIN_ENDS})/[A-Za-z0-9_./?=&%#~-]*[A-Za-z0-9/]"
        ),
        _address,
        (("example.com/news", "example dot com slash news"),),
    ),
    Rule(
        "dots inside addresses and file names",
        re.compile(r"(?<=[A-Za-z0-9_])\.(?=[a-z]{2})"),
        lambda match: " dot ",
        (("me@example.com", "me at example dot com"), ("notes.txt", "notes dot txt")),
    ),
    Rule(
        "names that begin with a dot",
        re.compile(r"(?<!\S)\.(?=[a-z])"),
        lambda match: "dot ",
        (("a .gitignore", "a dot gitignore"),),
    ),
)
"""In the order in which they must be applied, before anything else reads dots."""

FORMULA_RULES: tuple[Rule, ...] = (
    Rule(
        "sharps",
        re.compile(r"\b(?P<letter>[A-GJ])#(?!\w)"),
        lambda match: f"{match['letter']} sharp",
        (("C# and F#", "C sharp and F sharp"), ("in C#.", "in C sharp.")),
    ),
    Rule(
        "formulas",
        re.compile(rf"\b(?:{_GASES})\b"),
        _formula,
        (("CO2 levels", "C O two levels"), ("H2O", "H two O")),
    ),
)
"""In the order in which they must be applied, before numbers."""

INITIALISMS = Rule(
    "initialisms",
    re.compile(
        rf"(?<![\w&'.@#-])(?P<word>{_SPELLED}|{_MEANT_AS_LETTERS}|{_NO_VOWEL}s?)(?![A-Za-z_&@#$])(?!'[A-Z])(?!\.\w)"
    ),
    _spelled,
    (
        ("the FBI", "the F B I"),
        ("USA", "U S A"),
        ("BBC and CNN", "B B C and C N N"),
        ("three DVDs", "three D V D's"),
        ("NASA", "NASA"),
        ("STOP", "STOP"),
        ("COME WITH US NOW", "COME WITH US NOW"),
    ),
)
"""To be applied after numbers, whose units are letters too."""
