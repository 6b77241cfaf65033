from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kefu.errors import DataError, NotFound
from kefu.knowledge import read_passages
from kefu.knowledge.sources import product_passages

GOOD = {"id": "a", "title": "题", "text": "内容。", "intents": ["greet"], "questions": ["问"]}


def written(folder, **files):
    for name, content in files.items():
        path = folder / {"knowledge": "knowledge/a.yml"}.get(name, f"shop/{name}.yml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            yaml.safe_dump(content, allow_unicode=True) if not isinstance(content, str) else content, "utf-8"
        )
    return folder


def test_the_shops_own_data_reads():
    passages = read_passages(Path("data"))
    ids = {p.id for p in passages}
    assert len(ids) == len(passages) > 300
    assert {"refund_arrival_bank", "product:QH-AF-01", "product:QH-AF-01:usage"} <= ids
    assert any(p.id.startswith("promo") for p in passages)


def test_a_product_tells_price_and_specifications_but_not_its_stock():
    raw = {
        "sku": "S1",
        "name": "三层蒸锅",
        "aliases": ["蒸锅"],
        "price": 129.0,
        "list_price": 159.5,
        "stock": 7,
        "restock_date": "12月8日",
        "specs": {"直径": "28厘米", "材质": "不锈钢"},
        "colors": ["银色"],
        "sizes": ["28厘米", "30厘米"],
        "warranty": "整机1年",
        "box": ["锅", "盖"],
        "highlights": "三层一起蒸。",
        "usage": "别干烧。",
    }
    main, use = product_passages(raw, Path("products.yml"))
    assert main.id == "product:S1" and use.id == "product:S1:usage"
    assert main.text == (
        "三层蒸锅现价129元，日常价159.5元。直径28厘米，材质不锈钢。颜色有银色。规格有28厘米、30厘米。整机1年保修。"
    )
    assert use.text == "三层蒸锅：三层一起蒸。别干烧。箱内有锅、盖。"
    assert "ask_price" in main.intents and "蒸锅" in main.questions
    assert "7" not in main.text and "12月8日" not in main.text + use.text


def test_a_product_with_the_least_it_needs():
    (only,) = product_passages({"sku": "S", "name": "锅", "price": 9}, Path("p.yml"))
    assert only.text == "锅现价9元。"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"text": ""}, "'text'"),
        ({"title": None}, "'title'"),
        ({"intents": ["greeting"]}, "'greeting'"),
        ({"colour": "red"}, "'colour'"),
    ],
)
def test_a_wrong_passage_is_named_with_file_id_and_key(tmp_path, change, told):
    written(tmp_path, knowledge=[{**GOOD, **change}])
    with pytest.raises(DataError, match=told) as caught:
        read_passages(tmp_path)
    assert "a.yml" in str(caught.value) and "'a'" in str(caught.value)


@pytest.mark.parametrize("content", ["- [unclosed", "key: value", "- just text"])
def test_a_file_of_another_shape_is_named(tmp_path, content):
    with pytest.raises(DataError, match=r"a\.yml"):
        read_passages(written(tmp_path, knowledge=content))


def test_an_id_stands_once(tmp_path):
    with pytest.raises(DataError, match="'a'"):
        read_passages(written(tmp_path, knowledge=[GOOD], promotions=[GOOD]))


def test_a_product_without_a_price_is_named(tmp_path):
    with pytest.raises(DataError, match=r"'S1'.*'price'"):
        read_passages(written(tmp_path, knowledge=[GOOD], products=[{"sku": "S1", "name": "锅"}]))


def test_no_knowledge_folder_says_which_setting_to_mend(tmp_path):
    with pytest.raises(NotFound, match="KEFU_DATA_DIR"):
        read_passages(tmp_path)
