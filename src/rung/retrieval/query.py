"""Search words made from questions by rule: the last question of a dialogue, and questions without their courtesies."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rung.core.finding import Helper
from rung.core.found import Wording
from rung.core.task import Example
from rung.text.tokens import search_tokens

_I = re.IGNORECASE
_NAME = r"(?:[ \t]+(?:(?i:there|all|everyone|team|folks|again|sir(?: or madam)?|madam|(?:mr|mrs|ms|dr)\.?[ \t]+[^\W\d]+)|[A-Z][^\W\d]+))*"
_GREETING = re.compile(
    rf"\s*(?:(?i:dear|hi|hello|hey|greetings|good (?:morning|afternoon|evening|day)){_NAME}[ \t]*[,.!:;\n]+"
    r"|(?:您好|你好|大家好|各位好|早上好|下午好|晚上好|尊敬的[^，,！!：:\n]{1,16}|亲爱的[^，,！!：:\n]{1,16})(?:啊|呀|呢)?"
    r"(?:[\s，,。！!：:~～]+|(?=请|我想|想问|麻烦))"
    r"|(?:客服|老师|律师|医生|先生|女士)(?:您好|你好)?[，,！!：:]\s*"
    r"|(?i:i hope (?:this (?:e-?mail|message|note) finds you well|you are (?:doing )?well))[.!,;]*"
    r"|(?i:sorry (?:to bother you|for the (?:trouble|disturbance)))[.!,;]*|(?:打扰(?:一下)?了?|不好意思|冒昧)[，,。！!]\s*)"
)
_LEAD = re.compile(
    r"\s*(?:(?:(?:and|so|also|well)[ ,]+)?(?:(?:could|can|would|will) you(?: please| kindly)?(?: (?:tell|explain to|inform|advise|help) me"
    r"| let me know| explain)|please(?: kindly)?(?: (?:tell|explain to|inform|advise) me| let me know| explain)?"
    r"|i(?: would|'d|\u2019d) (?:like|love) to (?:know|ask|find out|understand)|i(?: a|'|\u2019)m wondering|i was wondering"
    r"|i (?:want|need|wanted) to (?:know|ask|find out|understand)|do you (?:happen to )?know|may i ask|a (?:quick )?question(?=:))"
    r"(?: you)?(?: (?:if|whether|about))?(?=[\s,:])[\s,:]*"
    r"|(?:那么?|另外|还有)?[，,]?(?:(?:请问|想问|求问)(?:一下|下|一个问题|个问题)?[，,：:]?|(?:请教|咨询|询问|问)(?:一下|下|一个问题|个问题)[，,：:]?)\s*"
    r"|(?:我?想|我要|我需要)(?:请教|请问|咨询|询问|了解|知道|问)(?:一下|下)?[，,：:]?\s*"
    r"|(?:麻烦|劳驾|请|能不能|能否|可不可以|可以)(?:您|你)?(?:帮我|帮忙)?(?:告诉|告知|解答|解释|说明|回答)(?:我|给我)?(?:一下|下)?[，,：:]?\s*)",
    _I,
)
_THANKS = re.compile(
    r"(?:^|(?<=[\s.?!,;，。？！；、~～]))\s*(?:(?:many )?thanks?(?: you)?(?: (?:so|very) much| a lot| a million)?"
    r"(?: in advance| for (?:your|the|any) [\w ]{1,40})?|(?:i )?(?:really )?(?:would |'d )?appreciate (?:it|your [\w ]{1,30}|any [\w ]{1,30})"
    r"|(?:i )?look(?:ing)? forward to (?:hearing from you|your (?:reply|answer|response))|please (?:advise|help)|cheers"
    r"|非常感谢|十分感谢|万分感谢|谢谢|多谢|感谢|谢了|麻烦了|麻烦您了|拜托了?|辛苦了|在线等|急急?急?|求助|求解答?|盼复|期待(?:您的)?(?:回复|答复))"
    r"(?:您|你|大家|各位|啦|了|啊)?[\s.!,;，。！；、~～]*\Z",
    _I,
)
_SIGN_OFF = re.compile(
    r"\s*(?:(?:(?:with )?(?:best|kind|warm|kindest|warmest)(?: (?:regards|wishes))?|regards|(?:yours |very )?sincerely(?: yours)?"
    r"|yours (?:truly|faithfully)|cheers|all the best|many thanks|thanks(?: again)?|thank you)[ ,.!]*"
    r"|此致.{0,6}|敬礼.?|顺颂.{2,4}|祝好.?|祝您?.{2,6}[。！!]?)\Z",
    _I,
)
_DEVICE = re.compile(
    r"\s*(?:sent from my [\w ]{2,30}|get outlook for \w+|发自我的.{2,16}|来自.{2,10}的?(?:邮件|客户端).{0,4})[.。]?\Z",
    _I,
)
_LEGAL = re.compile(
    r"\s*(?:this (?:e-?mail|message)(?: and any| is| may| contains?).{0,300}(?:confidential|intended|privileged).*"
    r"|(?:本邮件|此邮件|本信息).{0,200}(?:保密|机密|仅供).*|please consider the environment before printing.*)",
    _I,
)
_QUOTED = re.compile(
    r"\s*(?:>|on .{4,80} wrote:\s*\Z|在.{4,60}写道[：:]?\s*\Z|-{2,}\s*(?:original message|原始邮件))", _I
)
_DASHES = re.compile(r"--\s*\Z")
_SIGNATURE_LINES = 6
"""Lines that a signature has at most: a sign-off further up is no sign-off."""


class LastQuestion:
    """The last question alone, without what was said before it."""

    def make(self, examples: Sequence[Example], helper: Helper) -> list[Wording]:
        return [Wording((example.text,)) for example in examples]


class Cleaned:
    """All that the user has said, each turn cleaned by rule."""

    def make(self, examples: Sequence[Example], helper: Helper) -> list[Wording]:
        return [Wording(("\n".join(clean(text) for text in _said(example)),)) for example in examples]


def _said(example: Example) -> list[str]:
    return [*(turn.text for turn in example.history if turn.role == "user"), example.text]


def clean(text: str) -> str:
    """A question without greeting, politeness, thanks, signature, quoted mail and legal lines, in English and Chinese.

    The rules take away whole phrases at the ends of the text and of its sentences, and nothing in between; a text that would
    be left without a search term stays as it is.
    """
    found = "\n".join(_own_lines(text.strip().splitlines()))
    found = _repeated(_GREETING.match, found)
    while found != (shorter := _THANKS.sub("", found)):
        found = shorter
    found = "\n".join(_repeated(_LEAD.match, line) for line in found.splitlines()).strip()
    return found if search_tokens(found) else text


def _own_lines(lines: Sequence[str]) -> list[str]:
    """What the writer has written in this message, without signature."""
    kept: list[str] = []
    for number, line in enumerate(lines):
        if _DASHES.match(line) or (re.match(r"\s*-{2,}\s*(?:original message|原始邮件)", line, _I) and kept):
            break
        ends = len(lines) - number <= _SIGNATURE_LINES
        if kept and ends and _SIGN_OFF.match(line):
            break
        if not (_QUOTED.match(line) or _DEVICE.match(line) or _LEGAL.match(line)):
            kept.append(line)
    return kept


def _repeated(match: Callable[[str], re.Match[str] | None], text: str) -> str:
    """A text without what is matched at its beginning, again and again."""
    while True:
        found = match(text)
        if not found or not found.end():
            return text
        text = text[found.end() :]
