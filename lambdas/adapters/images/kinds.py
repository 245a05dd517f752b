"""Identifies files by their first bytes: no decoder runs, and no name or label is trusted."""

from __future__ import annotations

import re
from typing import Final

PNG_START: Final = b"\x89PNG\r\n\x1a\n"
JPEG_START: Final = b"\xff\xd8"

# The brands of ISO media files, given after `ftyp`.
_BRANDS: Final = (
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), "HEIC"),
    ((b"avif", b"avis"), "AVIF"),
    ((b"crx ",), "a camera's raw file"),
    ((b"jxl ",), "JPEG XL"),
    ((b"jp2 ", b"jpx ", b"jpm ", b"mjp2"), "JPEG 2000"),
    ((b"qt  ",), "a QuickTime film"),
)
_ANY: Final = (b"mif1", b"msf1", b"miaf")
_STARTS: Final = (
    (b"GIF8", "GIF"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"8BPS", "a Photoshop file"),
    (b"II*\0\x10\0\0\0CR", "a camera's raw file"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"IIU\0", "a camera's raw file"),
    (b"IIRO", "a camera's raw file"),
    (b"IIRS", "a camera's raw file"),
    (b"MMOR", "a camera's raw file"),
    (b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (b"FOVb", "a camera's raw file"),
    (b"\0MRM", "a camera's raw file"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\x01\0", "ICO"),
    (b"\0\0\x02\0", "CUR"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"gimp xcf", "a GIMP file"),
    (b"icns", "ICNS"),
    (b"\x8aMNG", "MNG"),
    (b"\x8bJNG", "JNG"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM film"),
    (b"OggS", "an Ogg file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
)
_BITMAP: Final = re.compile(rb"BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL)
_NETPBM: Final = re.compile(rb"P[1-7]\s")
_SVG: Final = re.compile(
    rb"\s*(?:<\?xml.{0,1000}?\?>|<!--.{0,4000}?-->|<!DOCTYPE.{0,1000}?>|\s){0,20}<svg[\s>]", re.I | re.S
)
_HTML: Final = re.compile(rb"\s*(?:<!--.{0,1000}?-->|\s){0,20}<(?:!doctype html|html|head|body)\b", re.I | re.S)
_XML: Final = re.compile(rb"\s*<\?xml\s", re.I)
_TEXT: Final = re.compile(rb"[\t\n\r\x20-\x7e]*")


def kind_of(data: bytes) -> str | None:
    """Return `png`, `jpeg` or `webp` by the first bytes, even if the rest is broken; `None` for other kinds."""
    if data.startswith(b"\x89PNG"):
        return "png"
    if data.startswith(JPEG_START):
        return "jpeg"
    return "webp" if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else None


def named(data: bytes) -> str | None:
    """Return the name of another kind of file; `None` if it is not known."""
    head = data[:16_384].removeprefix(b"\xef\xbb\xbf")
    if head[4:8] == b"ftyp":
        size = min(64, int.from_bytes(head[:4], "big"))
        claimed = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
        if claimed[0] in _ANY:  # the brand of a family; the other brands name the member
            claimed.sort(key=lambda brand: brand in _ANY)
        return next((name for brand in claimed for brands, name in _BRANDS if brand in brands), "an MP4 film")
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if _BITMAP.match(head):
        return "BMP"
    if head.startswith(b"RIFF") and len(head) >= 12:
        return {b"AVI ": "an AVI film", b"WAVE": "a WAV sound"}.get(head[8:12], "another RIFF file")
    if _NETPBM.match(head):
        return "Netpbm"
    if _SVG.match(head):
        return "SVG"
    return "HTML" if _HTML.match(head) else "XML" if _XML.match(head) else None


def is_cut_or_text(data: bytes) -> bool:
    """Return whether the data is empty, a bare beginning of one of the three kinds, or plain text."""
    begun = any(start.startswith(data) for start in (PNG_START, JPEG_START))
    return begun or (b"RIFF".startswith(data[:4]) and len(data) < 12) or _TEXT.fullmatch(data[:4096]) is not None
