"""Bodies of multipart/form-data, valid and hostile."""

from __future__ import annotations

from collections.abc import Mapping

BOUNDARY = "a-boundary"
Form = tuple[bytes, dict[str, str]]


def part(name: str, value: bytes, filename: str | None = None, boundary: str = BOUNDARY) -> bytes:
    """One part, with its first boundary."""
    file = f'; filename="{filename}"\r\nContent-Type: application/octet-stream' if filename is not None else ""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + value + b"\r\n"


def form(fields: Mapping[str, object], file: bytes | None = None, boundary: str = BOUNDARY) -> Form:
    """The body and its headers; the file goes as `file`."""
    parts = [part(name, str(value).encode(), boundary=boundary) for name, value in fields.items()]
    parts += [] if file is None else [part("file", file, "product.png", boundary)]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), headers(boundary)


def headers(boundary: str = BOUNDARY) -> dict[str, str]:
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def hostile(good: bytes) -> dict[str, tuple[bytes, dict[str, str], int]]:
    """By name: a body, its headers and the status that it deserves. `good` is a picture that would be taken."""
    end = f"--{BOUNDARY}--\r\n".encode()
    file, whole = part("file", good, "p.png"), form({}, good)[0]
    no_name = f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n".encode()
    attached = f'--{BOUNDARY}\r\nContent-Disposition: attachment; name="file"\r\n\r\nx\r\n'.encode()
    bare = f"--{BOUNDARY}\r\n\r\nx\r\n".encode()
    long_head = f"--{BOUNDARY}\r\nX: {'y' * 100_000}\r\n\r\n".encode()
    many_heads = f"--{BOUNDARY}\r\n".encode() + b"X: y\r\n" * 5_000 + b"\r\nx\r\n"
    return {
        "empty": (b"", headers(), 400),
        "no boundary": (whole, {"Content-Type": "multipart/form-data"}, 400),
        "an empty boundary": (whole, {"Content-Type": "multipart/form-data; boundary="}, 400),
        "a boundary that is quoted and empty": (whole, {"Content-Type": 'multipart/form-data; boundary=""'}, 400),
        "a boundary of 71": (form({}, good, "b" * 71)[0], headers("b" * 71), 400),
        "another boundary": (whole, headers("another"), 400),
        "only the end": (end, headers(), 400),
        "cut off in the file": (whole[: len(whole) // 2], headers(), 400),
        "cut off before the last boundary": (file, headers(), 400),
        "cut off within it": (whole[:-4], headers(), 400),
        "no file": (*form({"prompt": "a beach"}), 400),
        "an empty file": (*form({}, b""), 400),
        "two files": (file + file + end, headers(), 400),
        "a field twice": (part("prompt", b"a") + part("prompt", b"b") + file + end, headers(), 400),
        "an unknown field": (*form({"steps": 4}, good), 400),
        "another file": (file + part("mask", good, "m.png") + end, headers(), 400),
        "a file for a text": (file + part("prompt", b"a beach", "prompt.txt") + end, headers(), 400),
        "a text of no UTF-8": (file + part("prompt", b"\xff\xfe") + end, headers(), 400),
        "a blank prompt": (*form({"prompt": "  "}, good), 400),
        "a prompt that is too long": (*form({"prompt": "x" * 10001}, good), 400),
        "a seed in words": (*form({"seed": "seven"}, good), 400),
        "a seed of many digits": (*form({"seed": "9" * 5000}, good), 400),
        "a negative seed": (*form({"seed": -1}, good), 400),
        "a negative padding": (*form({"padding": -1}, good), 400),
        "a padding without end": (*form({"padding": 2049}, good), 400),
        "a fraction of a pixel": (*form({"width": 512.5, "height": 512}, good), 400),
        "a side alone": (*form({"width": 512}, good), 400),
        "a side over 2048": (*form({"width": 2056, "height": 512}, good), 400),
        "a side that is no multiple of 8": (*form({"width": 513, "height": 512}, good), 400),
        "a format that we lack": (*form({"format": "gif"}, good), 400),
        "another task": (*form({"task": "upscale"}, good), 400),
        "a file that is no picture": (*form({}, b"#!/bin/sh\nrm -rf /"), 400),
        "a picture that is cut off": (*form({}, good[: len(good) // 2]), 400),
        "a GIF": (
            *form({}, b"GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"),
            415,
        ),
        "a part without a name": (no_name + file + end, headers(), 400),
        "a part that is attached": (attached + end, headers(), 400),
        "a part without a head": (bare + file + end, headers(), 400),
        "a head without end": (long_head + file + end, headers(), 400),
        "many heads": (many_heads + file + end, headers(), 400),
        "many parts": (b"".join(part(f"f{n}", b"x") for n in range(5_000)) + file + end, headers(), 400),
        "nulls": (b"\x00" * 10_000, headers(), 400),
        "boundaries alone": (f"--{BOUNDARY}\r\n".encode() * 10_000, headers(), 400),
        "another multipart": (whole, {"Content-Type": f"multipart/mixed; boundary={BOUNDARY}"}, 415),
        "a form by its name and JSON by its body": (b'{"prompt": "x"}', headers(), 400),
    }
