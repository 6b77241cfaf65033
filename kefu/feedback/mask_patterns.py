"""What counts as personal data: patterns, first come first served on a stretch of text, and lists of Chinese names."""

from __future__ import annotations

import re

# Common surnames that are not everyday words at the same time (和, 时, 都 and 水 are left out on purpose).
SURNAMES = tuple(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜"
    "范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛"
    "伍韦申尤毕聂丛焦向柳邢路岳齐沿梅莫庄辛管祝左涂谷祁时舒耿牟卜路詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景薄"
    "单包司柏宁柯阮桂闵解强柴华车冉房边闫肖代付曲"
)
COMPOUND = "欧阳|上官|皇甫|司马|司徒|诸葛|东方|尉迟|慕容|令狐|端木|夏侯|公孙|长孙"
GIVEN_NAMES = tuple("小晓文明建国志海春秋雨雪云月青山江川竹梅")
ROADS = ("和平", "建设", "新华", "光明", "团结", "胜利", "青年", "文化")
ESTATES = ("翠湖", "锦绣", "阳光", "绿苑", "金桂", "书香", "丽景", "东湖")
COMPANY = re.compile(r".{2,40}?((?:[\u4e00-\u9fff]{2})?(?:有限公司|有限责任公司|股份有限公司|公司|工作室|经营部))")

# Words that start like a name after 叫 or 我是 and are none.
_NO_NAMES = (
    "马上|高兴|方便|方式|方法|方面|安排|安装|安检|白天|白条|常常|常用|成功|从来|单位|单号|"
    "单子|单独|何时|何必|黄色|白色|金额|金卡|毛病|明天|平台|强制|全部|任何|万一|温度|文件|"
    "夏天|向来|许多|严重|严格|于是|张嘴|周末|周一|周二|周三|周四|周五|周六|周日|祝你|左右|"
    "项目|解决|席子|路上|路过|高级|包裹|包邮|包装|施工|车子|车来|司机|曾经|房东|房子|边上|"
    "关于|关门|盛饭|华为|成这|解释|解锁|管家|管理|谢谢|易碎|石头|苗条|代收|代签|代购|付款|"
    "付过|付的|付了|武汉|苏州|江苏|江西|安徽|云南|海南|宁夏|成都|温州|康复|雷同|龙虾|牛奶|"
    "梅子|柳州|向上|任意|余额|应该|莫名|洪水|万能|万元|段子|石家|夏装|高峰|高铁|高档|关心|"
    "关注|路由|熊孩|田园|兰州|成品|成套|向您|游客|易拉|安全|安心|常温|常州|金色|金牌|金属|"
    "金华|白酒|白领|白粉|黄金|黄牛|水果|水费"
)
_FUNCTION = (
    "你我他她它您的了吗呢吧啊呀是不没在给改要寄送到跟把被就也都还又很请帮这那哪谁什么"
    "怎样为填错电话手机址码退换去说打货订单"
)
_SURNAME = f"(?:{COMPOUND}|[{''.join(sorted(set(SURNAMES)))}])"
_CLEAR = _SURNAME.translate(str.maketrans("", "", "单安管于从任向代付解成边关常游谢"))  # no word ends with them
_NOT = f"(?!{_NO_NAMES})"
_TITLE = "(?:先生|女士|小姐(?!姐)|师傅|阿姨|叔叔|老师|大姐|大哥|经理|同学)"
_NAME = f"{_NOT}{_SURNAME}(?!{_TITLE})[^\\W\\d_a-zA-Z{_FUNCTION}]{{1,2}}"
_BOUNDARY = r"(?=$|[\s,，。.、；;:：！!？?（(\d]|电话|手机|地址|号码|男|女|收(?!货|到))"
_LINK = r"(?:是|为|叫|写的?|填的?|改成|改为|改|换成|换|[:：\s])*"
_CUES = r"(?:姓名|名字|收货人|收件人|联系人|寄件人|签收人|户名|持卡人)"
_NUMBER = r"(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"
_UNIT = r"(?:栋|幢|号楼|座(?=\s*\d)|单元)"
_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_IS = r"(?:是|为|[:：\s])*"
_CHAT = r"(?:微信号?|薇信|V信|wechat|weixin|wx|vx|QQ号?|加我)"
_STREET = "(?:大道|路|街|巷|弄|胡同)"
_ESTATE = "(?:小区|花园|家园|公寓|大厦|新村|嘉园|名苑|苑|华府|广场|村)"
_PART = "[东西南北一二三四五六七八九十期区门]{0,3}"
_PLATE = "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]"

# The boundary words before a road's or an estate's own name: 我住在朝阳区|建国路88号.
ADDRESS_WORDS = "省市区县镇乡道路街号州在到是为址寄送改住成换，, ：:"

