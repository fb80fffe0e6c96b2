"""How Chinese names are read aloud: where a surname ends, which reading it has as a surname, pinyin of the rest.

A surname is read from the tables here, the rest by pypinyin: a surname's reading is often not the common one (单 is
Shan, 曾 Zeng), and pypinyin knows only the common one. The first reading of an entry is the one printed; the others are
searched and compared too.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from functools import lru_cache

MOST_READINGS = 16
"""A name of many-voiced characters has hundreds of readings; the first few are the likely ones."""

SURNAME_READINGS: dict[str, tuple[str, ...]] = {
    "丌": ("ji", "qi"),
    "乐": ("yue", "le"),
    "乜": ("nie", "mie"),
    "仇": ("qiu", "chou"),
    "会": ("gui", "hui"),
    "佴": ("nai", "er"),
    "便": ("pian", "bian"),
    "区": ("ou", "qu"),
    "區": ("ou", "qu"),
    "單": ("shan", "dan"),
    "单": ("shan", "dan"),
    "卜": ("bu", "bo"),
    "召": ("shao", "zhao"),
    "句": ("gou", "ju"),
    "员": ("yun", "yuan"),
    "宿": ("su", "xiu"),
    "尉": ("wei", "yu"),
    "强": ("qiang", "jiang"),
    "折": ("she", "zhe"),
    "晟": ("cheng", "sheng"),
    "曾": ("zeng", "ceng"),
    "朴": ("piao", "pu"),
    "查": ("zha", "cha"),
    "柏": ("bai", "bo"),
    "洗": ("xian", "xi"),
    "炅": ("gui", "jiong"),
    "牟": ("mu", "mou"),
    "祭": ("zhai", "ji"),
    "种": ("chong", "zhong"),
    "秘": ("bi", "mi"),
    "粘": ("nian", "zhan"),
    "繁": ("po", "fan"),
    "缪": ("miao", "mou"),
    "繆": ("miao", "mou"),
    "翟": ("zhai", "di"),
    "能": ("nai", "neng"),
    "薄": ("bo", "bao"),
    "覃": ("qin", "tan"),
    "角": ("jue", "jiao"),
    "解": ("xie", "jie"),
    "谌": ("chen", "shen"),
    "諶": ("chen", "shen"),
    "贠": ("yun", "yuan"),
    "车": ("che", "ju"),
    "那": ("na", "nuo"),
    "郇": ("xun", "huan"),
    "郗": ("xi", "chi"),
    "都": ("du", "dou"),
    "重": ("chong", "zhong"),
    "长": ("zhang", "chang"),
    "阚": ("kan", "han"),
    "隗": ("wei", "kui"),
    "隽": ("juan", "jun"),
    "黑": ("he", "hei"),
    "盖": ("ge", "gai"),
    "蓋": ("ge", "gai"),
    "莘": ("shen", "xin"),
    "行": ("xing", "hang"),
    "適": ("kuo", "shi"),
}
"""Readings of one-character surnames where pypinyin's first reading is another, or more than one is in use."""

COMPOUND_SURNAMES: dict[str, str] = {
    "欧阳": "ouyang",
    "歐陽": "ouyang",
    "太史": "taishi",
    "端木": "duanmu",
    "上官": "shangguan",
    "司马": "sima",
    "司馬": "sima",
    "东方": "dongfang",
    "東方": "dongfang",
    "独孤": "dugu",
    "南宫": "nangong",
    "南宮": "nangong",
    "万俟": "moqi",
    "闻人": "wenren",
    "夏侯": "xiahou",
    "诸葛": "zhuge",
    "諸葛": "zhuge",
    "尉迟": "yuchi",
    "尉遲": "yuchi",
    "公羊": "gongyang",
    "赫连": "helian",
    "赫連": "helian",
    "澹台": "tantai",
    "澹臺": "tantai",
    "皇甫": "huangfu",
    "宗政": "zongzheng",
    "濮阳": "puyang",
    "公冶": "gongye",
    "太叔": "taishu",
    "申屠": "shentu",
    "公孙": "gongsun",
    "公孫": "gongsun",
    "慕容": "murong",
    "仲孙": "zhongsun",
    "钟离": "zhongli",
    "鍾離": "zhongli",
    "长孙": "zhangsun",
    "長孫": "zhangsun",
    "宇文": "yuwen",
    "司徒": "situ",
    "鲜于": "xianyu",
    "鮮于": "xianyu",
    "司空": "sikong",
    "闾丘": "lvqiu",
    "子车": "ziju",
    "亓官": "qiguan",
    "司寇": "sikou",
    "巫马": "wuma",
    "公西": "gongxi",
    "颛孙": "zhuansun",
    "壤驷": "rangsi",
    "公良": "gongliang",
    "漆雕": "qidiao",
    "乐正": "yuezheng",
    "宰父": "zaifu",
    "谷梁": "guliang",
    "拓跋": "tuoba",
    "夹谷": "jiagu",
    "轩辕": "xuanyuan",
    "令狐": "linghu",
    "段干": "duangan",
    "百里": "baili",
    "呼延": "huyan",
    "东郭": "dongguo",
    "南门": "nanmen",
    "羊舌": "yangshe",
    "微生": "weisheng",
    "梁丘": "liangqiu",
    "左丘": "zuoqiu",
    "东门": "dongmen",
    "西门": "ximen",
    "第五": "diwu",
    "纳兰": "nalan",
    "叶赫": "yehe",
    "完颜": "wanyan",
    "耶律": "yelv",
}
"""Surnames of two characters; they are recognised where at least one character of a given name follows."""

