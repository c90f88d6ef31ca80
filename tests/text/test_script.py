"""Scripts: dialogue, markup, SSML and subtitles in; nothing unknown is swallowed; every letter knows its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openbark.errors import OpenBarkError, ParamError, TextError
from openbark.text.scripts.items import Pause, ScriptItem, Speech
from openbark.text.scripts.read import SCRIPT_FORMATS, parse_script, read_script, script_format
from openbark.text.split.pieces import Boundary

CAST = ("ANNA", "Old Ben")


def said(items: tuple[ScriptItem, ...]) -> list[tuple[str | None, str]]:
    return [
        (item.speaker or item.voice, item.text.strip())
        for item in items
        if isinstance(item, Speech)
    ]


def check_origins(source: str, items: tuple[ScriptItem, ...]) -> None:
    for item in items:
        if isinstance(item, Speech):
            for index, letter in enumerate(item.text):
                start, _ = item.source_span(index, index + 1)
                assert source[start] == letter or source[start] in "&\r\n\t "


def test_declared_names_are_speakers_and_other_colons_prose() -> None:
    source = "It began: badly.\nANNA: Hello.\nHow are you?\nOld Ben： Note: fine.\n\nThey left.\n"
    items = parse_script(source, speakers=CAST)
    assert said(items) == [
        (None, "It began: badly."),
        ("ANNA", "Hello.\nHow are you?"),
        ("Old Ben", "Note: fine."),
        (None, "They left."),
    ]
    check_origins(source, items)
    assert [item.boundary.value for item in items if isinstance(item, Speech)] == [
        "sentence",
        "sentence",
        "paragraph",
        "sentence",
    ]


def test_names_nobody_declared_are_prose() -> None:
    assert said(parse_script("ANNA: Hello.\nBEN: No.", speakers=("BEN",))) == [
        (None, "ANNA: Hello."),
        ("BEN", "No."),
    ]
    assert said(parse_script("HANNA: Hello.", speakers=CAST)) == [(None, "HANNA: Hello.")]


def test_pauses_and_voices() -> None:
    source = "One. [pause:500ms] Two [voice: en_1 ]three[/voice] four, [pause:1.5s][laughs] five."
    items = parse_script(source)
    assert said(items) == [
        (None, "One."),
        (None, "Two"),
        ("en_1", "three"),
        (None, "four,"),
        (None, "[laughs] five."),
    ]
    assert [item.seconds for item in items if isinstance(item, Pause)] == [0.5, 1.5]
    speech = [item for item in items if isinstance(item, Speech)]
    assert [item.boundary.value for item in speech] == [
        "sentence",
        "none",
        "none",
        "clause",
        "sentence",
    ]
    check_origins(source, items)


def test_a_speaker_s_line_ends_a_voice() -> None:
    items = parse_script("[voice:x] a\nANNA: b\n\nc", speakers=CAST)
    assert said(items) == [("x", "a"), ("ANNA", "b"), (None, "c")]


def test_a_speaker_after_indented_blank_lines() -> None:
    assert said(parse_script("a\n  \n\n  ANNA : b", speakers=CAST)) == [(None, "a"), ("ANNA", "b")]


@pytest.mark.parametrize("unknown", ["[paus:1s]", "[1]", "[slow]", "[emotion:sad]", "[]"])
def test_unknown_brackets_are_refused_or_said(unknown: str) -> None:
    source = f"Line one.\nAnd {unknown} more."
    with pytest.raises(TextError, match=r"line 2, column 5: unknown markup \["):
        parse_script(source, markup="error")
    assert unknown in said(parse_script(source, markup="speak"))[0][1]
    assert unknown in said(parse_script(source))[0][1]


@pytest.mark.parametrize(
    "tag", ["[laughs]", "[Clears throat]", "[MAN]", "♪ la ♪", "— ...", "[ open"]
)
def test_bark_s_own_tags_pass(tag: str) -> None:
    assert said(parse_script(f"Well {tag} yes.")) == [(None, f"Well {tag} yes.")]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a [pause:fast] b", "column 3: 'fast' is not a duration"),
        ("a [pause:] b", "not a duration"),
        ("a [pause:61s] b", "pause of 61 s; allowed: 0 to 60"),
        ("a [voice:] b", "names no voice"),
        (" [pause:1s] ", "says nothing"),
        ("", "says nothing"),
    ],
)
def test_bad_markup(source: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        parse_script(source)


@pytest.mark.parametrize("name", ["", " A", "A\nB"])
def test_names_that_cannot_be_speakers(name: str) -> None:
    with pytest.raises(ParamError, match="cannot name a speaker"):
        parse_script("x", speakers=(name,))


def test_unknown_format_and_markup_choice_name_the_legal_ones() -> None:
    with pytest.raises(ParamError, match="'html'; allowed: text, ssml, srt"):
        parse_script("x", format="html")
    with pytest.raises(ParamError, match="'skip'; allowed: read, speak, error"):
        parse_script("x", markup="skip")


def test_the_format_is_seen() -> None:
    assert script_format(" <speak>") == script_format("\ufeff<?xml version='1.0'?>") == "ssml"
    assert script_format("1 < 2") == "text"
    assert [script_format("", name) for name in SCRIPT_FORMATS] == list(SCRIPT_FORMATS)


def test_ssml_subset() -> None:
    source = (
        '<?xml version="1.0" encoding="latin-1"?>\n<speak version="1.1" xml:lang="en-GB" '
        'xmlns="http://www.w3.org/2001/10/synthesis">\n'
        "<p><s>Caf\u00e9 &amp; bar.</s><s>Two\r\n\r\nlines.</s></p>"
        '<p>Say<break time="250ms"/>it <prosody rate="80%">slow <prosody rate="fast">and'
        '</prosody></prosody><voice name="en_1">you <break strength="strong"/> there</voice></p>'
        "<![CDATA[<raw>]]><!-- not said --></speak>"
    )
    items = parse_script(source)
    check_origins(source, items)
    speech = [item for item in items if isinstance(item, Speech)]
    assert [(item.text.strip(), item.rate, item.voice) for item in speech] == [
        ("Caf\u00e9 & bar.", 1.0, None),
        ("Two  lines.", 1.0, None),
        ("Say", 1.0, None),
        ("it", 1.0, None),
        ("slow", 0.8, None),
        ("and", 1.0, None),
        ("you", 1.0, "en_1"),
        ("there", 1.0, "en_1"),
        ("<raw>", 1.0, None),
    ]
    assert [item.seconds for item in items if isinstance(item, Pause)] == [0.25, 0.7]
    assert speech[0].boundary is Boundary.SENTENCE
    assert speech[7].boundary is Boundary.NONE
    assert all(item.language == "en" for item in speech)
    start, stop = speech[0].source_span(0, 11)
    assert source[start:stop] == "Caf\u00e9 &amp; bar."


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("<emphasis>x</emphasis>", "unknown markup <emphasis>"),
        ('<prosody pitch="high">x</prosody>', "unknown markup <prosody pitch"),
        ("<audio src='a'/>x", "unknown markup <audio>"),
        ("<?php x?>y", r"unknown markup <\?php"),
    ],
)
def test_unknown_ssml_is_refused_or_said(inside: str, message: str) -> None:
    source = f"<speak>{inside}</speak>"
    with pytest.raises(TextError, match=f"line 1, column 8: {message}"):
        parse_script(source, markup="error")
    items = parse_script(source, markup="speak")
    assert "".join(text for _, text in said(items)) == inside


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("<speak>a & b</speak>", "line 1, column 1.*well-formed.*&amp;"),
        ("<speak>a", "not well-formed"),
        ("<p>a</p>", "begins with <speak>"),
        ('<!DOCTYPE s [<!ENTITY a "b">]><speak>&a;</speak>', "document type declaration"),
        ('<!DOCTYPE s SYSTEM "file:///etc/passwd"><speak>x</speak>', "document type declaration"),
        ("<speak>&unknown;</speak>", "not well-formed"),
        ("<speak>" + "<p>" * 60, "deeper than 50"),
        ("<speak><voice>x</voice></speak>", "<voice> needs a name"),
        ("<speak><prosody rate='quick'>x</prosody></speak>", "rate 'quick'; allowed: x-slow"),
        ("<speak><prosody rate='300%'>x</prosody></speak>", "rate 3 in all; allowed: 0.5 to 2"),
        ("<speak><prosody rate=''>x</prosody></speak>", "rate ''"),
        ("<speak><sub>x</sub></speak>", "<sub> needs an alias"),
        ("<speak><say-as>x</say-as></speak>", "<say-as> needs an interpret-as"),
        ("<speak><break time='1h'/>x</speak>", "'1h' is not a duration"),
        ("<speak><break strength='huge'/>x</speak>", "'huge'; allowed: none"),
        ("<speak>\ud800</speak>", "surrogate"),
        ("<speak> <break/> </speak>", "says nothing"),
    ],
)
def test_bad_ssml(source: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        parse_script(source, "ssml")


def test_subtitles_start_at_their_times() -> None:
    source = (
        "\ufeff1\r\n00:00:01,000 --> 00:00:02,500\r\nHello\r\nthere.\r\n\r\n"
        "2\n00:01:00.25 --> 00:01:02,000 X1:4\nANNA: Well: no. [pause:1s] Yes.\n\n"
    )
    items = parse_script(source, "srt", speakers=CAST)
    check_origins(source, items)
    speech = [item for item in items if isinstance(item, Speech)]
    assert [(" ".join(item.text.split()), item.speaker, item.starts_at) for item in speech] == [
        ("Hello there.", None, 1.0),
        ("Well: no.", "ANNA", 60.25),
        ("Yes.", "ANNA", None),
    ]
    assert [item.stops_at for item in speech] == [2.5, 62.0, 62.0]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1\nHello.\n", r"line 2, column 1: expected the times of a cue"),
        ("1\n00:00:02,000 --> 00:00:01,000\nx\n", "back in time"),
        (
            "1\n00:00:02,000 --> 00:00:03,000\nx\n\n2\n00:00:01,000 --> 00:00:03,000\ny\n",
            "line 6, column 1: the cue goes back in time",
        ),
        ("", "hold no cue"),
        ("1\n25:00:01,000 --> 25:00:02,000\nx\n", "allowed: up to 24 hours"),
        ("1\n999:00:01,000 --> 999:00:02,000\nx\n", "allowed: up to 24 hours"),
        ("1\n00:00:01,000 --> 00:00:02,000\n<i>x</i>\n", "line 3, column 1: unknown markup <i>"),
        ("1\n00:00:01,000 --> 00:00:02,000\n{\\an8}x\n", "unknown markup"),
        ("1\n00:00:01,000 --> 00:00:02,000\n[noise] x\n", "unknown markup"),
    ],
)
def test_bad_subtitles(source: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        parse_script(source, "srt", markup="error")


MARKED = st.text(st.sampled_from("ab:\n []/<>&;psvoiceANA1.\r-\u00e9"), max_size=80)


@given(MARKED, st.sampled_from(tuple(SCRIPT_FORMATS)))
def test_any_source_is_read_or_refused_in_words(source: str, format: str) -> None:
    try:
        items = parse_script(source, format, speakers=("A", "NA"), markup="speak")
    except OpenBarkError:
        return
    check_origins(source, items)
    if format == "text":
        spoken = sum(len("".join(item.text.split())) for item in items if isinstance(item, Speech))
        labels = len("".join(source.split())) - spoken
        assert labels <= source.count(":") * 3 + 8 * source.count("[/voice]") + 7 * source.count(
            "[voice"
        )


def test_styles_of_subtitles_have_no_sound_and_sounds_are_left_out_with_a_notice() -> None:
    source = (
        "1\n00:00:01,000 --> 00:00:02,000\n{\\an8}<i>Hello</i> <font color=red>there</font>\n\n"
        "2\n00:00:03,000 --> 00:00:04,000\n[door slams]\n\n"
        "3\n00:00:05,000 --> 00:00:06,000\n[laughs] I went to\nParis <b>yesterday</b>.\n"
    )
    found = read_script(source, "srt")
    assert [" ".join(text.split()) for _, text in said(found.items)] == [
        "Hello there",
        "[laughs] I went to Paris yesterday.",
    ]
    assert [each.text for each in found.left_out] == ["[door slams]"]
    check_origins(source, found.items)


def test_webvtt_is_read_with_its_notes_names_and_voices() -> None:
    source = (
        "WEBVTT - a title\n\nNOTE\nnot spoken\n\nSTYLE\n::cue {}\n\nintro\n"
        "00:01.000 --> 00:02.500 align:start\n<v ANNA>Hello <c.loud>you</c>\n\n"
        "01:00:00.000 --> 01:00:01.000\n- No.\n- Yes.\n"
    )
    found = read_script(source, "srt", CAST)
    assert [(who, " ".join(text.split())) for who, text in said(found.items)] == [
        ("ANNA", "Hello you"),
        (None, "- No. - Yes."),
    ]
    assert [item.starts_at for item in found.items if isinstance(item, Speech)] == [1.0, 3600.0]


@pytest.mark.parametrize(
    ("inside", "spoken"),
    [
        ('<sub alias="World Wide Web">WWW</sub> is old', "World Wide Web is old"),
        ('<say-as interpret-as="characters">FBI</say-as>', "F B I"),
        ('<say-as interpret-as="spell-out">a1</say-as>', "A 1"),
        ('the <say-as interpret-as="ordinal">3</say-as> time', "the third time"),
        ('<say-as interpret-as="cardinal">1990</say-as>', "one thousand nine hundred and ninety"),
        ('<say-as interpret-as="digits">123</say-as>', "1 2 3"),
        (
            '<say-as interpret-as="date" format="dmy">01/02/2024</say-as>',
            "February first, twenty twenty-four",
        ),
        ('<say-as interpret-as="date" format="md">12/25</say-as>', "December twenty-fifth"),
        (
            '<say-as interpret-as="telephone">555-1234</say-as>',
            "five five five, one two three four",
        ),
        ('<mark name="here"/>yes', "yes"),
        ("<prosody>yes</prosody>", "yes"),
        ('<lang xml:lang="de">ja</lang>', "ja"),
    ],
)
def test_ssml_with_a_plain_meaning_is_done_without_a_notice(inside: str, spoken: str) -> None:
    found = read_script(f"<speak>{inside}</speak>", markup="error")
    assert " ".join(" ".join(text.split()) for _, text in said(found.items)) == spoken
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("inside", "named", "spoken"),
    [
        ("<emphasis>yes</emphasis>", "<emphasis>", "yes"),
        ('<prosody pitch="high">yes</prosody>', "<prosody pitch=...>", "yes"),
        ('<prosody rate="80%" volume="loud">yes</prosody>', "<prosody volume=...>", "yes"),
        ('<audio src="a.wav"><desc>bell</desc>ding</audio>', "<audio>", "ding"),
        ('<phoneme ph="x">tomato</phoneme>', "<phoneme>", "tomato"),
        (
            '<say-as interpret-as="expletive">darn</say-as>',
            "<say-as interpret-as='expletive'>",
            "darn",
        ),
        ("<metadata>about</metadata>yes", "<metadata>", "yes"),
        (
            '<amazon:effect xmlns:amazon="x" name="whispered">yes</amazon:effect>',
            "<amazon:effect>",
            "yes",
        ),
    ],
)
def test_other_ssml_is_passed_over_with_one_notice(inside: str, named: str, spoken: str) -> None:
    source = f"<speak>{inside}</speak>"
    found = read_script(source)
    assert " ".join(" ".join(text.split()) for _, text in said(found.items)) == spoken
    assert named in [each.text for each in found.left_out]
    with pytest.raises(TextError, match="unknown markup"):
        read_script(source, markup="error")
