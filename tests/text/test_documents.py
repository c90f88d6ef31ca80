"""Formats: Markdown, HTML, subtitles and SSML to speech and pauses; plain text that plainly is one of them."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openbark.errors import OpenBarkError, ParamError, TextError
from openbark.text.scripts.documents import Document, detect_format, format_of_file, read_document
from openbark.text.scripts.items import Pause, Speech


def shown(found: Document) -> list[str]:
    """Each item: its words and what ends with it, or the seconds of a pause."""
    return [
        f"{item.seconds:g} s"
        if isinstance(item, Pause)
        else f"{' '.join(item.text.split())} /{item.boundary.value[0]}"
        for item in found.items
    ]


MARKDOWN = [
    ("# Title\n\nText.", ["Title /p", "Text. /p"]),
    ("Title\n=====\n\nText.", ["Title /p", "Text. /p"]),
    ("**He left.** She stayed.", ["He left. She stayed. /p"]),
    ("*one* _two_ ***three*** ~~four~~", ["one two three four /p"]),
    ("- Apple\n- Banana", ["Apple /s", "Banana /p"]),
    ("* a\n  * b\n* c", ["a /s", "b /s", "c /p"]),
    ("1. Open\n2. Close", ["1. Open /s", "2. Close /p"]),
    ("7. Open\n8. Close", ["7. Open /s", "8. Close /p"]),
    ("- [ ] open\n- [x] done", ["open /s", "done /p"]),
    ("One.\n\n* * *\n\nTwo.", ["One. /p", "1.2 s", "Two. /p"]),
    ("One.\n\n---\n\nTwo.", ["One. /p", "1.2 s", "Two. /p"]),
    ("> A quote.\n\nText.", ["A quote. /p", "Text. /p"]),
    ("[the manual](https://example.com/x)", ["the manual /p"]),
    ("![a cat](cat.png)", ["a cat /p"]),
    ("<https://example.com>", ["https://example.com /p"]),
    ("Use `x = 1` here", ["Use x = 1 here /p"]),
    ("```python\nx = 1\ny = 2\n```", ["x = 1 /s", "y = 2 /s"]),
    ("| a | b |\n|---|---|\n| 1 | 2 |", ["a, b /s", "1, 2 /s"]),
    ("AT&amp;T &lt;x", ["AT&T <x /p"]),
    (r"2 \* 3", ["2 * 3 /p"]),
    ("one  \ntwo", ["one /s", "two /p"]),
    ("CO<sub>2</sub> <b>bold</b>", ["CO₂ bold /p"]),
    ("He cast <Fireball> at it.", ["He cast <Fireball> at it. /p"]),
    ("<div>Hi <i>you</i></div>\n\nText.", ["Hi you /p", "Text. /p"]),
    ("---\ntitle: x\n---\n\nText.", ["Text. /p"]),
    ("Text.[^1]\n\n[^1]: The note.", ["Text. /p", "The note. /p"]),
]
HTML = [
    ("<p>Hello <b>world</b></p>", ["Hello world /p"]),
    ("<p>One</p><p>Two</p>", ["One /p", "Two /p"]),
    ("<h1>Title</h1>Text", ["Title /p", "Text /p"]),
    ("a<br>b", ["a /s", "b /p"]),
    ("<ul><li>a<li>b</ul>", ["a /s", "b /p"]),
    ("<ol start=3><li>a</li><li>b</li></ol>", ["3. a /s", "4. b /s"]),
    ("<table><tr><td>a</td><td>b</td></tr></table>", ["a, b /s"]),
    ("don&#39;t AT&amp;T &eacute;", ["don't AT&T é /p"]),
    ("<script>x=1</script><style>p{}</style>Hi", ["Hi /p"]),
    ("<!-- no --><!DOCTYPE html>Hi", ["Hi /p"]),
    ("<img alt='a cat'>sits", ["a cat sits /p"]),
    ("x<sup>2</sup> H<sub>2</sub>O", ["x² H₂O /p"]),
    ("<pre>a\n\nb</pre>", ["a /p", "b /p"]),
    ("<q>Hi</q> there", ['"Hi" there /p']),
    ("<Fireball> hits", ["<Fireball> hits /p"]),
    ("<p>a\n\nb</p>", ["a b /p"]),
    ("<b>Bold</b>\n\nText", ["Bold /p", "Text /p"]),
    ("if a < b then", ["if a < b then /p"]),
    ("<a href='x'>link</a> text", ["link text /p"]),
]
PLAINLY = [
    ("# Title\n\nText", "markdown"),
    ("It was **very** cold.", "markdown"),
    ("He *really* meant it.", "markdown"),
    ("One.\n\n***\n\nTwo.", "markdown"),
    ("- a\n- b", "markdown"),
    ("> quoted", "markdown"),
    ("```\nx\n```", "markdown"),
    ("[the manual](https://x.org)", "markdown"),
    ("| a | b |\n|---|---|\n| 1 | 2 |", "markdown"),
    ("<p>Hello <b>world</b></p>", "html"),
    ("Hello <i>you</i>", "html"),
    ("one<br>two", "html"),
    ("1\n00:00:01,000 --> 00:00:02,000\nHi\n", "srt"),
    ("\ufeff00:00:01.000 --> 00:00:02.000\nHi\n", "srt"),
    ("WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n", "srt"),
    ("<speak>Hi</speak>", "ssml"),
    ("<?xml version='1.0'?>\n<speak>Hi</speak>", "ssml"),
    ("Hello there.\nHow are you?", "text"),
    ("2*3*4 and 5 * 6 * 7", "text"),
    ("snake_case and other_name", "text"),
    ("a < b and c > d", "text"),
    ("#1 fan, #fun", "text"),
    ("He cast [Fireball] at it.", "text"),
    ("AT&amp;T", "text"),
    ("5 - 3 = 2", "text"),
    ("1. Open\n2. Close", "text"),
    ("WEBVTTs are files", "text"),
]


@pytest.mark.parametrize(("source", "items"), MARKDOWN)
def test_markdown(source: str, items: list[str]) -> None:
    assert shown(read_document(source, "markdown")) == items


@pytest.mark.parametrize(("source", "items"), HTML)
def test_html(source: str, items: list[str]) -> None:
    assert shown(read_document(source, "html")) == items


@pytest.mark.parametrize(("source", "format"), PLAINLY)
def test_what_a_text_plainly_is(source: str, format: str) -> None:
    assert detect_format(source) == format
    assert read_document(source).format == format


def test_a_file_s_name_tells_its_format() -> None:
    names = ("a.md", "b.HTML", "c.srt", "d.vtt", "e.ssml", "f.txt", "g")
    kinds = [format_of_file(PurePath(name)) for name in names]
    assert kinds == ["markdown", "html", "srt", "srt", "ssml", None, None]
    assert format_of_file(None) is None


def test_plain_text_that_is_seen_to_be_markdown_keeps_its_lines_and_indents() -> None:
    found = read_document("    **One** two\nThree\n\n[Note]: closed\n")
    assert [item.text for item in found.items if isinstance(item, Speech)] == [
        "One two\nThree",
        "[Note]: closed",
    ]


def test_unknown_formats_and_empty_documents_are_refused() -> None:
    with pytest.raises(ParamError, match="'rtf' is not an input format; allowed: auto, text"):
        read_document("x", "rtf")
    for source, kind in (("<style>p{}</style>", "html"), ("[a]: http://x.y", "markdown")):
        with pytest.raises(TextError, match=f"the {kind} holds no text"):
            read_document(source, kind)


def test_strict_refuses_what_would_be_passed_over() -> None:
    source = "Look: ![](x.png)"
    assert "picture" in read_document(source, "markdown").left_out[0].reason
    with pytest.raises(TextError, match="strict reading refuses"):
        read_document(source, "markdown", strict=True)


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.sampled_from("ab#*_`[]()<>|-=\n &;/pbi1.~!\\\"'\u00e9"), min_size=1, max_size=80),
    st.sampled_from(("auto", "markdown", "html")),
)
def test_any_source_is_read_or_refused_and_every_letter_has_a_place(
    source: str, format: str
) -> None:
    try:
        found = read_document(source, format)
    except OpenBarkError:
        return
    for item in found.items:
        if isinstance(item, Speech) and item.text.strip():
            start, stop = item.source_span(0, len(item.text))
            assert 0 <= start <= stop <= len(source) + 1


@pytest.mark.parametrize(
    "unit",
    ["**a ", "[a](", "<b>", "&amp;", "# a\n", "- a\n", "> ", "`a", "<!-- ", "_a ", "| a ", "***\n"],
)
def test_a_long_document_of_anything_is_read_to_the_end(unit: str) -> None:
    source = unit * (30_000 // len(unit))
    for format in ("auto", "markdown", "html"):
        try:
            read_document(source, format)
        except TextError:
            continue
