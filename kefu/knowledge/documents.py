"""Reads a shop's documents as sections: Markdown and plain text, CSV, DOCX, PDF."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kefu.errors import DataError, NotFound

# Headers of a CSV file's columns, the first is how messages name it.
_COLUMNS = {
    "text": ("text", "answer", "content", "内容", "答案", "回答", "正文"),
    "title": ("title", "question", "标题", "问题", "主题"),
    "questions": ("questions", "similar", "相似问", "问法", "相似问题"),
    "intents": ("intents", "intent", "意图"),
}
# 一、 （二） 1. 1.2 第三章: what a heading of a PDF, which has no styles, begins with.
_NUMBERED = re.compile(
    r"^(第[一二三四五六七八九十百\d]+[章节条部]|[一二三四五六七八九十]+、|[（(][一二三四五六七八九十\d]+[)）]|\d+(\.\d+)*[.、\s])"
)
_SENTENCE_END = "。！？!?；;…"
_HEADING_CHARS = 30


@dataclass(frozen=True)
class Section:
    """What stands under one heading; ``title`` is empty where there is none."""

    title: str
    text: str
    questions: tuple[str, ...] = ()
    intents: tuple[str, ...] = ()


def read_document(file: Path) -> list[Section]:
    """The sections of a file that have text, in its order.

    Raises:
        NotFound: there is no such file.
        DataError: of a kind that is not read, empty, broken, encrypted, scanned, or of an unknown encoding.
    """
    if not file.is_file():
        raise NotFound(f"There is no file {str(file)!r}.")
    readers: dict[str, Callable[[Path], Iterator[Section]]] = {
        ".md": _markdown,
        ".markdown": _markdown,
        ".txt": _markdown,
        ".csv": _csv,
        ".docx": _docx,
        ".pdf": _pdf,
    }
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise DataError(f"{file}: {file.suffix or 'a file without suffix'} is not read; {', '.join(readers)} are.")
    if file.stat().st_size == 0:
        raise DataError(f"{file} is empty.")
    sections = [section for section in reader(file) if section.text.strip()]
    if not sections:
        raise DataError(f"{file} holds no text.")
    return sections


def decoded(file: Path) -> str:
    """The text of a file in UTF-8, UTF-16 with its mark, or GB18030, as Chinese Windows saves it.

    Raises:
        DataError: it is in none of them.
    """
    raw = file.read_bytes()
    wanted = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(wanted)
    except UnicodeDecodeError:
        text = _gb18030(raw) or ""
    # GB18030 gives almost any bytes a meaning; what nobody writes shows that they had another.
    if not text or "\x00" in text:
        raise DataError(f"{file} is neither UTF-8 nor GB18030. Save it as UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _gb18030(raw: bytes) -> str | None:
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return None
    others = [c for c in text if not c.isascii()]
    common = sum(bool(c.encode("gb2312", "ignore")) for c in others)
    return text if common >= 0.9 * len(others) else None


def _markdown(file: Path) -> Iterator[Section]:
    text = decoded(file)
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)  # front matter
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    title, lines, fenced = "", list[str](), False
    rows = text.split("\n")
    for row, after in zip(rows, [*rows[1:], ""]):
        line = row.strip()
        if line.startswith(("```", "~~~")):
            fenced = not fenced
            continue
        heading = None if fenced else re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        underlined = not fenced and bool(line) and bool(re.fullmatch(r"=+|-{3,}", after.strip())) and "|" not in line
        if heading or underlined:
            yield Section(title, _joined(lines))
            title, lines = _plain(heading[1] if heading else line), []
        elif not re.fullmatch(r"[-=*_\s]{3,}|[|:\-\s]+", line):
            if re.match(r"[-*+]\s|\d+[.、)]", line):
                lines.append("")  # each item is a sentence of its own
            lines.append(_plain(line))
    yield Section(title, _joined(lines))


def _plain(line: str) -> str:
    """A line without Markdown's marks; a table's row with commas between its cells."""
    line = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", line)
    line = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", line)
    line = re.sub(r"^(>\s*)+|^[-*+]\s+(\[[ xX]\]\s+)?", "", line)
    line = re.sub(r"(\*\*|__|`|~~)(.+?)\1", r"\2", line)
    if line.startswith("|") and line.endswith("|"):
        return _row(cell.strip() for cell in line.strip("|").split("|"))
    return re.sub(r"</?\w+[^>]*>", "", line).strip()


def _row(cells: Iterator[str]) -> str:
    kept = [cell for cell in dict.fromkeys(cells) if cell]
    return f"{'，'.join(kept)}。" if kept else ""


def _joined(lines: list[str]) -> str:
    """Paragraphs in one text; a line that ends without a mark is ended where a blank one, or an item, follows."""
    text = ""
    for line in lines:
        if not line:
            if text and text[-1] not in f"{_SENTENCE_END}：:，,、.":
                text += "。"
            continue
        if text and text[-1].isascii() and text[-1].isalnum() and line[0].isascii():
            text += " "
        text += line
    return text.strip()


def _csv(file: Path) -> Iterator[Section]:
    text = decoded(file)
    first = text.partition("\n")[0]
    delimiter = max(",\t;|，", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = {str(name).strip().lower(): name for name in reader.fieldnames or ()}
    column = {key: next((names[n] for n in known if n in names), None) for key, known in _COLUMNS.items()}
    if column["text"] is None:
        raise DataError(
            f"{file}, line 1: no column 'text' (or {', '.join(_COLUMNS['text'][1:])}); there are: {', '.join(names)}."
        )
    try:
        for row in reader:
            cell = {key: str(row.get(name) or "").strip() if name else "" for key, name in column.items()}
            several = {
                key: tuple(filter(None, re.split(r"\s*[|;；]\s*", cell[key]))) for key in ("questions", "intents")
            }
            yield Section(cell["title"], " ".join(cell["text"].split()), several["questions"], several["intents"])
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: no table ({error}).") from None


def _docx(file: Path) -> Iterator[Section]:
    import docx
    from docx.opc.exceptions import OpcError
    from docx.table import Table

    try:
        blocks = list(docx.Document(str(file)).iter_inner_content())
    except (OpcError, zipfile.BadZipFile, KeyError, ValueError, SyntaxError) as error:  # lxml's are SyntaxErrors
        raise DataError(f"{file} is no Word document, or a broken one ({error}). Save it again as .docx.") from None
    title, lines = "", list[str]()
    for block in blocks:
        if isinstance(block, Table):
            lines += [_row(" ".join(cell.text.split()) for cell in row.cells) for row in block.rows]
            continue
        style = str(block.style.style_id if block.style is not None else "")
        name = str(block.style.name if block.style is not None else "")
        text = " ".join(block.text.split())
        if text and (style.startswith(("Heading", "Title")) or name.lower().startswith(("heading", "title", "标题"))):
            yield Section(title, _joined(lines))
            title, lines = text, []
        else:
            lines += [text, ""]
    yield Section(title, _joined(lines))


def _pdf(file: Path) -> Iterator[Section]:
    import logging

    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.ERROR)
    try:
        reader = PdfReader(file)
        if reader.is_encrypted and not reader.decrypt(""):
            raise DataError(f"{file} is encrypted. Save it without a password.")
        pages = [(page.extract_text() or "").split("\n") for page in reader.pages]
        outline = {_squeezed(entry.title) for entry in _flat(reader.outline)}
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError, OSError) as error:
        raise DataError(f"{file} is no PDF, or a broken one ({error}).") from None
    if not any(_squeezed(line) for page in pages for line in page):
        raise DataError(
            f"{file} has {len(pages)} pages and no text: it is scanned. Recognise its characters first (OCR), "
            "or type what matters as Markdown."
        )
    title, lines = "", list[str]()
    for line in _without_margins(pages):
        short = len(line) <= _HEADING_CHARS and line[-1:] not in f"{_SENTENCE_END}，,、：:"
        if line and (_squeezed(line) in outline or (short and _NUMBERED.match(line))):
            yield Section(title, _joined(lines))
            title, lines = line, []
        else:
            lines.append(line)
    yield Section(title, _joined(lines))


def _without_margins(pages: list[list[str]]) -> Iterator[str]:
    """The lines of all pages, without page numbers and what stands at the edge of most pages."""
    edges = Counter(_squeezed(line) for page in pages for line in {page[0], page[-1]} if _squeezed(line))
    repeated = {line for line, count in edges.items() if count > 2 and count > len(pages) / 2}
    for page in pages:
        for line in page:
            bare = _squeezed(line)
            if bare not in repeated and not re.fullmatch(r"[-—第]*\d+[-—页]*(/\d+|共\d+页)?", bare):
                yield " ".join(line.split())


def _flat(outline: Any) -> Iterator[Any]:
    for entry in outline:
        if isinstance(entry, list):
            yield from _flat(entry)
        elif getattr(entry, "title", None):
            yield entry


def _squeezed(text: str) -> str:
    return "".join(text.split())
