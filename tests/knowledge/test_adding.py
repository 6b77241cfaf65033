"""Documents in, passages out: what is read, how it is cut, what is skipped and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import docx
import pytest
import yaml
from pypdf import PdfWriter
from typer.testing import CliRunner

from kefu.cli import app
from kefu.errors import DataError, NotFound
from kefu.knowledge import Passage, read_passages
from kefu.knowledge.adding import cut, passages_of, slug, sorted_out, write
from kefu.knowledge.documents import read_document
from kefu.settings import settings

MARKDOWN = """---
author: shop
---
# 滤水壶

用之前先冲洗一遍。

## 滤芯多久换

- 平均两个月换一次
- 水变慢了就要换

| 型号 | 寿命 |
|---|---|
| A1 | 60天 |

## 能装热水吗
不能，**最高**四十度，见[说明](https://example.com)。
<!-- 内部备注 -->
"""


def pdf(lines: list[str], file: Path) -> Path:
    """A PDF of one page in a standard font; lines in Latin letters."""
    text = " ".join(f"({line}) Tj T*" for line in lines)
    stream = f"BT /F1 12 Tf 14 TL 50 750 Td {text} ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> /MediaBox [0 0 9 9] >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    out += f"xref\n0 6\n0000000000 65535 f \n{table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF"
    file.write_bytes(out.encode("latin-1"))
    return file


def test_markdown_is_cut_by_its_headings(tmp_path):
    file = tmp_path / "壶.md"
    file.write_text(MARKDOWN, "utf-8")
    made = passages_of(file, ["ask_usage"])
    assert [(p.title, p.text) for p in made] == [
        ("滤水壶", "用之前先冲洗一遍。"),
        ("滤芯多久换", "平均两个月换一次。水变慢了就要换。型号，寿命。A1，60天。"),
        ("能装热水吗", "不能，最高四十度，见说明。"),
    ]
    assert all(p.id.startswith("hu_") and p.intents == ("ask_usage",) for p in made)


def test_ids_stay_when_the_text_changes(tmp_path):
    file = tmp_path / "壶.md"
    file.write_text(MARKDOWN, "utf-8")
    before = [p.id for p in passages_of(file)]
    file.write_text(MARKDOWN.replace("两个月", "三个月").replace("# 滤水壶\n\n用之前先冲洗一遍。", ""), "utf-8")
    assert [p.id for p in passages_of(file)] == before[1:] and len(set(before)) == 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_of_chinese_windows_are_read(tmp_path, encoding):
    file = tmp_path / "a.csv"
    file.write_bytes(
        "问题,答案,相似问\r\n怎么换滤芯,往左拧就下来了。,滤芯咋拆|滤芯拧不动\r\n,空标题也行。,\r\n".encode(encoding)
    )
    first, second = passages_of(file)
    assert (first.title, first.text, first.questions) == ("怎么换滤芯", "往左拧就下来了。", ("滤芯咋拆", "滤芯拧不动"))
    assert second.title == "a"


def test_a_word_document_is_cut_by_its_styles(tmp_path):
    made = docx.Document()
    made.add_heading("退换说明", 0)
    made.add_heading("运费", 1)
    made.add_paragraph("质量问题我们出")
    made.add_paragraph("其他情况自理。")
    table = made.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "偏远地区", "15元"
    made.save(tmp_path / "a.docx")
    (section,) = read_document(tmp_path / "a.docx")
    assert (section.title, section.text) == ("运费", "质量问题我们出。其他情况自理。偏远地区，15元。")


def test_a_pdf_is_cut_by_numbered_lines(tmp_path):
    file = pdf(
        ["1. Filters", "Change them every two months,", "or earlier.", "2. Heat", "No hot water."], tmp_path / "a.pdf"
    )
    assert [(s.title, s.text) for s in read_document(file)] == [
        ("1. Filters", "Change them every two months,or earlier."),
        ("2. Heat", "No hot water."),
    ]


def test_long_texts_are_cut_between_sentences_into_even_parts():
    text = "".join(f"这是第{n}句，说的是一件小事，不长也不短。" for n in range(40))
    parts = cut(text)
    assert "".join(parts) == text and all(len(p) <= 300 and p.endswith("。") for p in parts)
    assert min(map(len, parts)) > 150
    assert all(len(p) <= 300 for p in cut("没有句号只有逗号，" * 80)) and "".join(cut("长" * 700)) == "长" * 700
    assert cut("他说“行。”就走了。") == ["他说“行。”就走了。"]


def scanned(file: Path) -> None:
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(file)


def encrypted(file: Path) -> None:
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret")
    writer.write(file)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.md", b"", "is empty"),
        ("a.md", b"# \xb1\xea\xcc\xe2\n\n", "no text"),
        ("a.md", "帳號註冊說明".encode("big5"), "neither UTF-8 nor GB18030"),
        ("a.txt", b"\x00\x01\x02\xff", "neither UTF-8 nor GB18030"),
        ("a.csv", b"name,price\na,1\n", "no column 'text'"),
        ("a.docx", b"PK\x03\x04 broken", "no Word document"),
        ("a.docx", b"plain text", "no Word document"),
        ("a.pdf", b"%PDF-1.4 broken", "broken"),
        ("a.pdf", b"no pdf at all", "broken"),
        ("a.pdf", scanned, "scanned"),
        ("a.pdf", encrypted, "encrypted"),
        ("a.xls", b"x", r"\.xls is not read"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, name, content, told):
    file = tmp_path / name
    content(file) if callable(content) else file.write_bytes(content)
    with pytest.raises(DataError, match=told) as caught:
        read_document(file)
    assert str(file) in str(caught.value)


def test_no_such_file(tmp_path):
    with pytest.raises(NotFound, match=r"nothing\.md"):
        read_document(tmp_path / "nothing.md")


def test_an_unknown_intent_is_named(tmp_path):
    (tmp_path / "a.md").write_text("一句话。", "utf-8")
    with pytest.raises(DataError, match="'ask_weather'"):
        passages_of(tmp_path / "a.md", ["ask_weather"])


def test_what_is_said_already_is_skipped():
    known = [Passage("k", "滤芯", "滤芯平均两个月换一次，水变慢了就要换新的。")]
    again = Passage("n1", "换滤芯", "滤芯平均两个月换一次，水变慢了就要换。")
    new = Passage("n2", "热水", "壶里不能装热水，最高只能装四十度的水。")
    twin = Passage("n3", "热水", "壶里不能装热水，最高只能装四十度的水！")
    made = sorted_out([again, new, twin], known, [])
    assert made.fresh == [new]
    assert [(p.id, name) for p, name, _ in made.repeated] == [("n1", "k"), ("n3", "n2")]
    with pytest.raises(DataError, match="'k'"):
        sorted_out([Passage("k", "另一个", "完全不一样的一段话。")], known, [])


def test_a_new_version_keeps_what_was_added_by_hand(tmp_path):
    file = tmp_path / "a.yml"
    write(file, [Passage("a1", "一", "旧的话。"), Passage("a2", "二", "别的话。")], source="a.md")
    entries = yaml.safe_load(file.read_text("utf-8"))
    entries[0]["questions"] = ["怎么问"]
    file.write_text(yaml.safe_dump(entries, allow_unicode=True), "utf-8")
    write(file, [Passage("a3", "三", "再一句。")], [Passage("a1", "一", "新的话。")])
    assert yaml.safe_load(file.read_text("utf-8")) == [
        {"id": "a1", "title": "一", "text": "新的话。", "questions": ["怎么问"]},
        {"id": "a2", "title": "二", "text": "别的话。"},
        {"id": "a3", "title": "三", "text": "再一句。"},
    ]


def test_slugs():
    assert (slug("售后政策 v2"), slug("FAQ.final"), slug("？？")) == ("shou_hou_zheng_ce_v2", "faq_final", "document")


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A data folder with one passage, named by the settings."""
    folder = tmp_path / "data"
    (folder / "knowledge").mkdir(parents=True)
    (folder / "knowledge" / "a.yml").write_text("- {id: k, title: 冲洗, text: 用之前先冲洗一遍。}\n", "utf-8")
    monkeypatch.setenv("KEFU_DATA_DIR", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def run(*arguments):
    result = CliRunner().invoke(app, ["knowledge", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_commands(shop, tmp_path):
    file = tmp_path / "壶.md"
    file.write_text(MARKDOWN, "utf-8")
    told = run("add", file, "--dry-run")
    assert "skipped, 100% of it stands in k" in told and "2 passages would be added" in told
    assert len(read_passages(shop)) == 1
    (one,) = json.loads(run("add", file, "--intent", "ask_usage", "--json"))["documents"]
    assert len(one["added"]) == 2 and one["repeated"][0]["like"] == "k" and one["out"].endswith("knowledge/hu.yml")
    assert len(read_passages(shop)) == 3
    assert "0 passages added" in (again := run("add", file)) and "2 are there already" in again
    file.write_text(MARKDOWN.replace("两个月", "三个月"), "utf-8")
    assert "--replace takes it" in run("add", file)
    assert "replaced" in run("add", file, "--replace") and "三个月" in [p.text for p in read_passages(shop)][1]
    assert "3 passages" in run("list") and "2 passages" in run("list", "--intent", "ask_usage")


def test_search_tells_why(shop, encoder, monkeypatch):
    from kefu.knowledge import Retriever

    made = Retriever([*read_passages(shop), Passage("heat", "能装热水吗", "不能。", ("ask_usage",))], encoder)
    monkeypatch.setattr(Retriever, "load", classmethod(lambda cls: made))
    assert "place 1 by words, place 1 by meaning" in (told := run("search", "能装热水吗", "--intent", "ask_usage"))
    assert "heat" in told and "has the intent" in told
    (first, *_) = json.loads(run("search", "能装热水吗", "--json"))["passages"]
    assert (first["id"], first["words_rank"], first["same_intent"]) == ("heat", 1, False)
    assert "No passage" in run("search", "abc")
    assert json.loads(run("index", "--json"))["vectors"] == made.vectors == 4
