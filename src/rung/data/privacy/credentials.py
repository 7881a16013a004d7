"""Secrets in texts: API keys, tokens, passwords and private keys."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rung.data.privacy.found import Found, View

_PRIVATE = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_JWT = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")
# How well-known services begin their keys: OpenAI and others, AWS, GitHub, GitLab, Slack, Google, Hugging Face, Stripe, npm,
# PyPI, SendGrid, Aliyun, Tencent Cloud.
_KEY = re.compile(
    r"(?<![A-Za-z0-9_-])(?:sk-[A-Za-z0-9_-]{20,}|(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{30,}|glpat-[\w-]{20,}|"
    r"xox[abeprs]-[A-Za-z0-9-]{10,}|AIza[\w-]{35}|hf_[A-Za-z0-9]{30,}|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|npm_[A-Za-z0-9]{36}|"
    r"pypi-[\w-]{40,}|SG\.[\w-]{16,}\.[\w-]{16,}|LTAI[A-Za-z0-9]{12,20}|AKID[A-Za-z0-9]{13,40})(?![A-Za-z0-9_-])",
    re.ASCII,
)
_NAMED = re.compile(
    r"(?:api[_ -]?key|access[_ -]?key(?:[_ -]?(?:id|secret))?|secret(?:[_ -]?key)?|client[_ -]?secret|(?:access|auth|refresh|bearer|session)[_ -]?token|"
    r"\btoken|authorization|密钥|秘钥|令牌)[\"']?\s?(?:[:=：]|是|为|\bis\b)\s?(?:bearer )?[\"']?(?P<value>[A-Za-z0-9_\-./+=]{16,})",
    re.IGNORECASE | re.ASCII,
)
_BEARER = re.compile(r"\bbearer (?P<value>[A-Za-z0-9_\-./+=]{16,})", re.IGNORECASE | re.ASCII)
_PASSWORD = re.compile(
    r"(?:pass(?:word|wd|phrase|code)|\bpwd|\bpin(?: code)?|密码|口令|密碼)[\"']?(?P<mark>\s?[:=：]\s?|\s?(?:是|为|改成|改为|设为)[:：]?\s?|\s(?:is|to)\s)"
    r"[\"'“]?(?P<value>[!-~]{4,64})",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"[*xX.•_-]+|<.*|\$\{?.*|\{\{?.*|%.*|\[.*|null|none|true|false|undefined|your.*", re.IGNORECASE
)


def find_credentials(view: View) -> Iterator[Found]:
    if not view.letters and not view.han:
        return
    text = view.text
    if "-----BEGIN" in text:
        for hit in _PRIVATE.finditer(text):
            yield view.found(*hit.span(), "private_key", 1.0)
    if "eyJ" in text:
        for hit in _JWT.finditer(text):
            yield view.found(*hit.span(), "jwt", 0.99)
    if len(text) > 15:
        for hit in _KEY.finditer(text):
            if _mixed(hit.group()):
                yield view.found(*hit.span(), "api_key", 0.98)
        named = view.has("key", "secret", "token", "authorization", "bearer", "密钥", "秘钥", "令牌")
        for pattern in (_NAMED, _BEARER) if named else ():
            for hit in pattern.finditer(text):
                value = hit["value"].rstrip(".")
                if _mixed(value):
                    start = hit.start("value")
                    yield view.found(start, start + len(value), "api_key", 0.9)
    if not view.has("pass", "pwd", "pin", "密码", "口令", "密碼"):
        return
    for hit in _PASSWORD.finditer(text):
        value = hit["value"].rstrip("\"'”,.;)")
        if (
            len(value) > 3
            and not _PLACEHOLDER.fullmatch(value)
            and _secret(value, stated=not hit["mark"].strip().isalpha())
        ):
            start = hit.start("value")
            yield view.found(start, start + len(value), "password", 0.85)


def _mixed(value: str) -> bool:
    """Letters and digits both: a word or a number alone is no key."""
    return any(char.isdigit() for char in value) and any(char.isalpha() for char in value)


def _secret(value: str, *, stated: bool) -> bool:
    """Whether a word after "password" is one: of two classes of characters, or digits alone where a mark states it.

    "password: required" and "the password is wrong" go through, and with them passwords that are plain words.
    """
    classes = (str.islower, str.isupper, str.isdigit, lambda char: not char.isalnum())
    used = sum(any(test(char) for char in value) for test in classes)
    return (value.isdigit() and (stated or len(value) < 9)) or (
        used > 1 and not (value[1:].islower() and value.isalpha())
    )
