"""ICC profiles written by hand, and their colours by arithmetic without a colour library."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# x and y of red, green, blue; all under the white of D65.
P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
SRGB = ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06))
BT2020 = ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046))
D65 = (0.3127, 0.329)
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def _xyz(x: float, y: float) -> Array:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def matrix(primaries: Any) -> Array:
    """Linear colours to XYZ under D65."""
    columns = np.stack([_xyz(*point) for point in primaries], axis=1)
    return np.asarray(columns * np.linalg.solve(columns, _xyz(*D65)))


def encoded(linear: Array) -> Array:
    """Linear light as the numbers of sRGB, 0 to 255."""
    linear = np.clip(linear, 0, 1)
    return np.asarray(255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def linear_srgb(levels: Array) -> Array:
    x = np.asarray(levels, float) / 255
    return np.asarray(np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4))


def meant(levels: Any, primaries: Any, gamma: float | None) -> Array:
    """Numbers of a space as those of sRGB; a gamma of `None` is sRGB's own curve."""
    x = np.asarray(levels, float) / 255
    linear = linear_srgb(levels) if gamma is None else x**gamma
    return encoded(np.linalg.inv(matrix(SRGB)) @ matrix(primaries) @ linear)


def _profile(space: bytes, kind: bytes, pcs: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    at, table, data = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, sent in tags:
        body = sent.ljust(-(-len(sent) // 4) * 4, b"\0")
        table += struct.pack(">4sII", name, at + len(data), len(body))
        data += body
    head = struct.pack(">I4xI", at + len(data), 0x02400000) + kind + space + pcs
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(_D50)
    return head.ljust(128, b"\0") + table + data


def _fixed(values: Any) -> bytes:
    return b"".join(struct.pack(">i", round(65536 * float(value))) for value in values)


def _curve(gamma: float | None) -> bytes:
    points = np.linspace(0, 255, 1024)
    levels = linear_srgb(points) if gamma is None else (points / 255) ** gamma
    return struct.pack(">4sII1024H", b"curv", 0, 1024, *(int(n) for n in np.round(65535 * levels)))


def rgb(primaries: Any, gamma: float | None) -> bytes:
    """A display."""
    seen = _BRADFORD @ _xyz(*D65)
    to_d50 = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / seen) @ _BRADFORD
    columns = (to_d50 @ matrix(primaries)).T
    tags = [
        (name, b"XYZ \0\0\0\0" + _fixed(xyz)) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
    ]
    tags += [(name, _curve(gamma)) for name in (b"rTRC", b"gTRC", b"bTRC")]
    return _profile(b"RGB ", b"mntr", b"XYZ ", [*tags, (b"wtpt", b"XYZ \0\0\0\0" + _fixed(_D50))])


def grey(gamma: float) -> bytes:
    return _profile(b"GRAY", b"mntr", b"XYZ ", [(b"kTRC", _curve(gamma)), (b"wtpt", b"XYZ \0\0\0\0" + _fixed(_D50))])


def cmyk(lightness: float = 50.0) -> bytes:
    """A press whose every ink prints neutral grey: paper is white, one full ink of that L*, more of them black."""
    table = b""
    for inks in range(16):
        level = 100.0 if inks == 0 else lightness if inks.bit_count() == 1 else 0.0
        table += bytes((round(level * 2.55), 128, 128))
    straight = bytes(range(256))
    body = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + _fixed([1, 0, 0, 0, 1, 0, 0, 0, 1])
    body += straight * 4 + table + straight * 3
    return _profile(
        b"CMYK", b"prtr", b"Lab ", [(b"A2B0", body), (b"A2B1", body), (b"wtpt", b"XYZ \0\0\0\0" + _fixed(_D50))]
    )
