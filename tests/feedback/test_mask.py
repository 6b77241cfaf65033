"""Personal data is replaced, the shape stays, and nothing else is touched."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from kefu.feedback import Masker, load_masker

MASKER = Masker(b"salt")


@pytest.mark.parametrize(
    ("text", "secret", "shape"),
    [
        ("电话13812340816打不通", "13812340816", r"电话1[3-9]\d{9}打不通"),
        ("手机138 1234 0816", "138 1234 0816", r"手机1[3-9]\d \d{4} \d{4}"),
        ("+86-13812340816", "13812340816", r"\+86-1[3-9]\d{9}"),
        ("座机0512-66668888", "66668888", r"座机0\d{3}-\d{8}"),
        ("1 3 8 1 2 3 4 0 8 1 6", "1 3 8 1 2 3 4 0 8 1 6", r"\d( \d){10}"),
        ("幺三八一二三四零八一六", "幺三八一二三四零八一六", r"[零一二三四五六七八九]{11}"),
        ("订单202611187734920615麻烦看下", "202611187734920615", r"订单2026(0[1-9]|1[0-2])\d{12}麻烦看下"),
        ("尾号0816的那单", "0816", r"尾号\d{4}的那单"),
        ("0816", "0816", r"\d{4}"),
        ("身份证320502199001011234", "320502199001011234", r"身份证9\d{5}19\d{2}(0[1-9]|1[0-2])\d{6}"),
        ("身份证32050219900101123X", "32050219900101123", r"身份证9\d{16}X"),
        ("卡号6222 0212 3456 7890 123", "0212", r"卡号\d{4} \d{4} \d{4} \d{4} \d{3}"),
        ("6222021234567890123没到账", "6222021234567890123", r"\d{19}没到账"),
        ("邮箱zhang.wei_88@qq.com", "zhang.wei_88@qq.com", r"邮箱[a-z]{5}\.[a-z]{3}_\d\d@example\.com"),
        ("加我微信zhangwei_88", "zhangwei_88", r"加我微信[a-z]{8}_\d\d"),
        ("微信号：abcdefg", "abcdefg", r"微信号：[a-z]{7}"),
        ("QQ 12345678", "12345678", r"QQ \d{8}"),
        ("单号SF1234567890123到哪了", "1234567890123", r"单号SF\d{13}到哪了"),
        ("税号91320594MA7K3X5Q2T", "91320594MA7K3X5Q2T", r"税号[0-9A-Z]{18}"),
        ("车牌苏E12345", "E12345", r"车牌苏[A-Z]\d{5}"),
        ("验证码 3849收不到", "3849", r"验证码 \d{4}收不到"),
        ("生日1990年3月5日", "1990年3月5", r"生日19\d\d年\d{1,2}月\d{1,2}日"),
        ("收货人张伟电话", "张伟", r"收货人[\u4e00-\u9fff]{2}电话"),
        ("收货人改成李娜，急", "李娜", r"收货人改成[\u4e00-\u9fff]{2}，急"),
        ("姓名：欧阳娜娜", "欧阳娜娜", r"姓名：[\u4e00-\u9fff]{4}"),
        ("我叫王小明，", "王小明", r"我叫[\u4e00-\u9fff]{3}，"),
        ("王小明 13812340816", "王小明", r"[\u4e00-\u9fff]{3} 1\d{10}"),
        ("我是李女士", "李女士", r"我是[\u4e00-\u9fff]女士"),
        ("苏州市姑苏区人民路88号", "人民路88", r"苏州市姑苏区[\u4e00-\u9fff]{2}路\d\d号"),
        ("翠苑小区3栋502", "翠苑小区3栋502", r"[\u4e00-\u9fff]{2}小区\d栋\d{3}"),
        ("鲈乡南路88弄6栋1103", "6栋1103", r"[\u4e00-\u9fff]+路\d\d弄\d栋\d{4}"),
        ("阳光花园3-2-501", "3-2-501", r"[\u4e00-\u9fff]{2}花园\d-\d-\d{3}"),
        ("看这个 https://item.example.cn/88?u=me", "u=me", r"看这个 https://example\.com/\d{6}"),
        ("my name is John Smith", "John", r"my name is Alex"),
    ],
)
def test_replaced_with_shape(text: str, secret: str, shape: str) -> None:
    masked = MASKER.text(text)
    assert secret not in masked
    assert re.fullmatch(shape, masked), masked


@pytest.mark.parametrize(
    "text",
    [
        "都五天了钱怎么还没退回来",
        "热线400-000-6688打不通",
        "满300减40 显示99.90元",
        "三层蒸锅3层的 1.5米 5升",
        "2026年11月20日买的",
        "18楼没电梯 能送上来吗",
        "叫马上送来",
        "叫快递员来拿",
        "谢谢小姐姐",
        "我是金卡会员",
        "收货人方便吗",
        "我用微信 applepay付的",
        "买了两千三百四十五块",
        "那个维修单师傅派了吗",
        "路上堵了3小时",
        "12999元的电视",
    ],
)
def test_left_alone(text: str) -> None:
    assert MASKER.text(text) == text


def test_same_number_same_stand_in_everywhere() -> None:
    phone = MASKER.text("13812340816")
    assert MASKER.text("打13812340816找我") == f"打{phone}找我"
    assert MASKER.text("尾号0816") == f"尾号{phone[-4:]}"
    assert MASKER.fact("phone_tail", "0816") == phone[-4:]
    assert MASKER.text("13812340817") != phone


def test_salt_decides() -> None:
    assert Masker(b"one").text("13812340816") != Masker(b"other").text("13812340816")


def test_facts_are_masked_by_their_key() -> None:
    assert MASKER.fact("signed_by", "张伟") != "张伟"
    assert MASKER.fact("signed_by", "小区东门驿站") == "小区东门驿站"
    assert MASKER.fact("invoice_title", "苏州澜禾文化传播有限公司") != "苏州澜禾文化传播有限公司"
    assert MASKER.fact("invoice_title", "苏州澜禾文化传播有限公司").endswith("有限公司")
    assert MASKER.fact("refund_amount", "268.00元") == "268.00元"


def test_places_move_with_the_text() -> None:
    text = "加我邮箱a@b.cn 加湿器坏了 13812340816"
    masked = MASKER.mask(text)
    start = text.index("加湿器")
    place = masked.moved(start, start + 3)
    assert place is not None
    assert masked.text[slice(*place)] == "加湿器"
    phone = text.index("138")
    assert masked.moved(phone, phone + 11) is None


def test_long_and_odd_texts_pass() -> None:
    assert len(MASKER.text("1" * 500)) == 500
    assert MASKER.text("") == ""
    assert MASKER.text("😀\u200d") == "😀\u200d"


def test_salt_file_is_made_once_and_private(tmp_path: Path) -> None:
    first = load_masker(tmp_path / "feedback")
    path = tmp_path / "feedback" / "mask.salt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_masker(tmp_path / "feedback").text("13812340816") == first.text("13812340816")
