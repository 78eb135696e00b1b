"""Prompt cleaning before tokenization, as the models' own pipelines do it."""

from __future__ import annotations

import html
import html.entities
import re
from html.parser import HTMLParser
from urllib.parse import unquote_plus

import ftfy

Rules = list[tuple[re.Pattern[str], str]]  # each a pattern and its replacement


def clean(prompt: str) -> str:
    """Repair broken encodings and HTML entities, and make whitespace single spaces.

    The cleaning of Diffusers' WanPipeline.
    """
    text = html.unescape(html.unescape(ftfy.fix_text(prompt)))
    return re.sub(r"\s+", " ", text).strip()


def cleaned(prompt: str) -> list[str]:
    """A prompt as the one text that :func:`clean` makes of it."""
    return [clean(prompt)]


def cleaned_caption(prompt: str) -> list[str]:
    """A prompt as the one text that :func:`clean_caption` makes of it."""
    return [clean_caption(prompt)]


def clean_caption(prompt: str) -> str:
    """Clean a prompt like the training captions of PixArt, Latte and Open-Sora 1.2.

    The result is lower case, without what captions from the web carry with them: HTML, addresses,
    file names, article numbers, sizes, advertising, Chinese characters, most punctuation. It is
    done twice, as in the reference, since one removal may lead to another. Equal to
    `_text_preprocessing` in Diffusers' LattePipeline where BeautifulSoup and ftfy are installed
    (without them that only makes lower case); the rules are DeepFloyd IF's.
    """
    return _cleaned_once(_cleaned_once(prompt))


def _cleaned_once(caption: str) -> str:
    caption = unquote_plus(caption).strip().lower().replace("<person>", "person")
    for scheme in ("https?", "www"):
        caption = re.sub(ADDRESS.format(scheme=scheme), "", caption)
    caption = _substituted(text_of(caption), BEFORE_DASHES)
    if len(re.findall("[-_]", caption)) > 3:  # words-joined-like-these, not a compound
        caption = re.sub("[-_]", " ", caption)
    caption = html.unescape(html.unescape(ftfy.fix_text(caption)))
    return _substituted(caption, AFTER_DASHES).strip()


def _substituted(text: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def _compiled(*rules: tuple[str, str]) -> Rules:
    return [(re.compile(pattern), replacement) for pattern, replacement in rules]


# Of an address with a scheme only the beginning is removed, as in the training; a host without one
# is known by its ending, and goes with the first part of its path.
ADDRESS = (
    r"\b(?:"
    r"{scheme}:(?:/{{1,3}}|[a-z0-9%])"
    r"|[a-z0-9.\-]+[.](?:com|co|ru|net|org|edu|gov|it)[\w/-]*\b/?(?!@)"
    r")"
)
FILES = "png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4"
DASHES = (
    "\u002d\u058a\u05be\u1400\u1806\u2010-\u2015\u2e17\u2e1a\u2e3a"
    "\u2e3b\u2e40\u301c\u3030\u30a0\ufe31\ufe32\ufe58\ufe63\uff0d"
)

BEFORE_DASHES = _compiled(
    (r"@\w+\b", ""),  # nicknames
    ("[\u31c0-\u9fff]+", ""),  # CJK strokes, signs and ideographs
    (f"[{DASHES}]+", "-"),
    ("[`´«»“”¨]", '"'),
    ("[‘’]", "'"),
    ("&quot;?", ""),
    ("&amp", ""),
    (r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", " "),  # network addresses
    (r"\d:\d\d\s+$", ""),  # a time at the end
    (r"\\n", " "),
    (r"#\d{1,3}\b", ""),  # article numbers
    (r"#\d{5,}\b", ""),
    (r"\b\d{6,}\b", ""),
    (rf"\S+\.(?:{FILES})", ""),
    (r"[\"']{2,}", '"'),
    (r"\.{2,}", " "),
    (r"[#®•©™&@·º½¾¿¡§~()\[\]{}|\\/*]+", " "),
    (r"\s+\.\s+", " "),
)

AFTER_DASHES = _compiled(
    (r"\b[a-zA-Z]{1,3}\d{3,15}\b", ""),  # article codes: ab1234
    (r"\b[a-zA-Z]+\d+[a-zA-Z]+\b", ""),  # ab12cd
    (r"\b\d+[a-zA-Z]+\d+\b", ""),  # 12ab34
    (r"(worldwide\s+)?(free\s+)?shipping", ""),
    (r"(free\s)?download(\sfree)?", ""),
    (r"\bclick\b\s(?:for|on)\s\w+", ""),
    (rf"\b(?:{FILES})(\simages?)?", ""),
    (r"\bpage\s+\d+\b", ""),
    (r"\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d+[a-zA-Z\d]*\b", " "),  # a1b2c3
    # Sizes, with a Latin or Cyrillic x or a multiplication sign.
    (r"\b\d+\.?\d*[xх×]\d+\.?\d*\b", ""),
    (r"\b\s+:\s+", ": "),
    (r"(\D[,./])\b", r"\1 "),
    (r"\s+", " "),
    (r"^[\"']([\w\W]+)[\"']$", r"\1"),
    (r"^['_,\-:;]", ""),
    (r"['_,\-:+]$", ""),
    (r"^\.\S+$", ""),
)


class _Text(HTMLParser):
    """Collects the visible text of a page, as BeautifulSoup's `text` on Python's parser does."""

    HIDDEN = frozenset({"script", "style", "template", "rt", "rp"})

    def __init__(self):
        super().__init__(convert_charrefs=False)
        self.shown: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.HIDDEN.isdisjoint(self.open):
            self.shown.append(data)

    def handle_charref(self, name: str) -> None:
        self.handle_data(html.unescape(f"&#{name};"))

    def handle_entityref(self, name: str) -> None:
        self.handle_data(html.entities.html5.get(f"{name};", f"&{name}"))

    def unknown_decl(self, data: str) -> None:
        if data.upper().startswith("CDATA["):
            self.shown.append(data[len("CDATA[") :])


def text_of(page: str) -> str:
    """The visible text of a piece of HTML; what the parser refuses is returned unchanged."""
    parser = _Text()
    try:
        parser.feed(page)
        parser.close()
    except AssertionError:  # html.parser's way to refuse a declaration of an unknown kind
        return page
    return "".join(parser.shown)
