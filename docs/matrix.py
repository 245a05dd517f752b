"""Writes docs/providers.md from the catalogue: `python -m docs.matrix`. A test holds the file equal to it."""

from __future__ import annotations

from pathlib import Path

from lambdas.domain import catalogue
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.catalogue.sizes import plan
from lambdas.domain.providers import ALL

FILE = Path(__file__).with_name("providers.md")
YES, NO = "yes", "-"
CALLS = {"instant": "at once", "single_shot": "one call", "ticket": "ticket"}
HEAD = """\
# Providers and models

Written by `python -m docs.matrix` from the catalogue (`lambdas/domain/catalogue/cards/`); do not edit.

The first model of a provider is its default. One of few words reads those of scenes of shapes alone ("two red stars on
white"): it is asked for such a prompt where it is the first, or where the client names it, and for no other. Sizes are
those the model makes; any other size is made from the nearest one, and `metadata.size` says so. Formats are what the
provider encodes itself; PNG, JPEG and WebP are served of every model. A parameter that a model lacks is named in
`metadata.dropped_params`. Prices are USD per image at the default size, 0 where a machine is paid for by the hour or is
yours. `quality` (1 to 10) and `seconds` are what routing starts from, see [routing.md](routing.md). A `ticket` can be
taken up again by another process; `one call` cannot.

Backgrounds around a product are painted by models made for that; Bedrock's, and the demo, also paint what a mask shows
of an image ([openai.md](openai.md)). The GPU worker's cuts the product out itself. For Bedrock's, a photo without an
alpha channel is first cut out by another, which is a second paid call with its own line on the receipt. The demo cuts
out whatever has not the colour of the photo's border.
"""


def page() -> str:
    """The whole file."""
    features = _table(
        [
            "provider",
            "models",
            "text to image",
            "reference image",
            "product background",
            "seed",
            "negative prompt",
            "steps",
            "cfg",
            "answers",
        ],
        [_features(provider) for provider in ALL],
    )
    models = _table(
        ["model", "provider", "price", "sizes", "references", "parameters", "formats", "prompt", "quality", "seconds"],
        [_model(card) for card in catalogue.CARDS],
    )
    licences = _table(
        ["model", "licence", "region", "retires on"],
        [[f"`{c.id}`", c.licence or NO, c.region or NO, str(c.retires_on or NO)] for c in catalogue.CARDS],
    )
    retired = _table(
        ["retired model", "ended", "use instead"],
        [[f"`{gone.id}`", str(gone.ended or NO), f"`{gone.replacement}`"] for gone in catalogue.RETIRED],
    )
    return (
        "\n".join(
            [HEAD, features, "## Models\n", models, "## Licences and dates\n", licences, "## Retired\n", retired]
        ).rstrip("\n")
        + "\n"
    )


def _features(provider: str) -> list[str]:
    cards = catalogue.cards_of(provider)

    def some(having: list[ModelCard]) -> str:
        return NO if not having else YES if len(having) == len(cards) else f"{len(having)} of {len(cards)}"

    return [
        f"`{provider}`",
        str(len(cards)),
        some([c for c in cards if "text-to-image" in c.capabilities]),
        some([c for c in cards if "image-to-image" in c.capabilities]),
        some([c for c in cards if "background" in c.capabilities]),
        *(some([c for c in cards if name in c.honours]) for name in ("seed", "negative_prompt", "steps", "cfg")),
        ", ".join(sorted({CALLS[c.call] for c in cards})) or NO,
    ]


def _model(card: ModelCard) -> list[str]:
    return [
        f"`{card.id}`" + (" (few words)" if card.words else ""),
        f"`{card.provider}`",
        f"{card.price_usd:.4f}".rstrip("0").rstrip("."),
        _sizes(card),
        str(card.references) if card.references else NO,
        _parameters(card),
        ", ".join(card.formats),
        str(card.prompt_max),
        str(card.quality),
        f"{card.typical_seconds:g}",
    ]


def _parameters(card: ModelCard) -> str:
    heeded = f"negative_prompt (cfg above {card.negative_above_cfg:g})" if card.negative_above_cfg >= 0 else ""
    return ", ".join(heeded if heeded and name == "negative_prompt" else name for name in sorted(card.honours)) or NO


def _sizes(card: ModelCard) -> str:
    if card.sides:
        return f"{card.sides.min} to {card.sides.max}, in steps of {card.sides.step}"
    made = "x".join(map(str, plan(card, None, None).generate))
    return f"{len(card.ratios)} ratios, {made}" if len(card.ratios) > 1 else made if card.ratios else "any"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
