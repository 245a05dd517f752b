"""Builds an ICC profile from the numeric colour information of a PNG: gAMA and cHRM, or the code points of cICP."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from lambdas.adapters.images.outline import Colours

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]

# x and y of white, red, green, blue, as in cHRM.
_SRGB: Final = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_PRIMARIES: Final = {  # by the code points of ITU-T H.273
    1: _SRGB,
    4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.329, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
_NEAR_SRGB: Final = (0.4319, 0.4774)  # a gamma within 5 % of 1/2.2 means sRGB, as in libpng
_D50: Final = (0.9642, 1.0, 0.8249)
_BRADFORD: Final = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_POINTS: Final = 1024
_PAPER: Final = 203.0  # candelas per square metre of white without highlights, by ITU-R BT.2408


def written(colours: Colours) -> bytes | None:
    """Build a profile; `None` if the colours are sRGB, `b""` if they are unknown."""
    if colours.code is not None:
        primaries, transfer, full = colours.code
        chroma, curve = _PRIMARIES.get(primaries), _TRANSFERS.get(transfer)
        if chroma is None or curve is None:
            return b""
        if chroma == _SRGB and transfer == 13 and full:
            return None
        return _profile(chroma, curve if full else lambda x: curve(min(1.0, max(0.0, (255 * x - 16) / 219))))
    if colours.gamma is None and colours.chroma is None:
        return None
    gamma = colours.gamma
    near = gamma is None or _NEAR_SRGB[0] <= gamma <= _NEAR_SRGB[1]
    if near and colours.chroma is None:
        return None
    return _profile(colours.chroma or _SRGB, _srgb if near or gamma is None else lambda x: float(x ** (1 / gamma)))


def _profile(chroma: tuple[float, ...], curve: Callable[[float], float]) -> bytes:
    """Build a display's profile of three colours and one curve; `b""` if the colours form no colour space."""
    try:
        columns = tuple(zip(*_to_d50(chroma), strict=True))
        tags = [
            (name, b"XYZ \0\0\0\0" + _fixed(*xyz))
            for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
        ]
        levels = [round(65535 * min(1.0, max(0.0, curve(n / (_POINTS - 1))))) for n in range(_POINTS)]
    except (ZeroDivisionError, OverflowError, struct.error):
        return b""
    bent = struct.pack(f">4sII{_POINTS}H", b"curv", 0, _POINTS, *levels)
    tags += [(b"wtpt", b"XYZ \0\0\0\0" + _fixed(*_D50))]
    at = 128 + 4 + 12 * (len(tags) + 3)
    table, data = struct.pack(">I", len(tags) + 3), b""
    for name, body in tags:
        table += struct.pack(">4sII", name, at + len(data), len(body))
        data += body
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        table += struct.pack(">4sII", name, at + len(data), len(bent))
    whole = table + data + bent
    date = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    head = struct.pack(">I4xI", 128 + len(whole), 0x02400000) + b"mntrRGB XYZ " + date + b"acsp" + bytes(28)
    return (head + _fixed(*_D50)).ljust(128, b"\0") + whole


def _to_d50(chroma: tuple[float, ...]) -> Matrix:
    """Return the matrix from linear red, green and blue to XYZ under D50, the illuminant of profiles."""
    white, *corners = ((x / y, 1.0, (1 - x - y) / y) for x, y in zip(chroma[::2], chroma[1::2], strict=True))
    colours = _turned((corners[0], corners[1], corners[2]))
    amounts = _times(_inverse(colours), white)
    linear = _rows([[colours[row][n] * amounts[n] for n in range(3)] for row in range(3)])
    seen, meant = _times(_BRADFORD, white), _times(_BRADFORD, _D50)
    scaled = _rows([[_BRADFORD[row][n] * meant[row] / seen[row] for n in range(3)] for row in range(3)])
    return _product(_product(_inverse(_BRADFORD), scaled), linear)


def _rows(values: list[list[float]]) -> Matrix:
    first, second, third = ((row[0], row[1], row[2]) for row in values)
    return first, second, third


def _turned(m: Matrix) -> Matrix:
    return _rows([[m[n][row] for n in range(3)] for row in range(3)])


def _times(m: Matrix, v: Vector) -> Vector:
    first, second, third = (sum(a * b for a, b in zip(row, v, strict=True)) for row in m)
    return first, second, third


def _product(a: Matrix, b: Matrix) -> Matrix:
    return _turned(_rows([list(_times(a, column)) for column in _turned(b)]))


def _inverse(m: Matrix) -> Matrix:
    """Invert a matrix. Raises ZeroDivisionError."""
    (a, b, c), (d, e, f), (g, h, i) = m
    whole = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    rows = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ]
    return _rows([[value / whole for value in row] for row in rows])


def _fixed(*values: float) -> bytes:
    """Pack numbers as s15Fixed16. Raises struct.error for one out of range."""
    return struct.pack(f">{len(values)}i", *(round(65536 * value) for value in values))


def _srgb(x: float) -> float:
    return x / 12.92 if x <= 0.04045 else float(((x + 0.055) / 1.055) ** 2.4)


def _video(x: float) -> float:
    return x / 4.5 if x < 0.081 else float(((x + 0.099) / 1.099) ** (1 / 0.45))


def _perceptual(x: float) -> float:
    """SMPTE ST 2084, with highlights clipped at paper white."""
    root = x ** (1 / 78.84375)
    return float(
        (max(0.0, root - 0.8359375) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125) * 10_000 / _PAPER
    )


def _hybrid(x: float) -> float:
    """ITU-R BT.2100 on a display of 1,000 candelas per square metre, with highlights clipped at paper white."""
    from math import exp

    scene = x * x / 3 if x <= 0.5 else (exp((x - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return float(scene**1.2 * 1000 / _PAPER)


_TRANSFERS: Final[dict[int, Callable[[float], float]]] = {
    1: _video,
    4: lambda x: float(x**2.2),
    5: lambda x: float(x**2.8),
    6: _video,
    8: lambda x: x,
    13: _srgb,
    14: _video,
    15: _video,
    16: _perceptual,
    18: _hybrid,
}
