"""Bytes in requests: `data:` URLs as the other dialects have them, `{format, source: {bytes}}` as Converse has them.

Rule: base64 is checked before it goes upstream; what is not base64 is the client's mistake.
"""

from __future__ import annotations

import binascii
from base64 import b64encode
from urllib.parse import unquote_to_bytes

from archflow_schema.errors import ClientProtocolError

IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
MEDIA_TYPES = {word: media for table in (IMAGES, DOCUMENTS) for media, word in table.items()}
"""Converse's word for a format -> media type."""
_SAME = {"image/jpg": "image/jpeg", "text/x-markdown": "text/markdown", "application/csv": "text/csv"}
AUDIO = frozenset({
    "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm",
})  # fmt: skip


def data_url(media_type: str, data: str) -> str:
    """A `data:` URL of base64."""
    return f"data:{media_type};base64,{data}"


def take_apart(url: str, what: str) -> tuple[str, str]:
    """Media type and base64 of a `data:` URL.

    Raises:
        ClientProtocolError: it is none, it is empty, or its base64 is broken.
    """
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma:
        raise ClientProtocolError(
            f"{what} is a data URL without a comma: write data:<media type>;base64,<data>"
        )
    media_type, _, parameters = head.lower().partition(";")
    if "base64" in parameters.split(";"):
        check_base64(data, what)
    elif not data:
        raise ClientProtocolError(f"{what} is empty")
    else:
        data = b64encode(unquote_to_bytes(data)).decode("ascii")
    return _SAME.get(media_type, media_type), data


def check_base64(data: str, what: str) -> None:
    """Refuse what is not base64.

    Raises:
        ClientProtocolError: it is empty, cut, or has other characters in it.
    """
    try:
        if data and binascii.a2b_base64(data, strict_mode=True):
            return
    except (binascii.Error, ValueError) as error:
        raise ClientProtocolError(f"{what} is not valid base64: {error}") from error
    raise ClientProtocolError(f"{what} is empty")
