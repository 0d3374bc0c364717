"""Pictures, sounds and documents: Google's `inlineData` and `fileData` <-> the parts of a conversation.

Rule: what a file is, is told by its media type; an address that says none is guessed by its ending, as
Vertex AI takes no file without one.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import urlsplit

from archflow_plugins.dialects.gemini.wire import Blob, FileData
from archflow_schema.conversation import AudioPart, DocumentPart, ImagePart, Part, TextPart
from archflow_schema.errors import ClientProtocolError

ORIGIN = "gemini"
_ENDINGS = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif",
    "heic": "image/heic", "heif": "image/heif", "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown",
    "csv": "text/csv", "html": "text/html", "htm": "text/html", "json": "application/json", "xml": "text/xml",
    "mp3": "audio/mp3", "wav": "audio/wav", "mp4": "video/mp4", "mov": "video/mov", "webm": "video/webm",
}  # fmt: skip
_SOUNDS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-flac": "flac", "x-m4a": "m4a"}
"""Subtypes of audio/ -> the format's usual name."""
_STORES = ("gs://", "files/", "https://generativelanguage.googleapis.com/")
"""How the addresses begin that only Google knows."""
Wire = dict[str, dict[str, str]]
"""A part as it goes out."""


def blob_part(blob: Blob) -> Part | None:
    """A part for bytes in the request; None for what no other dialect knows, such as a film."""
    kind, data = (blob.mime_type or "").lower(), _usual(blob.data or "")
    family, _, subtype = kind.partition("/")
    if family == "image":
        return ImagePart(f"data:{kind};base64,{data}")
    if family == "audio":
        subtype = subtype.partition(";")[0]
        return AudioPart(data, _SOUNDS.get(subtype, subtype))
    if kind.partition(";")[0] == "text/plain":
        return DocumentPart(text=_text(data), media_type="text/plain", name=blob.display_name or "")
    if family in {"text", "application"}:
        return DocumentPart(url=f"data:{kind};base64,{data}", media_type=kind, name=blob.display_name or "")
    return None


def file_part(file: FileData) -> Part | None:
    """A part for a file elsewhere; None for what no other dialect knows."""
    uri = file.file_uri or ""
    kind = (file.mime_type or _guessed(uri)).lower()
    name = file.display_name or ""
    if kind.startswith("video/") or "youtu" in uri[:30]:
        return None
    if uri.startswith(_STORES):
        return DocumentPart(file_id=uri, media_type=kind, name=name, origin=ORIGIN)
    if kind.startswith("image/"):
        return ImagePart(uri)
    return None if kind.startswith("audio/") else DocumentPart(url=uri, media_type=kind, name=name)


def image(part: ImagePart) -> Wire:
    """A picture as it goes out."""
    return _address(part.url, "image/jpeg")


def audio(part: AudioPart) -> Wire:
    """A sound as it goes out."""
    return {"inlineData": {"mimeType": f"audio/{part.format or 'wav'}", "data": part.data}}


def document(part: DocumentPart) -> Wire:
    """A document as it goes out; one with a `file_id` is one of Google's."""
    if part.file_id:
        found = {"fileUri": part.file_id}
        return {"fileData": {"mimeType": part.media_type, **found} if part.media_type else found}
    if part.text:
        data = base64.b64encode(part.text.encode()).decode("ascii")
        return {"inlineData": {"mimeType": "text/plain", "data": data}}
    return _address(part.url, part.media_type or "application/pdf")


def words(part: DocumentPart) -> TextPart | None:
    """What is said about a document, which has no place of its own beside it."""
    said = "\n".join(word for word in (part.name, part.context) if word)
    return TextPart(said) if said else None


def _address(url: str, otherwise: str) -> Wire:
    if url.startswith("data:"):
        head, comma, data = url[5:].partition(",")
        if not comma or not head.endswith(";base64"):
            raise ClientProtocolError(
                "a data: URL must hold its media type and base64: data:image/png;base64,..."
            )
        return {"inlineData": {"mimeType": head.removesuffix(";base64") or otherwise, "data": data}}
    return {"fileData": {"mimeType": _guessed(url) or otherwise, "fileUri": url}}


def _guessed(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return _ENDINGS.get(path.rpartition(".")[2].lower(), "")


def _usual(data: str) -> str:
    """Base64 in the alphabet that others take, and padded; Google's own client writes the one for addresses."""
    return data.replace("-", "+").replace("_", "/") + "=" * (-len(data) % 4)


def _text(data: str) -> str:
    try:
        return base64.b64decode(data, validate=False).decode("utf-8", "replace")
    except (binascii.Error, ValueError) as error:
        raise ClientProtocolError("`inlineData.data` is not base64") from error
