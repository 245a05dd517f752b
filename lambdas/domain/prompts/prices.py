"""Computes the cost of calls to the language models of Amazon Bedrock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

CHARACTERS_PER_TOKEN: Final = 4  # about, in English; for a call whose answer reports no tokens


@dataclass(frozen=True, slots=True)
class TextPrice:
    """USD per million tokens read and written, reasoning included."""

    read: float
    written: float

    def cost(self, read: int, written: int) -> float:
        """Return the USD of that many tokens, rounded to the micro-dollar."""
        return round((read * self.read + written * self.written) / 1_000_000, 6)

    def estimate(self, read: int, written: int) -> float:
        """Return the USD of that many characters."""
        return self.cost(*(math.ceil(characters / CHARACTERS_PER_TOKEN) for characters in (read, written)))

    def most(self, read: int, tokens: int) -> float:
        """Return the maximum USD of a call that reads `read` characters and writes `tokens` tokens."""
        return math.ceil(read * self.read + tokens * self.written) / 1_000_000


# As of 2026-11, in us-west-2. The name of an inference profile ends with the model's: `us.amazon.nova-micro-v1:0`.
PRICES: Final[dict[str, TextPrice]] = {
    "openai.gpt-oss-20b-1:0": TextPrice(0.07, 0.30),
    "openai.gpt-oss-120b-1:0": TextPrice(0.15, 0.60),
    "amazon.nova-micro-v1:0": TextPrice(0.035, 0.14),
    "amazon.nova-lite-v1:0": TextPrice(0.06, 0.24),
    "amazon.nova-2-lite-v1:0": TextPrice(0.33, 2.75),
}


def price_of(model: str) -> TextPrice:
    """Return the model's price, or the table's dearest for a model that is not in it."""
    found = next((price for name, price in PRICES.items() if model.endswith(name)), None)
    return found or max(PRICES.values(), key=lambda price: price.written)
