"""Chinese names: a surname, one or two characters more, and the words around them that say a person is meant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rung.data.privacy.found import Found, View

_BEFORE = re.compile(
    r"(?:姓名|名字|全名|真名|本名|大名|客户|用户|顾客|买家|卖家|会员|旅客|乘客|住户|业主|租客|租户|房东|患者|病人|病患|家属|家长|学生|同学|老师|教师|医生|护士|律师|"
    r"我是|我叫|本人|名叫|叫做|叫|名为|联系人|收件人|收货人|寄件人|发件人|经办人|负责人|申请人|投保人|被保险人|受益人|持卡人|开户人|户主|户名|账户名|收款人|付款人|"
    r"法定代表人|法人代表|法人|代表人|代理人|委托人|当事人|原告|被告|证人|被害人|嫌疑人|犯罪嫌疑人|上诉人|公证人|担保人|借款人|员工|职员|同事|经理|主任|总监|主管|"
    r"董事长|总经理|局长|处长|科长|院长|校长|教授|博士|先生|女士|小姐|司机|车主|驾驶员|快递员|骑手|师傅|人员|转账给|汇款给|打款给|转给|发给|寄给|送给|交给|告诉|通知|"
    r"丈夫|妻子|老公|老婆|爱人|父亲|母亲|爸爸|妈妈|儿子|女儿|哥哥|弟弟|姐姐|妹妹|孩子|朋友|室友|邻居|监护人|承办人|审批人|签字|签名|签署人|作者|记者|编辑|署名|"
    r"客戶|聯繫人|聯絡人|負責人|醫生|帳戶名|先生、|女士、)(?:的?(?:名字|姓名))?\s?[是为叫]?\s?[:：]?\s?[“「]?$"
)
_AFTER = re.compile(
    r"(?:先生|女士|小姐|同学|老师|医生|护士|律师|教授|经理|主任|总监|博士|师傅|同志|阿姨|叔叔|爷爷|奶奶|大哥|大姐|女仕)"
    r"|[（(](?:身份证|证件|男|女|电话|手机|联系|工号|学号|先生|女士|\d{2}岁)"
    r"|[，,、 ]?(?:性别|身份证|手机号?|电话|联系电话|手机号码|男[，,、；]|女[，,、；]|汉族|出生于|生于)"
    r"|收(?:[，。,.；;\s]|$)|(?:来电|致电|投诉|反映|申请|咨询|签收|表示|先生/女士|您好|你好)"
    r"|(?:认为|指出|透露|告诉|介绍|建议|解释|坦言|回忆|强调|补充|提醒|回应|宣布|说[，：:“])"
)
_POLITE = re.compile(r"先生|女士|小姐")
_HAN = re.compile(r"[\u4e00-\u9fff]")
# What a third character would begin if the name has only two.
_WORDS = re.compile(
    r"来电|来访|来到|致电|昨天|今天|明天|前天|上午|下午|晚上|刚刚|刚才|已经|已|正在|在|的|是|说|和|与|及|或|于|被|把|将|向|从|对|给|让|请|要|想|有|没|不|就|也|都|还|再|又|去|到|住|为|由|先生|女士|小姐|"
    r"认为|指出|透露|告诉|介绍|建议|解释|坦言|回忆|强调|补充|提醒|宣布|昨日|近日|日前|曾|均|则|称|等|获|发自|实习|老师|医生|经理|主任|同学|同志|教授|申请|反映|投诉|咨询|表示|认为|签收|收到|购买|下单|付款|转账|提供|发来|打来|联系|手机|电话|身份|您好|你好|一直|一起|因为|因|所|于是|生于|出生|男|女"
)
# Words that begin with a surname's character: alone, without a cue, they are no names.
_COMMON = re.compile(
    r"高兴|高度|高级|高速|高中|高等|方便|方法|方案|方式|方向|方面|白天|白色|白金|白云|马上|马路|金额|金融|金属|黄金|黄色|安全|安排|安装|安心|常见|常用|常常|常规|程序|程度|成功|成为|成本|成都|时间|时候|时代|周末|周边|周年|周期|周一|周二|周三|"
    r"周四|周五|周六|周日|何时|何况|任何|任务|任意|任职|江苏|江西|江南|温度|温暖|温州|石油|石头|田地|水平|全部|全国|全球|全家|包括|包装|包含|单位|单元|单独|华为|华东|华南|华北|文化|文件|文章|文明|文字|文学|文本|"
    r"明天|明显|明确|万一|万元|许多|许可|余额|余下|于是|应该|应当|应用|应急|关于|关系|关注|关闭|向上|向下|路上|路由|解决|解释|解除|和平|和谐|連接|连接|连续|计划|计算|简单|简直|宁静|宁波|平安|平台|平时|强大|强烈|强调|"
    r"保险|保证|保持|保护|保存|保养|保修|都市|都有|都是|台湾|台北|台风|查询|查看|查找|施工|路线|项目|严重|严格|常州|苏州|广州|郑州|林业|林木|方可|古代|古典|华丽|左右|左边|乐观|宫殿|原因|原来|原则|官方|习惯|商品|商业|商家|商务|"
    r"充值|盛大|成员|成立|成人|贺卡|雷达|雷电|龙头|梅花|兰花|花园|花费|车辆|车主|车站|车牌|车票|房屋|房子|房间|房产|边缘|边界|安卓|全新|全年|支付|支持|国家|国际|东方|南方|西方|北方|银行|银联|米饭|池塘|谷歌|毛病|毛衣|"
    r"夏天|夏季|冷静|冷冻|井盖|花生|景点|景区|景色|管理|管家|管道|路径|向前|游戏|游客|游泳|阳光|阳台|位置|位于|储蓄|党员|党委|燕子|蓝色|蓝牙|练习|封面|封闭|明白|明年|沙发|沙漠|金牌|金卡|石家庄|张家口|马来|马尔|安徽|江门|"
    r"易于|易用|武汉|武器|陆续|陆地|段落|白酒|曲线|曲目|季度|季节|章节|章程|康复|温馨|向导|成绩|成长|童年|童话|欧洲|欧美|甘肃|景德|柏林|解答|强制|华侨|古城|全额|简介|符合|木材|连锁|商城|计入|花卉|应收|应付|和解|任命|金华|唐山|田园|马桶|石材|方形|凌晨|桑拿|桑树|施工|高温|高清|马虎|水果|房客|房东|程序员|金卡|白领|方针|方正|万物|万能|万人|万分|安静|安心|高大|高层|时尚|时而|时刻|时机|易懂|成交|成套|成员|单子|单据|单位|包裹|包邮|曲折|路人|路口|向来|宁可|宁愿|何必|何处|何种|于此|于今|于心|费用|费力|费时|黄页|常年|常务|常识|常理|童装|古老|计时|计费|项链|管用|党政|卫生|卫星|干净|干部|干脆|尤其|沈阳|游玩|高铁|高考|高校|高端|高新|高效"
)
_TITLES = frozenset("总工哥姐叔姨某")
_SMALL = frozenset("在和与及或对给是被让由向跟找请同把将、")
_EDGE = re.compile(r"[\s，。！？；：、,.!?;:\"'“”「」『』（）()\[\]【】<>《》/|·…—\-~～\n]")


@dataclass(frozen=True)
class _Lists:
    compound: tuple[str, ...]
    common: frozenset[str]
    given: frozenset[str]
    pattern: re.Pattern[str]


@cache
def _lists() -> _Lists:
    listed = json.loads(Path(__file__).with_name("chinese_names.json").read_text("utf-8"))
    compound = tuple(listed["compound"].split())
    pattern = re.compile(rf"(?:{'|'.join(compound)}|[{listed['common']}])(?=[\u4e00-\u9fff])")
    return _Lists(compound, frozenset(listed["common"]), frozenset(listed["given"]), pattern)


def find_chinese_names(view: View) -> Iterator[Found]:
    if not view.han:
        return
    lists, text, at = _lists(), view.text, 0
    while hit := lists.pattern.search(text, at):
        found = _name(view, lists, hit)
        if found is None:
            at = hit.start() + 1
        else:
            yield found
            at = found.end


def _name(view: View, lists: _Lists, hit: re.Match[str]) -> Found | None:
    start, text = hit.start(), view.text
    edge = start == 0 or _EDGE.match(text[start - 1]) is not None
    cued = view.before(_BEFORE, start, 14)
    end = _end(text, lists, hit.end())
    if end is None:
        return None
    followed = _AFTER.match(text, end) is not None
    closed = end == len(text) or _EDGE.match(text[end]) is not None
    given = text[hit.end() : end]
    word = _WORDS.match(text, start)
    if word is not None and word.end() - start > 1:
        return None
    typical = all(char in lists.given for char in given)
    listed_word = _COMMON.match(text, start) is not None
    if given[0] in _TITLES or "某" in given or (listed_word and not (cued and typical and closed)):
        return None
    if cued and (closed or followed):
        return view.found(start, end, "person", 0.95 if typical else 0.8)
    if _POLITE.match(text, end) and len(given) == 2:
        return view.found(start, end, "person", 0.8)
    if followed and (edge or typical):
        return view.found(start, end, "person", 0.85 if typical else 0.6)
    if cued and typical:
        return view.found(start, end, "person", 0.75)
    if edge and closed and typical and len(given) == 2:
        return view.found(start, end, "person", 0.6)
    if edge and start in {0, text.rfind("\n", 0, start) + 1} and text[end : end + 1] in {"：", ":"} and typical:
        return view.found(start, end, "person", 0.6)
    # 等到曹鹏飞和蔡朝阳: no cue, but both characters are usual in names, and small words stand around them.
    if typical and len(given) == 2 and (edge or text[start - 1] in _SMALL) and (closed or _WORDS.match(text, end)):
        return view.found(start, end, "person", 0.5)
    return None


def _end(text: str, lists: _Lists, start: int) -> int | None:
    """Where a given name that begins here ends: after two characters, or after one where a word or an edge follows."""
    first, second = text[start : start + 1], text[start + 1 : start + 2]
    word = _WORDS.match(text, start)
    # 郝先生: a surname with a title names too many to be anybody's.
    if (
        not _HAN.match(first)
        or _AFTER.match(text, start)
        or (word and (word.end() > start + 1 or first not in lists.given))
    ):
        return None
    alone = not second or not _HAN.match(second) or _WORDS.match(text, start + 1) or _AFTER.match(text, start + 1)
    if alone:
        return start + 1
    third = text[start + 2 : start + 3]
    ends = not third or not _HAN.match(third) or _AFTER.match(text, start + 2) or _WORDS.match(text, start + 2)
    if second in lists.given or ends:
        return start + 2
    return start + 1
