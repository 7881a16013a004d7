"""Mails (EML and Outlook's MSG): who wrote to whom and when, the text, and the names of what is attached."""

from __future__ import annotations

import email
import email.errors
import email.header
import email.policy
import io
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

from rung.data.parsing.blocks import Block, Parsed, Remark
from rung.data.parsing.html import fragment_blocks
from rung.data.parsing.refusal import Unreadable
from rung.data.parsing.text_bytes import declared_encoding, decode

_HEADERS = ("From", "To", "Cc", "Date")
_SHORT = 20
_MAX_NAMES = 20


def parse_eml(raw: bytes) -> Parsed:
    """The plain text of a mail, or its HTML where there is no other. Raises Unreadable E2321, E2329 for a mail without
    headers and text."""
    try:
        message = email.message_from_bytes(raw, policy=email.policy.default)
    except (ValueError, LookupError, RecursionError) as error:
        raise Unreadable("E2321", detail="EML") from error
    remarks: list[Remark] = []
    fields = {name: _header(message, name) for name in _HEADERS}
    plain: list[Block] = []
    rich: list[Block] = []
    names: list[str] = []
    for part in message.walk():
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        name = _file_name(part)
        if part.get_content_disposition() == "attachment" or (name and kind not in ("text/plain", "text/html")):
            names.append(name or kind)
        elif kind in ("text/plain", "text/html"):
            text, told = _part_text(part)
            remarks += told
            if kind == "text/plain":
                plain += [Block("paragraph", piece.strip("\n")) for piece in text.split("\n\n") if piece.strip()]
            else:
                rich += fragment_blocks(text)
        elif not kind.startswith("image/"):
            names.append(name or kind)
    body = plain if sum(len(block.text) for block in plain) >= _SHORT or not rich else rich
    return _parsed(_header(message, "Subject"), fields, body, names, remarks, {"format": "eml"})


def parse_msg(raw: bytes) -> Parsed:
    """As `parse_eml`, for a message that Outlook has saved."""
    from oxmsg import Message

    try:
        message = Message.load(io.BytesIO(raw))
        sent = message.sent_date
        fields = {
            "From": _words(message.sender or ""),
            "To": "; ".join(filter(None, (_address(person) for person in message.recipients))),
            "Cc": "",
            "Date": sent.isoformat(" ", "seconds") if sent else message.message_headers.get("Date", ""),
        }
        names = [attachment.file_name or "?" for attachment in message.attachments]
        plain, rich, subject = message.body or "", message.html_body or "", message.subject or ""
    except Exception as error:
        # The reader raises whatever a damaged property makes it stumble over.
        raise Unreadable("E2321", detail=f"MSG: {type(error).__name__}") from error
    text = plain.replace("\r\n", "\n").replace("\r", "\n")
    body = [Block("paragraph", piece.strip("\n")) for piece in text.split("\n\n") if piece.strip()] or fragment_blocks(
        rich
    )
    return _parsed(subject, fields, body, names, [], {"format": "msg"})


def _parsed(
    subject: str,
    fields: dict[str, str],
    body: Sequence[Block],
    names: Sequence[str],
    remarks: list[Remark],
    meta: dict[str, str],
) -> Parsed:
    head = "\n".join(f"{name}: {value}" for name, value in fields.items() if value)
    blocks = [Block("heading", subject, 1)] if subject else []
    blocks += [Block("paragraph", head)] if head else []
    blocks += body
    if not blocks:
        raise Unreadable("E2329")
    if names:
        blocks.append(Block("note", "Attachments: " + ", ".join(names[:_MAX_NAMES])))
        remarks = [*remarks, Remark("E2345", {"count": len(names), "names": ", ".join(names[:_MAX_NAMES])})]
    facts = {"author": fields["From"], "date": fields["Date"]}
    return Parsed(
        subject, tuple(blocks), tuple(remarks), meta | {name: value for name, value in facts.items() if value}
    )


def _header(message: EmailMessage, name: str) -> str:
    """A header's decoded words on one line."""
    try:
        value = message.get(name, "")
    except (ValueError, IndexError, AttributeError):
        # Broken addresses make the strict reader of the standard library fail.
        return ""
    # Bytes that no declaration explains come out as surrogates.
    text = str(value).encode("utf-8", "surrogateescape")
    try:
        return " ".join(text.decode("utf-8").split())
    except UnicodeDecodeError:
        return " ".join(decode(text).text.split())


def _words(text: str) -> str:
    """Encoded words of a header in plain text."""
    try:
        return str(email.header.make_header(email.header.decode_header(text)))
    except (ValueError, LookupError, email.errors.HeaderParseError):
        return text


def _file_name(part: Any) -> str:
    try:
        return " ".join((part.get_filename() or "").split())
    except (ValueError, LookupError):
        return ""


def _part_text(part: Any) -> tuple[str, tuple[Remark, ...]]:
    data = part.get_payload(decode=True) or b""
    if not data.strip():
        return "", ()
    decoded = decode(
        data, part.get_content_charset() or (declared_encoding(data) if part.get_content_subtype() == "html" else "")
    )
    return decoded.text, decoded.remarks


def _address(person: Any) -> str:
    name, address = person.name or "", person.email_address or ""
    return f"{name} <{address}>" if name and address and name != address else name or address