# (kind of replacement, pattern). Group 1 is replaced, or the whole match where the pattern has no group.
_RULES: tuple[tuple[str, str], ...] = (
    ("keep", r"(?<!\d)[48]00[- ]?\d{3}[- ]?\d{4}(?!\d)"),  # a shop's hotline is nobody's
    ("email", r"(?a:[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"),
    ("link", r"https?://[^\s\u4e00-\u9fff，。]+"),
    ("order", rf"(?<![\dA-Za-z])20\d\d{_DAY}\d{{10}}(?![\dA-Za-z])"),
    ("identity", rf"(?<![\dA-Za-z])[1-9]\d{{5}}(?:18|19|20)\d\d{_DAY}\d{{3}}[\dXx](?![\dA-Za-z])"),
    ("mobile", rf"(?<![\d.]){_NUMBER}"),
    ("digits", r"(?<!\d)0\d{2,3}[- ]?\d{7,8}(?!\d)"),
    ("digits", r"(?<![\d.])\d{3,4}(?:[ -]\d{3,4}){2,5}(?!\d)"),
    ("digits", r"(?<![\d.])(?:\d[ .\-·]){6,}\d(?!\d)"),
    ("tail", rf"(?:尾号|尾数|末四位|后四位|后4位|手机尾|电话尾|尾)[号数]?{_IS}(\d{{4}})(?!\d)"),
    ("tail", r"^\s*(\d{4})\s*$"),
    ("tail", r"(?<!\d)(\d{4})\s*(?:结尾|收尾)"),
    ("code", rf"(?ai:{_CHAT}(?:号|id)?\s*(?:是|为|[:：])\s*([A-Za-z0-9][-\w]{{4,19}}))"),
    ("code", rf"(?ai:{_CHAT}\s*((?=[-\w]*[\d_-])[A-Za-z0-9][-\w]{{4,19}}))"),
    ("digits", rf"(?:验证码|校验码|密码|口令|提货码|取件码){_IS}(\d[\d-]{{3,}})"),
    ("date", r"(?<!\d)((?:19[3-9]\d|200\d|201[0-2])[-./年]\d{1,2}[-./月]\d{1,2})(?!\d)"),
    ("date", rf"(?<!\d)(?:19|20)\d\d{_DAY}(?!\d)"),
    ("digits", r"(?<![0-9A-Za-z])[A-Za-z]{1,4}(\d{8,})(?![0-9A-Za-z])"),  # a parcel: the letters name the carrier
    ("code", r"(?<![0-9A-Za-z])(?=[A-Z0-9]*[A-Z])(?=(?:[A-Z]*\d){6})[A-Z0-9]{10,22}(?![0-9A-Za-z])"),
    ("code", rf"{_PLATE}([A-Z][·. ]?[A-HJ-NP-Z0-9]{{5,6}})(?![0-9A-Za-z])"),
    ("digits", r"\d{6,}"),
    ("numerals", r"[零〇一二三四五六七八九幺]{7,}"),
    (
        "road",
        rf"([\u4e00-\u9fff]{{1,8}}?)[东西南北中]?{_STREET}(?=[东西南北中]?[一二三四五六七八九十]?[路段]?\s*\d+\s*[号弄栋幢])",
    ),
    ("digits", rf"(?<!\d)\d+\s*{_UNIT}(?:[-\s]?[A-Za-z]?\d+\s*(?:单元|层|楼|室|户|号(?!线))?)*"),
    ("digits", rf"{_STREET}[东西南北中]?[一二三四五六七八九十]?[路段]?\s*(\d+)(?=\s*[号弄栋幢])"),
    ("estate", rf"([\u4e00-\u9fff]{{1,8}}){_ESTATE}(?={_PART}\s*\d+\s*(?:{_UNIT}|-\d|[号组室]))"),
    ("digits", rf"{_ESTATE}{_PART}\s*(\d+(?:-\d+){{1,3}})"),
    ("digits", r"村[东西南北]?\s*(\d+)(?=\s*[组号])"),
    ("digits", r"(?<!\d)(\d{3,4})室"),
    ("name", rf"{_CUES}{_LINK}({_NAME})"),
    ("name", rf"(?:叫做?|我是|本人|签收写的?)({_NAME}){_BOUNDARY}"),
    ("name", rf"(?:^|[\s,，;；、])({_NAME})(?=[\s,，:：]*{_NUMBER})"),
    ("name", rf"1[3-9]\d{{9}}[\s,，;；]+({_NAME})(?=$|[\s,，;；])"),
    ("surname", rf"({_CLEAR})(?={_TITLE})"),
    ("person", r"(?:[Mm]y name is|[Nn]ame[:：]|[Rr]ecipient[:：])\s*([A-Z][a-z]+(?:\s[A-Z][a-z]+)?)"),
)
RULES = tuple((kind, re.compile(pattern)) for kind, pattern in _RULES)

_WHOLE_NAME = re.compile(_NAME)


def whole_name(value: str) -> bool:
    """Whether ``value`` is nothing but a person's name in Chinese."""
    return bool(_WHOLE_NAME.fullmatch(value.strip()))


def split_place(found: str, words: str) -> tuple[str, str]:
    """('我住在朝阳区', '建国') of '我住在朝阳区建国': what stands before a place's own name, and the name."""
    cut = max((found.rfind(w) + 1 for w in words), default=0)
    if cut == len(found):  # the name itself ends like a boundary: 新市 of 新市路
        cut = max(len(found) - 2, 0)
    cut = max(cut, len(found) - 6)  # a longer run of characters is a sentence, not a name
    return found[:cut], found[cut:]