COMMON_SURNAMES = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚"
    "谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向"
    "柳邢路岳齐梅莫庄辛管祝左涂谷祁时舒耿牟卜路詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景薄单包司柏宁柯阮桂闵解强柴"
    "华车冉房边辜吉饶刁瞿戚丘古米池滕晋苑邬臧畅宫来苟全褚廉简娄盖符奚木穆党燕郎邸冀谈姬屠连郜晏栾郁商蒙计喻揭窦迟宇敖糜鄢冷卓花仇艾蓝"
    "都巩稽井练仲乐虞卞封竺冼原官衣楚佟栗匡宗应台巫鞠僧桑荆谌银扬明沙薄伏岑习胥保和蔺水云昌凤酆常皮卡元平和丰尉闻欧司诸上令皇尉慕公长鲜濮"
    "張劉陳楊趙黃吳孫馬羅鄭謝韓馮許蕭鄧呂蘇盧蔣賈葉閻鍾陸譚鄒顧龍萬錢湯賀賴龔嚴蘆魯韋畢聶齊莊關費紀項陽衛單寧華車邊饒"
)

# Every syllable of pinyin without its tone, ü written as v.
_SYLLABLE_LIST = """
    a ai an ang ao ba bai ban bang bao bei ben beng bi bian biao bie bin bing bo bu ca cai can cang cao ce cen ceng
    cha chai chan chang chao che chen cheng chi chong chou chu chua chuai chuan chuang chui chun chuo ci cong cou cu
    cuan cui cun cuo da dai dan dang dao de dei den deng di dia dian diao die ding diu dong dou du duan dui dun duo
    e ei en eng er fa fan fang fei fen feng fo fou fu ga gai gan gang gao ge gei gen geng gong gou gu gua guai guan
    guang gui gun guo ha hai han hang hao he hei hen heng hong hou hu hua huai huan huang hui hun huo ji jia jian
    jiang jiao jie jin jing jiong jiu ju juan jue jun ka kai kan kang kao ke kei ken keng kong kou ku kua kuai kuan
    kuang kui kun kuo la lai lan lang lao le lei len leng li lia lian liang liao lie lin ling liu lo long lou lu
    luan lun luo lv lve lyu lyue ma mai man mang mao me mei men meng mi mian miao mie min ming miu mo mou mu na nai
    nan nang nao ne nei nen neng ni nian niang niao nie nin ning niu nong nou nu nuan nun nuo nv nve nyu nyue o ou
    pa pai pan pang pao pei pen peng pi pian piao pie pin ping po pou pu qi qia qian qiang qiao qie qin qing qiong
    qiu qu quan que qun ran rang rao re ren reng ri rong rou ru rua ruan rui run ruo sa sai san sang sao se sen seng
    sha shai shan shang shao she shei shen sheng shi shou shu shua shuai shuan shuang shui shun shuo si song sou su
    suan sui sun suo ta tai tan tang tao te tei teng ti tian tiao tie ting tong tou tu tuan tui tun tuo wa wai wan
    wang wei wen weng wo wu xi xia xian xiang xiao xie xin xing xiong xiu xu xuan xue xun ya yan yang yao ye yi yin
    ying yo yong you yu yuan yue yun za zai zan zang zao ze zei zen zeng zha zhai zhan zhang zhao zhe zhei zhen
    zheng zhi zhong zhou zhu zhua zhuai zhuan zhuang zhui zhun zhuo zi zong zou zu zuan zui zun zuo
"""
_SYLLABLES = frozenset(_SYLLABLE_LIST.split())
_LONGEST_SYLLABLE = 6
_LONGEST_DIVIDED = 64
_HAN = re.compile(r"[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_EAST_ASIAN = re.compile(r"[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uac00-\ud7af\u1100-\u11ff\uff66-\uff9f]")


def has_ideographs(text: str) -> bool:
    """Whether `text` holds at least one Chinese character."""
    return _HAN.search(text) is not None


def is_ideographic(text: str) -> bool:
    """Whether `text` belongs in the ideographic group: Chinese characters, kana or hangul."""
    return has_ideographs(text) or _EAST_ASIAN.search(text) is not None


_STROKES = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th"})


def fold(text: str) -> str:
    """Compatibility forms, letter case and accents taken away: `José` and `ＪＯＳＥ` are both `jose`."""
    apart = unicodedata.normalize("NFKD", text.casefold().translate(_STROKES))
    return unicodedata.normalize("NFKC", "".join(sign for sign in apart if not unicodedata.combining(sign)))


def split_surname(ideographs: str) -> tuple[str, str]:
    """Divide a Chinese name without a separator into surname and given name: `欧阳娜娜` into `欧阳`, `娜娜`."""
    longest = 2
    if len(ideographs) > longest and ideographs[:longest] in COMPOUND_SURNAMES:
        return ideographs[:longest], ideographs[longest:]
    return ideographs[:1], ideographs[1:]


def surname_readings(surname: str) -> tuple[str, ...]:
    """Every reading of a surname, the printed one first, ü written as v."""
    if surname in COMPOUND_SURNAMES:
        return (COMPOUND_SURNAMES[surname],)
    if surname in SURNAME_READINGS:
        return SURNAME_READINGS[surname]
    return ("".join(syllables(surname)),)


@lru_cache(maxsize=4096)
def syllables(ideographs: str) -> tuple[str, ...]:
    """The usual reading of each character, in context; signs without a reading are left out."""
    from pypinyin import Style, lazy_pinyin  # noqa: PLC0415 - its dictionaries take 0.1 s of start-up

    return tuple(lazy_pinyin(ideographs, style=Style.NORMAL, errors="ignore"))


@lru_cache(maxsize=4096)
def given_readings(given: str) -> tuple[tuple[str, ...], ...]:
    """The readings of a given name, each as syllables, the usual one first, at most `MOST_READINGS`."""
    from pypinyin import Style, pinyin  # noqa: PLC0415 - as above

    if not given:
        return ((),)
    voices = pinyin(given, style=Style.NORMAL, heteronym=True, errors="ignore")
    ways = itertools.islice(itertools.product(*voices), MOST_READINGS)
    return tuple(dict.fromkeys([syllables(given), *ways]))[:MOST_READINGS]


def spelled(syllable: str) -> str:
    """A syllable as passports print it: ü after l and n becomes yu (GB/T 28039-2011)."""
    return re.sub(r"(?<=[ln])v", "yu", syllable)


def romanise(text: str) -> str:
    """Chinese in pinyin for a device that shows no Chinese: each run becomes one capitalised word, the rest stays."""

    def word(run: re.Match[str]) -> str:
        return " " + "".join(map(spelled, syllables(run.group()))).capitalize() + " "

    return re.sub(r" {2,}", " ", re.sub(f"{_HAN.pattern}+", word, text)).strip()


def divide(letters: str) -> tuple[str, ...] | None:
    """Divide joined pinyin into syllables (`zhangwei` into `zhang`, `wei`); None if it is no pinyin.

    Inside a word a syllable that begins with a vowel would carry an apostrophe: `nana` is `na`, `na`, not `nan`, `a`.
    """
    if len(letters) > _LONGEST_DIVIDED:
        return None
    orderly = _divide(letters, "aoe")
    return _divide(letters, "") if orderly is None else orderly


@lru_cache(maxsize=8192)
def _divide(letters: str, unwanted: str) -> tuple[str, ...] | None:
    if not letters:
        return ()
    for size in range(min(_LONGEST_SYLLABLE, len(letters)), 0, -1):
        follows = letters[size : size + 1]
        if letters[:size] in _SYLLABLES and not (follows and follows in unwanted):
            rest = _divide(letters[size:], unwanted)
            if rest is not None:
                return (letters[:size], *rest)
    return None
