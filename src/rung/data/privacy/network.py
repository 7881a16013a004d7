"""Traces on a network: e-mail addresses, IP addresses, links, and links that hold a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from rung.data.privacy.found import Found, View

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+@-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![A-Za-z0-9@-])"
)
_URL = re.compile(
    r"(?:https?|ftp|wss?)://[^\s<>\"'，。；、）】》」\u4e00-\u9fff]+|(?<![A-Za-z0-9@./-])www\.(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}(?:/[^\s<>\"'，。；、）】》」\u4e00-\u9fff]*)?",
    re.IGNORECASE,
)
_DOMAIN = re.compile(
    r"(?<![A-Za-z0-9@./_-])(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+(?:com|net|org|edu|gov|info|biz|io|cn|uk|de|fr|jp|hk|tw|us|eu)(?![A-Za-z0-9@_-]|\.[A-Za-z])"
)
_SECRET = re.compile(
    r"//[^/?#\s@]+:[^/?#\s@]+@|[?&#](?:[\w-]*token|api_?key|key|secret|password|passwd|pwd|sig|signature|auth|session(?:id)?|sid|code|openid|ticket|credential)=[^&\s]{6,}",
    re.IGNORECASE,
)
_IPV4 = re.compile(
    r"(?<![0-9A-Za-z.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![0-9A-Za-z]|\.\d)", re.ASCII
)
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])")
_RELEASE = re.compile(r"(?:版本|固件|\bversion|\bver\.?|\brelease|\bv|§|section|第)\s?[:：]?\s?v?$", re.IGNORECASE)
# Addresses that nobody is behind: this machine, masks and examples (RFC 1122, 5737, 3849).
_NOBODY = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "::/127",
        "2001:db8::/32",
    )
)
_TRAILING = ".,;:!?)]}"


def find_network(view: View) -> Iterator[Found]:
    text = view.text
    if "@" in text:
        for hit in _EMAIL.finditer(text):
            # .invalid belongs to nobody (RFC 2606).
            if not hit.group().lower().endswith(".invalid") and ".." not in hit.group():
                yield view.found(*hit.span(), "email", 0.99)
    if "." in text and view.letters:
        yield from _links(view)
    if view.digits and text.count(".") > 2:
        for hit in _IPV4.finditer(text):
            if not view.before(_RELEASE, hit.start(), 12):
                yield from _address(view, hit)
    if text.count(":") > 1:
        for hit in _IPV6.finditer(text):
            if sum(map(bool, hit.group().split(":"))) > 2:
                yield from _address(view, hit)


def _links(view: View) -> Iterator[Found]:
    ends = 0
    for hit in _URL.finditer(view.text):
        end = hit.start() + len(hit.group().rstrip(_TRAILING))
        if ".invalid" in hit.group():
            continue
        secret = _SECRET.search(view.text, hit.start(), end) is not None
        yield view.found(hit.start(), end, "private_url" if secret else "url", 0.95)
        ends = end
    for hit in _DOMAIN.finditer(view.text, ends):
        yield view.found(*hit.span(), "url", 0.8)


def _address(view: View, hit: re.Match[str]) -> Iterator[Found]:
    try:
        address = ip_address(hit.group())
    except ValueError:
        return
    if not any(address.version == block.version and address in block for block in _NOBODY):
        yield view.found(*hit.span(), "ip", 0.8 if address.is_private else 0.95)
