"""How likely a text is in a language, so that of several readings of the same bytes the likeliest can be taken.

Each model gives the logarithm of a probability a sign at a time: where a sign may stand in a name, which signs names
and descriptions are made of, how rarely letters touch ideographs. They are small on purpose: bytes read by the wrong
charset are wrong by many orders of magnitude, not by a few.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator

from core.naming.readings import COMMON_SURNAMES, COMPOUND_SURNAMES, is_ideographic

PARTS = re.compile(r"[\^= \t\r\n\f\\,.()\-_/:;]+")
"""What divides a name or description into parts that are judged one by one."""

Model = Callable[[str, bool], float]
"""Gives the log likelihood of a text, told whether it is a name."""

_IMPOSSIBLE = math.log(1e-9)
_FEWEST_KANA = 2  # one alone is a section sign or a micro sign of Latin 1
_RARE, _EXOTIC = math.log(2e-7), math.log(2e-8)

# -- the signs names and descriptions are made of --------------------------------------------------------------------

_TOP_SURNAMES = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜"
)
_MORE_SURNAMES = frozenset(
    "茅闫付肖代兑仝亓佘佟侍信冀凤初别化厉双叔召呼哈商啜善嘉国图地堵塔多夔奉如妫字宁安审宣密寇将尚尧尕屈展山岐岳崇州常干年庆应庄库廉弓弥役彦征"
    "征从忻念怀思性怡恽悦惠愚慎成战所扈承把抗拓招拜揭支教敏敬文斛斯旷昝明昔星春晁晓普景智暴曲朗木本权来松柴树栗校桓桥桐梅梓楼樊檀次欣歧正步武"
    "毋毌水永汝沃河泉泰洋洛浦海涂润涵淡清渠游湛滑漆潮濯火炎炬点焉热照燕爱牙牧特犹狄独率玄玉环琦瑞璩甄生用由甲申百皋益盈盘相真睢矫石碧磨礼祁祖"
    "禄福禚禹秋科移税稻空竭章端竹第笪笃答管箕籍米粟糜素红练绍续绪缑羊美羿翁耶聊胜脱腾臧至芒花苍苑苟若英范茶荀草荐荣药莉莘菅萨落蒙蓟蓬蔚蔺蔡虎虞蛮"
    "行衡补裘褚西要规訾诗诺谈谯谷贝贡贲赏赛赫越足路车轩辛辜农边达过运还进迟适逄通造逯遇遆道邝邢那邬邴郄郇郏郐郓郗郜郝郦郭郯鄂鄞酆采里野金钊钦钮铁银"
    "锁锐镇镜长门闪闭问闵闾队阙陀附院陶隋随隗雍雒雪零雷霍青静鞠韶项须频顺风食饶首香骆骑高鬲鱼鲍鲜鹿麦麻黎黑齐龙"
)
_SURNAMES = COMMON_SURNAMES | _MORE_SURNAMES | {surname[0] for surname in COMPOUND_SURNAMES}

_GIVEN = frozenset(
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英兰华红梅建国文辉玲玉萍燕春龙凤海峰鹏飞波斌宇浩凯亮俊健雷晨阳旭东晓小大志永林森云天宏鑫欣雪莉"
    "婷婧雯慧颖琳琪瑶瑞璐佳嘉佩思诗雨雅怡悦心月琴芬芝莲菊荣珍珠翠香爱彩仙淑贤惠素金银宝贵富财福禄寿喜庆祥吉安康泰宁定邦民生成才德义仁礼智信忠孝诚"
    "正清白亚美帅博彬彤岩岚川江河湖山石松柏竹木桐楠梓子轩涵萱晗昊然睿泽铭皓诺一依可冉熙希曦茜蕾薇菲蓉莎莹洁倩媛妍姗姝姣娇婉婵嫣媛家良少绍继承光耀"
    "显达昌盛兴旺发展振启开新立业学利全有根水土火炎焱淼垚日升恒久长远征航帆舟战胜武威猛虎彪豹彰毅坚钢铁钧钰锋锐锦镇城守卫保护跃进向前方秋冬夏双翔翼"
    "羽腾骏驰骥骁宗祖先元亨贞乾坤道冰霜露虹霓霖霁霏沛沐沁泓洪涌润泉溪澜瀚源滨淳深渊汉汝淮京津晋鲁豫苏浙闽琼滇蜀渝宁青喆玥珺堃昇犇祎芃旸瑄彧翀璟琰"
    "煜炜烨焜熠璇瑾瑜琛琦琨琮珂珏玮珊珮琬瑛璋璨婕妤奕妮娅娥媚倪兆群之乐书云人仕从仲任伊会伦佑作侠修俐倚傲儒允兵其典冠凡凌分则剑力勤包千半卓南卿厚"
    "双友发叔口司吟启君吾周和咏哲唯善嗣园国圆坚培士壮夕夫奇奎好如妙妹娣娴婶学孟季宁守宜实宪宾容密富寅山岗岭峻崇工巧巧布师帆席常广庭廷弘弛张弦彦影"
    "征律得微心怀性恩恬恺情意慈慕懿戈成房才扬承拓振捷掌操政敬敦斯方施旋旗时昱昶星映昭晔景晴晶智暄暖曼最服朋望朗本权材来杨极标栋树格桃梁楚楠榕模横"
    "欢歌正步毓民气水汐江汛池沄法洲济浓浦海涓涯淇渝温湘溢滔漪潇炳焕照熊燃爽牧犀献王班理琅琇瑗田由甫甲略盈益盼真眉石硕碧磐礼社祖禹秉科程稳穗立章童"
    "端笑第筠策简粉粤精紫红级纪纯纲绮维缘罡翊老耘联聪胤脉自致舒良色艺艾节芙芮芸苑苗若茂范茵茹荃荔莺菁华菡萌蓓蓝蔚蕊薪蝶融行衍衡表裕西观解言训诵谊谦"
    "贝贞贤赞超越路车轩辰达运述迪逸遥邦郁都采里重野钊钟钦铎铨锡锴镜长闯闻阅防陆院雁集雄震靓韬韵音顺颂领颜风飒馨首骄鸣鸽麒麟黎"
    "偉麗強軍艷傑濤剛蘭華紅鳳鵬飛陽東曉雲瑩潔嬌寶貴財慶義誠龍國興業學發長遠勝鋒錦鎮衛護躍進鴻騰馳靜穎瓊鈺鈞銘"
)
_WRITTEN = frozenset(
    "全身骨显像心肌灌注静息负荷甲状腺旁肾动态肺通气脑肝胆脾胃肠淋巴前后左右位侧斜断层平面采集重建图检查扫描诊断报告医院核学科部门患者姓名男女岁正常异的"
    "了是在有和与不为未见明显期相延迟早晚分钟小时次第一二三四五六七八九十床病区室号内外急住体质量肿瘤转移复术治疗剂药物放射碘锝氟镓镥镭锶氯化标记融合"
    "定计数能窗准直器校衰减散均匀性控模泛源野视矩阵角度帧间开始结束头颅颈胸腹盆四肢手足膝髋肩关节脊柱腰椎肋脏血流功门首过态局立即人上下中国市省大来到"
    "以及其他对比请结合临床随访建议影所示可能考虑良恶原发继异多个处例组约较低高增浓聚稀疏缺损分布清晰轮廓形完整"
)
_TRADITIONAL_SURNAMES = frozenset(
    "陳林黃張李王吳劉蔡楊許鄭謝洪郭邱曾廖賴徐周葉蘇莊呂江何蕭羅高潘簡朱鍾游彭詹胡施沈余盧梁趙顏柯翁魏孫戴范方宋鄧杜傅侯曹薛丁卓阮馬董溫唐藍石蔣古紀姚"
    "連馮歐程湯田康姜汪白鄒尤巫黎涂龔嚴韓袁金童陸夏柳邵錢于甘鄺陶萬倪祝譚龍霍伍駱"
)
_TRADITIONAL_GIVEN = _GIVEN | frozenset(
    "志明俊傑建宏家豪淑芬美玲怡君雅婷宗翰冠宇承恩品妍宥廷欣佳蓉詩涵筱郁雯芳儀玉秀春嬌阿水文雄正義金龍國華榮偉麗珍惠貞素英月娥世昌永慶耀東嘉慧敏靜"
    "宜蓁語彤芷柏睿宸丞恩翔哲瑋育德智勇仁賢達輝維修禮彥廷憲政昇鴻銘鈞錦樹根源發財添進旺來福壽興隆炎火爐妹珠桃枝葉蓮菊花"
)
_JAPANESE = frozenset(
    "佐藤鈴木高橋田中渡辺邊邉伊山本村小林加吉井上松清水斎斉崎口野原岡川島森池阿部石前後長谷太郎次三一二介子美恵香奈由真優明和正博幸雄夫男也哉樹隆浩健"
    "誠修学亮大輔翔拓海悠陽菜葵結衣愛花咲七桃彩千尋久保内河竹梅今葉岩平杉安永宮西東北南新青赤黒白金福富土居戸坂沢澤堀片桐柴荒関近遠武丸市成横須賀菊地"
    "酒浅星城熊桑早辻秋春夏冬雪玉古五四十百万里江根目手足見直孝義信勝昭実茂進昇洋子裕智文敏典典洋治司勇剛弘宏康晴朗史紀秀英俊克憲光輝"
)
_KOREAN_SURNAMES = frozenset(
    "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구나민진지엄채원천방공현함변염여추도소석선설마길연위표명기반왕금옥육인"
    "맹제모탁국어은편용봉"
)
_KOREAN_GIVEN = frozenset(
    "민수지영현우진서준하윤은주희성정미경혜숙자순호철상재동훈건태석용기원도연예유나라아린채시율빈찬규종형환남선애옥춘길복만창근섭열욱혁범익권필한승이"
    "명인일중광병봉덕말분금화향보람슬비솔다솜가온별새봄세주안란례임양신국식문학행운교강구관대두무배백삼석설소송심언여오완왕요웅월위은의장전점정제조천초"
)
_KOREAN_WRITTEN = frozenset(
    "의는을를이가에서로과와도만검사뼈스캔전신심장갑상선간폐뇌부위영조방성동원소투여후지연정견환자이름남여병과학핵실수술치료결판독골밀도좌우흉복두경관절척추양전자단층촬"
)

_SYMBOLS = {
    "°": 1e-3,
    "µ": 1e-3,
    "±": 3e-4,
    "²": 3e-4,
    "³": 1e-4,
    "½": 1e-4,
    "ª": 1e-4,
    "º": 3e-4,
    "´": 3e-5,
    "®": 3e-5,
}
_COMMON_ACCENTS = dict.fromkeys("éüöäèñçóáíåøßæ", 4e-3)


# -- languages -------------------------------------------------------------------------------------------------------


def western(text: str, name: bool) -> float:  # noqa: FBT001 - as Model says
    """Latin letters, accents standing singly among plain letters of their own case."""
    return sum(_western_part(part, name) for part in _parts(text) if not part.isascii())


def _western_part(part: str, name: bool) -> float:  # noqa: FBT001 - as above
    total, before = 0.0, ""
    for sign in part:
        total += math.log(_western_sign(sign, before, name))
        before = sign
    return total


def _western_sign(sign: str, before: str, name: bool) -> float:  # noqa: FBT001, PLR0911 - a table of cases
    if sign.isascii():
        return 0.033 if sign.isalpha() else 0.01 if sign.isdigit() else 0.003
    if ord(sign) < 0xA0 or (ord(sign) > 0x17F and sign not in "ȘșȚț"):  # noqa: PLR2004 - controls, and what is seldom
        return 1e-9
    if not sign.isalpha() or sign in "µªº":
        return 1e-6 if name else _SYMBOLS.get(sign, 1e-5)
    if sign.isupper():
        first = 1e-3 if not before or (before.isascii() and before.isupper()) else 2e-5
        return first * (0.3 if before == sign else 1)
    usual = _COMMON_ACCENTS.get(sign, 8e-4)
    if not before:
        return usual * 0.05
    if before.isascii():
        return usual * (0.3 if before.isupper() else 1 if before.isalpha() else 0.05)
    return usual * (0.3 if before == sign else 0.05)


def chinese(text: str, name: bool) -> float:  # noqa: FBT001 - as Model says
    """Simplified Chinese, and traditional as GBK holds it."""
    return _east_asian(
        text, name, _chinese_first if name else _chinese_written, _chinese_given if name else _chinese_written
    )


def _chinese_first(sign: str) -> float:
    if sign in _TOP_SURNAMES:
        return 0.8 / len(_TOP_SURNAMES)
    if sign in COMMON_SURNAMES:
        return 0.15 / len(COMMON_SURNAMES)
    return 0.03 / len(_SURNAMES) if sign in _SURNAMES else 0.02 * _by_level(sign)


def _chinese_given(sign: str) -> float:
    return 0.8 / len(_GIVEN) if sign in _GIVEN else 0.2 * _by_level(sign)


def _chinese_written(sign: str) -> float:
    return 0.6 / len(_WRITTEN) if sign in _WRITTEN else 0.4 * _by_level(sign)


def _by_level(sign: str) -> float:
    """How common a character is by the level of GB 2312 it stands in, or that it stands in none."""
    try:
        code = sign.encode("gb18030")
    except UnicodeEncodeError:
        return 1e-9
    if len(code) != 2:  # noqa: PLR2004 - four bytes
        return 1e-7
    if code[0] >= 0xB0 and code[1] >= 0xA1:  # noqa: PLR2004 - the rows of the levels
        return 0.8 / 3755 if code[0] <= 0xD7 else 0.15 / 3008  # noqa: PLR2004
    return 0.05 / 14000


def traditional(text: str, name: bool) -> float:  # noqa: FBT001 - as Model says
    """Chinese as Big5 holds it."""
    given = _by(_TRADITIONAL_GIVEN, 0.8, 1e-5)
    return _east_asian(text, name, _by(_TRADITIONAL_SURNAMES, 0.97, 2e-7) if name else given, given)


def japanese(text: str, name: bool) -> float:  # noqa: FBT001 - as Model says
    """Japanese: kanji of names, kana."""
    beyond = [sign for sign in text if not sign.isascii()]
    half_width = len(beyond) >= _FEWEST_KANA and all("｡" <= sign <= "ﾟ" for sign in beyond)
    sign = _by(_JAPANESE, 0.7, 1e-5, kana=1e-2 if half_width else 2e-3, half_width=half_width)
    return _east_asian(text, name, sign, sign)


def korean(text: str, name: bool) -> float:  # noqa: FBT001 - as Model says
    """Korean: hangul of names or of descriptions."""
    if name:
        return _east_asian(text, name, _by(_KOREAN_SURNAMES, 0.98, 1e-7), _by(_KOREAN_GIVEN, 0.9, 1e-5))
    written = _by(_KOREAN_WRITTEN, 0.6, 1.5e-4)
    return _east_asian(text, name, written, written)


def cyrillic(text: str, name: bool) -> float:  # noqa: FBT001 - as Model says
    """Cyrillic words, written large at their beginning alone or throughout."""
    del name
    total = 0.0
    for part in _parts(text):
        orderly = part[1:].islower() or part.isupper()
        inside = all("А" <= sign <= "я" or sign in "ЁёІіЇїЄє" for sign in part)
        total += len(part) * math.log(1 / 33) if orderly and inside else len(part) * _RARE
    return total


def other_script(text: str, name: bool) -> float:  # noqa: FBT001 - as Model says
    """Greek, Arabic, Hebrew, Thai and the like: all of a text in one script, which is seldom met."""
    del name
    beyond = [part for part in _parts(text) if not part.isascii()]
    signs = [sign for part in beyond for sign in part]
    scripts = {unicodedata.name(sign, "?").split()[0] for sign in signs}
    one = len(scripts) == 1 and not scripts & {"LATIN", "CYRILLIC"} and all(map(_is_letter, signs))
    return math.log(5e-4) + len(signs) * (math.log(1 / 100) if one else _RARE)


def _is_letter(sign: str) -> bool:
    return sign.isalpha() or unicodedata.category(sign).startswith("M")


_LANGUAGES: tuple[Model, ...] = (western, chinese, traditional, japanese, korean, cyrillic, other_script)


def any_language(text: str, name: bool) -> float:  # noqa: FBT001 - as Model says
    """Whatever it is; for charsets that hold every script."""
    return max(model(text, name) for model in _LANGUAGES)


def _by(
    known: frozenset[str], share: float, other: float, *, kana: float = 1e-6, half_width: bool = False
) -> Callable[[str], float]:
    """Probability of a sign: one of those known, another of the script, or a kana."""

    def probability(sign: str) -> float:
        if sign in known:
            return share / len(known)
        if "｡" <= sign <= "ﾟ":
            return kana if half_width else 1e-8
        if "぀" <= sign <= "ヿ":
            return kana
        return other if is_ideographic(sign) else 1e-8

    return probability


def _east_asian(text: str, name: bool, first: Callable[[str], float], rest: Callable[[str], float]) -> float:  # noqa: FBT001
    """A text of ideographs or hangul; the first of a name is its surname, and letters hardly ever touch it."""
    return _mixed(text, name) + sum(
        _touching(part, name) + sum(_signs(part, first if at == 0 else rest, rest)) for at, part in _numbered(text)
    )


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    """The parts that hold something beyond ASCII, numbered, so that only the first begins with a surname."""
    beyond = [part for part in _parts(text) if not part.isascii()]
    yield from enumerate(beyond)


def _signs(part: str, first: Callable[[str], float], rest: Callable[[str], float]) -> Iterator[float]:
    begun = False
    for sign in part:
        if sign.isascii() or sign in "·•":
            yield math.log(0.02)
        elif unicodedata.category(sign) in {"Cc", "Co", "Cn"}:
            yield _IMPOSSIBLE
        elif is_ideographic(sign):
            yield math.log(rest(sign) if begun else first(sign))
            begun = True
        else:
            yield _EXOTIC


def _touching(part: str, name: bool) -> float:  # noqa: FBT001 - as Model says
    """Letters or digits beside an ideograph: Latin-1 taken for GBK, whose second byte swallowed a letter."""
    letters = len(re.findall(r"(?<=[A-Za-z])[^\x00-\x7f]|[^\x00-\x7f](?=[A-Za-z])", part))
    digits = len(re.findall(r"(?<=[0-9])[^\x00-\x7f]|[^\x00-\x7f](?=[0-9])", part))
    return letters * math.log(1e-7 if name else 0.05) + digits * math.log(1e-3 if name else 0.2)


def _mixed(text: str, name: bool) -> float:  # noqa: FBT001 - as Model says
    """Words of letters beside ideographs in one group of a name: each group is written in one script (PS3.5 6.2.1)."""
    groups = text.split("=") if name else []
    mixed = [group for group in groups if not group.isascii() and re.search(r"(?<![^\x00-\x7f])[A-Za-z]{2}", group)]
    return len(mixed) * math.log(1e-4)


def _parts(text: str) -> list[str]:
    return [part for part in PARTS.split(text.strip(" \0")) if part]
