"""Guards against untrusted input: addresses, answers, and rewritten prompts."""

from __future__ import annotations

from typing import Final

from tests.mutations.mutation import Mutation

GUARD: Final = "domain/prompts/guard.py"
ADDRESSES: Final = "egress/guard.py"
REACHED: Final = ("egress/test_guard.py", "providers/_client/test_fetch.py")

OUTSIDE: Final = (
    Mutation(
        "a provider may ask for any wait",
        "egress/retry_after.py",
        "return min(float(text), most)",
        "return float(text)",
        ("providers/_client/test_http.py",),
    ),
    Mutation(
        "a date may ask for any wait",
        "egress/retry_after.py",
        "return min(max(wait, 0.0), most)",
        "return max(wait, 0.0)",
        ("providers/_client/test_http.py",),
    ),
    Mutation(
        "an early answer is lost",
        "egress/wire.py",
        "        except OSError as error:\n            broken = error\n",
        "        except OSError:\n            raise\n",
        ("egress/test_wire.py",),
    ),
    Mutation(
        "one public address of a name is enough",
        ADDRESSES,
        "all(map(is_public, addresses))",
        "any(map(is_public, addresses))",
        REACHED,
    ),
    Mutation(
        "IPv4 in IPv6 is not looked into",
        ADDRESSES,
        '("::ffff:0:0/96", "64:ff9b::/96")',
        '("::ffff:0:0/96",)',
        REACHED,
    ),
    Mutation(
        "addresses for special use are public",
        ADDRESSES,
        "return ip.is_global and not any(ip in net for net in _V4_BARRED)",
        "return ip.is_global",
        REACHED,
    ),
    Mutation(
        "a trusted host is trusted at every port",
        ADDRESSES,
        "free = allow_private or (host, port) in trusted",
        "free = allow_private or host in {name for name, _ in trusted}",
        REACHED,
    ),
    Mutation(
        "a fourth redirect is followed",
        "providers/_client/fetch.py",
        "for _ in range(MAX_REDIRECTS + 1):",
        "for _ in range(MAX_REDIRECTS + 2):",
        ("providers/_client/test_fetch.py",),
    ),
    Mutation(
        "a rewrite may lose most of the prompt",
        GUARD,
        "KEPT_SHARE: Final = 0.4",
        "KEPT_SHARE: Final = 0.2",
        ("domain/prompts/test_guard.py",),
    ),
    Mutation(
        "a rewrite may add as much as it keeps",
        GUARD,
        "OWN_SHARE: Final = 0.4",
        "OWN_SHARE: Final = 0.6",
        ("domain/prompts/test_guard.py",),
    ),
    Mutation(
        "a rewrite may be as long as the limit",
        GUARD,
        "if len(rewrite) >= limit:",
        "if len(rewrite) > limit:",
        ("domain/prompts/test_guard.py",),
    ),
    Mutation(
        "settings hide behind full-width letters",
        GUARD,
        'unicodedata.normalize("NFKC", text)',
        'unicodedata.normalize("NFC", text)',
        ("domain/prompts/test_guard.py",),
    ),
)
