"""Chinese addresses, put together from their parts: 省市区县, 镇乡村, 路街道巷, 号, 栋单元层室."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rung.data.privacy.found import Found, View

_H = r"[\u4e00-\u9fff]"
_COUNT = r"[0-9A-Za-z一二三四五六七八九十百甲乙丙丁東西南北东]"
_PART = re.compile(
    # A number with what it counts: 801号, 7栋, 4单元, 2706室, 12-3号; a name may stand before the first one.
    rf"(?P<unit>(?:{_COUNT}{{1,6}}(?:[-—~]{_COUNT}{{1,5}}){{0,2}})(?:号楼|号院|號樓|号|號|栋|棟|幢|座|单元|單元|层|層|楼|樓|塔|室|户|戶|房(?!地)|弄|門牌)(?:[A-Za-z]?座)?|之[0-9一二三四五六七八九十])"
    rf"|(?P<area>{_H}{{1,8}}?(?:自治区|自治州|自治县|自治旗|开发区|高新区|新区|省|市|区|區|县|縣|州|盟|旗))"
    rf"|(?P<road>{_H}{{1,8}}?(?:大道|大街|胡同|路|街(?!道办|坊)|巷|道|段|弄|环线|东里|西里|南里|北里)(?:[东南西北中]?[一二三四五六七八九十0-9]{{1,2}}段|[东南西北中]段)?)"
    rf"|(?P<place>{_H}{{1,10}}?(?:街道|镇|鎮|乡|鄉|苏木|社区|村|屯|庄|小区|花园|家园|公寓|大厦|大樓|大楼|广场|新村|宿舍|苑|城|园|里|府|庭|湾|组))"
)
_LIKELY = re.compile(r"[0-9一二三四五六七八九十甲乙A-Za-z](?:号|號|栋|棟|幢|座|单元|室|弄|楼|樓|户|组)")
_JOINS = frozenset(["", " ", ",", "，", "、", "-"])
# What comes before an address in the same breath, and no part of one.
_LEAD = re.compile(
    r".*(?:地址|住址|住所|居住|现住|现居|暂住|家住|住在|户籍|籍贯|出生地|所在地|位于|坐落|来自|寄到|寄往|寄至|送到|送至|送往|发到|发往|发货|搬到|搬至|改为|改成|"
    r"行驶|开到|抵达|前往|途经|就在|是在|在|至|到|往|去|是|为|于|从|住|与|和|及|的|了|我|你|他|她|家|们|经|位)"
)
_NO_ROAD = re.compile(
    r"(?:高速公|铁|网|道|马|线|套|思|出|上|下|半|一|走|问|迷|报|知|味|频|渠|通|街)(?:路|道)$|.*(?:高速|频道|知道|报道|通道|管道|渠道|味道|道道)$"
)
_CUE = re.compile(r"地址|住址|家住|住在|住所|户籍|收货|寄到|送到|位于|[Aa]ddress")


@cache
def _start() -> re.Pattern[str]:
    """Where an address may begin within a first part: at a province, else at a city."""
    listed = json.loads(Path(__file__).with_name("regions.json").read_text("utf-8"))
    names = "|".join(f"{listed['provinces']} {listed['cities']}".split())
    return re.compile(rf"(?:{names})(?=[省市]|维吾尔|壮族|回族|自治区|特别|{_H}|$)")


@dataclass
class _Chain:
    """Parts that follow each other without a gap."""

    start: int
    end: int
    areas: int = 0
    roads: int = 0
    places: int = 0
    units: int = 0
    known: bool = False

    def add(self, hit: re.Match[str]) -> None:
        self.end = hit.end()
        self.areas += hit["area"] is not None
        self.roads += hit["road"] is not None
        self.places += hit["place"] is not None
        self.units += hit["unit"] is not None


def find_chinese_addresses(view: View) -> Iterator[Found]:
    if not view.han or not (_LIKELY.search(view.text) or _CUE.search(view.text)):
        return
    for chain in _chains(view.text):
        sure = _sure(view, chain)
        if sure:
            yield view.found(chain.start, chain.end, "address", sure)


def _chains(text: str) -> Iterator[_Chain]:
    chain: _Chain | None = None
    at = 0
    while hit := _PART.search(text, at):
        at = hit.end()
        goes_on = chain is not None and text[chain.end : hit.start()] in _JOINS and _fits(chain, hit)
        if chain is not None and goes_on:
            chain.add(hit)
            continue
        if chain is not None:
            yield chain
        chain = _begin(hit)
    if chain is not None:
        yield chain


def _fits(chain: _Chain, hit: re.Match[str]) -> bool:
    """A second area or road after a house number begins another address; so does a part with a word of speech in it."""
    if hit["unit"] is not None:
        return True
    if chain.units and hit["place"] is None:
        return False
    return not _LEAD.match(hit.group()[:-1]) or _start().match(hit.group()) is not None


def _begin(hit: re.Match[str]) -> _Chain:
    first = hit.group()
    start, known = hit.start(), False
    if hit["unit"] is None:
        named = list(_start().finditer(first))
        if named:
            start, known = hit.start() + named[0].start(), True
        elif lead := _LEAD.match(first[:-1]):
            start += lead.end()
    chain = _Chain(start, hit.end(), known=known)
    chain.add(hit)
    # A road that begins and ends within its last character is none: "到路".
    if hit["road"] is not None and (hit.end() - start < 2 or _NO_ROAD.match(hit.string[start : hit.end()])):
        chain.roads = 0
    return chain


def _sure(view: View, chain: _Chain) -> float:
    """How much speaks for an address: a house number with a road, a village or two areas before it."""
    text = view.text[chain.start : chain.end]
    if "某" in text:
        return 0.0
    cued = view.before(_CUE, chain.start, 8)
    named = chain.areas + chain.roads + chain.places
    if chain.units and (chain.roads or chain.places) and (chain.areas or chain.known):
        return 0.95
    if chain.units and chain.roads and (chain.units > 1 or text.endswith(("号", "號", "室", "弄"))):
        return 0.8 if cued else 0.7
    if chain.units and chain.places and (chain.units > 1 or cued):
        return 0.7
    if cued and (named > 2 or (chain.known and named > 1)):
        return 0.6
    return 0.0
