"""What has no place in a reply, whatever it says: markup, links, accounts, strange numbers, the prompt's own words.

Each check returns what it found, empty where the text may pass; what a fact or a passage holds word by word may pass.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_MARKUP = re.compile(
    r"<\s*[/!?]?\s*[A-Za-z]|&(?:#x?[0-9a-f]+|lt|gt|amp|quot|nbsp|colon);|\]\s*[(\[]|!\[|`|(?<![\d*])\*\*(?![\d*])|~~|__|^\s*#{1,6}\s|\n"
    r"|^\s*[>\-*+]\s|javascript\s*:|data\s*:\s*(?:text|image)|\bon(?:click|error|load)\s*=|\\[nrtux]|%[0-9a-f]{2}|\$\{|%\{"
    r"|</?\|?im_|<\|",
    re.I | re.M,
)
_LINK = re.compile(
    r"[a-z][a-z0-9+.-]{1,10}://[^\s，。！？；）”]+"
    r"|(?<![a-z0-9@.-])(?:[a-z0-9-]+\s*[.。．·]\s*)+(?:com|cn|net|org|top|xyz|shop|vip|club|site|cc|io|me|ly|info|link|ru|tk|app|html?|php)(?![a-z])[^\s，。！？；）”]*"
    r"|(?<![a-z])www\s*[.。]"
    r"|点(?:com|cn|net)(?![a-z])|(?:\d{1,3}\.){3}\d{1,3}",
    re.I,
)
_MAIL = re.compile(r"[\w.+-]+\s*(?:@|\(at\)|\[at\]|艾特)\s*[\w-]+(?:\s*(?:\.|点|dot)\s*[\w-]+)+", re.I)
_WECHAT = r"(?:微信|薇信|威信|徽信|卫星|QQ|扣扣|企鹅|V信|WX|VX|飞信|telegram|whatsapp|skype|小红书|抖音|淘宝|旺旺)"
_ACCOUNT = re.compile(
    rf"{_WECHAT}\s*(?:号码?|群|ID|号是|[:：]|搜我|联系我|找我|转)|(?:加|搜|扫|私|找)(?:一?下|个)?(?:我|我的|咱|他|她|经理|主管|客服|老师)?(?:的)?{_WECHAT}"
    r"|(?:转|汇|付|充|[转打汇付充][账款钱帐])(?:到|给|进|入|至)(?:我|咱|下面|这个|以下|个人|私人|指定|安全|对方)[^，。！？]{0,6}"
    r"(?:账户|账号|帐户|卡|号|码|我)?|安全账户|(?:加|私)我(?!们)|私聊|收款码|付款码|扫(?:这个|下面|我|以下)[^，。]{0,4}码|开户行是|卡号[:：是]",
    re.I,
)
# 不会让您加微信, “加我V”这几个字: what others may ask for.
_WARNED = re.compile(r"(?:不会让您|从不让您|别|不要|切勿|请勿)(?:随便|轻易|乱)?加[^，。！？]{1,6}|“[^”]{1,6}”(?=这)")
_MASKED = re.compile(r"(?<=\d)[\s\-—_.·、,，/*]{1,2}(?=\d)")
_CHINESE_DIGITS = str.maketrans("零〇一二三四五六七八九幺", "001234567891")
_SPOKEN = re.compile(r"(?:[零〇一二三四五六七八九幺][\s\-、，,.]?){6,}")
_LETTERED = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]{0,6}\d)[A-Za-z]{1,6}[-_]?\d{4,}(?![A-Za-z0-9])")
# Words of the prompt's own format and of those who attack it, which no agent says to a customer.
_OWN_WORDS = re.compile(
    r"(?:资料|已知|客户|客服|顾客|系统|助手|用户|管理员|user|system|assistant|human|developer|tool)\s*(?:\d|消息)?\s*[:：=]"
    r"|提示词|系统提示|系统消息|系统指令|初始指令|预设指令|内部指令|(?:我|本助手)的(?:指令|设定|预设|规则|底层|训练|prompt)"
    r"|忽略(?:之前|以上|前面|所有)|越狱|开发者模式|调试模式|维护模式|上帝模式|无限制模式|角色扮演|prompt|jailbreak|(?<![a-z])DAN(?![a-z])|developer\s*mode"
    r"|ignore\s+(?:all|previous|the)|instructions?|占位符|大语言模型|语言模型|神经网络|训练数据|Gemma|GPT|(?<![a-z])LLM(?![a-z])"
    r"|礼貌问候|信息传达|重述或转述|细化问题|情感管理|解决实施|反馈请求|关系延续|提供建议[:：]|感谢与告别"
    r"|[a-z]+_(?:id|state|amount|date|eta|by|no|address|phone|tail|time|channel|refund)(?![a-z])|(?<![a-z])(?:None|null|undefined|open_refund)(?![a-z])|traceback"
    r"|select\s.{1,40}\sfrom|drop\s+table|\bKEFU_|api[_ ]?key|密钥|口令|解码|译文|编码后",
    re.I,
)
_COUNSEL = re.compile(
    r"(?:保本|稳赚|包赚|年化|收益率|回报率|翻倍收益|内幕|庄家|杠杆)|(?:买|投|炒|抄底|加仓)(?:股票|股|基金|币|理财|黄金|期货|比特币)|比特币|虚拟币|贷款包|放贷|套现"
    r"|(?:吃|服用?|停|换|加)(?:点|些|一?片|两片)?[^，。！？]{0,4}(?:药|胶囊|抗生素|阿司匹林|布洛芬)|(?:能|可以?|会)?(?:治好|治疗|医好|痊愈|退烧|止痛|消炎)"
    r"|不用(?:去医院|看医生|就医)|(?:剂量|用量)加|不会有?副作用|没有?副作用|孕妇(?:也)?(?:可以|能)|"
    r"(?:官司|诉讼|起诉)[^，。！？]{0,4}(?:赢|胜|输)|必胜|胜诉|(?:违法|犯法|构成|涉嫌)[^，。！？]{0,6}(?:罪|诈骗|欺诈)|判您?[^，。！？]{0,3}年|"
    r"退一赔三|(?:法律|刑事)责任我们|我们(?:违法|承担全责|负全责)"
)


# Abuse in initials, which a list of words cannot hold: usb has one in it.
_INITIALS = re.compile(
    r"(?<![a-z])(?:s\s?b|nm|nmsl|cnm|tmd|wdnmd|fuck\w*|shit|bitch\w*|idiot|stupid|asshole)(?![a-z])", re.I
)
_STOP_WORDS = re.compile(
    r"\b(?:the|an?|is|are|was|will|be|you|your|we|our|it|its|to|of|for|in|on|and|or|not|can|has|have|please|this|that|with|by|at|if)\b",
    re.I,
)


def abuse(text: str) -> list[str]:
    """Abuse in Latin letters."""
    return _INITIALS.findall(unicodedata.normalize("NFKC", text))


def reads_english(text: str) -> bool:
    """Whether Latin text holds an English function word, as pinyin and single shouted words do not."""
    return bool(_STOP_WORDS.search(text))


def _plainly(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _unheld(pattern: re.Pattern[str], text: str, sources: Sequence[str]) -> list[str]:
    """What matches in ``text`` and stands in no source."""
    held = [_plainly(source) for source in sources]
    return [m[0].strip() for m in pattern.finditer(text) if not any(_plainly(m[0]).strip() in h for h in held)]


def markup(text: str, sources: Sequence[str]) -> list[str]:
    """HTML, Markdown, escapes and line breaks."""
    return [m[0] for m in _MARKUP.finditer(text)]


def contacts(text: str, sources: Sequence[str]) -> list[str]:
    """Links, mail addresses, accounts and ways to pay past the shop that no source holds."""
    flat = unicodedata.normalize("NFKC", text)
    warned = _WARNED.sub("", flat)
    found = [link for pattern in (_MAIL, _LINK) for link in _unheld(pattern, flat, sources)]
    return found + _unheld(_ACCOUNT, warned, sources)


def _run(text: str) -> str:
    """Half-width, numerals of single digits as digits, what stands between digits taken out."""
    flat = unicodedata.normalize("NFKC", text)
    flat = _SPOKEN.sub(lambda m: re.sub(r"\D", "", m[0].translate(_CHINESE_DIGITS)), flat)
    while (joined := _MASKED.sub("", flat)) != flat:
        flat = joined
    return flat


def strange_ids(text: str, sources: Sequence[str]) -> list[str]:
    """Long numbers and codes, however they are spaced or spelt, that stand in no source."""
    held = " ".join(_run(source) for source in sources).upper()
    plain = unicodedata.normalize("NFKC", text)
    codes = [c for c in _LETTERED.findall(plain) if c.upper() not in held]
    whole = re.findall(r"\d{7,}", plain)
    spread = [n for n in re.findall(r"\d{7,}", _run(text)) if n not in whole]
    strange = [n for n in whole if n not in held]
    # A long run that only spacing made may be two numbers of the sources side by side.
    strange += [n for n in spread if n not in held and not _made_of(n, held)]
    return codes + strange


def _made_of(number: str, held: str) -> bool:
    """Whether the number is two or three numbers of the sources, one behind the other."""
    known = set(re.findall(r"\d+", held))
    reach = {0}
    for _ in range(4):
        reach |= {i + len(k) for i in reach for k in known if number.startswith(k, i)}
    return len(number) in reach


def own_words(text: str, sources: Sequence[str]) -> list[str]:
    """Words of the prompt and of those who probe it."""
    return _unheld(_OWN_WORDS, text, sources)


def other_scripts(text: str, sources: Sequence[str]) -> list[str]:
    """Letters that are neither Chinese nor Latin, and encoded or spelt-out runs of Latin ones."""
    held = " ".join(sources)
    found = [c for c in text if c.isalpha() and c not in held and not _known_letter(c)]
    found += [m[0] for m in re.finditer(r"[A-Za-z0-9+/=_-]{20,}", text) if m[0] not in held]
    return found


def _known_letter(char: str) -> bool:
    name = unicodedata.name(char, "")
    return char.isascii() or name.startswith(("CJK ", "LATIN ", "MICRO SIGN", "FULLWIDTH LATIN"))


def latin_run(text: str, sources: Sequence[str]) -> list[str]:
    """Three Latin words in a row in a Chinese reply that no source holds: another language, or pinyin."""
    return _unheld(re.compile(r"[A-Za-z]{2,}(?:[\s,.'!-]+[A-Za-z]{1,}){2,}"), text, sources)


def counsel(text: str, sources: Sequence[str]) -> list[str]:
    """Medical, legal and financial advice and promises that no passage gives."""
    return _unheld(_COUNSEL, text, sources)
