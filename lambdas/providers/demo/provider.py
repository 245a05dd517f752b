"""Generates images if no provider is configured: by a small model if it is available, else by drawing a demo scene."""

from __future__ import annotations

import colorsys
import io
import logging
import re
import unicodedata
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from lambdas.domain.catalogue.cards.scenes import DEMO_SCENES
from lambdas.domain.catalogue.model_card import Size
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.request import GeneratedImage, ImageTask
from lambdas.providers.demo.art import SCENES, Canvas, Colour, Palette

if TYPE_CHECKING:
    from lambdas.providers.demo.scenes import Scenes

log = logging.getLogger(__name__)

PALETTES: Final = {
    "dawn": Palette(((72, 84, 140), (214, 140, 160), (255, 214, 170)), (255, 228, 180), (48, 44, 72)),
    "day": Palette(((52, 120, 200), (126, 184, 232), (224, 240, 246)), (255, 246, 214), (34, 70, 84)),
    "sunset": Palette(((58, 28, 96), (206, 64, 92), (255, 150, 70), (255, 206, 112)), (255, 216, 130), (36, 16, 48)),
    "dusk": Palette(((28, 30, 80), (110, 70, 140), (232, 140, 150)), (255, 196, 170), (22, 18, 46), stars=True),
    "night": Palette(((6, 10, 32), (20, 34, 80), (62, 84, 138)), (226, 232, 250), (6, 10, 24), stars=True),
    "aurora": Palette(((8, 16, 44), (18, 92, 108), (98, 212, 164)), (206, 255, 226), (8, 22, 36), stars=True),
    "desert": Palette(((70, 116, 160), (222, 178, 130), (250, 220, 168)), (255, 240, 200), (110, 50, 34)),
}
HUES: Final = {
    "red": 0.0, "orange": 0.07, "gold": 0.12, "yellow": 0.14, "green": 0.36, "turquoise": 0.48, "teal": 0.5,
    "cyan": 0.52, "blue": 0.6, "indigo": 0.7, "violet": 0.76, "purple": 0.78, "magenta": 0.86, "pink": 0.92,
}  # fmt: skip
GREYS: Final = frozenset({"black", "white", "grey", "gray", "silver", "monochrome"})

# Words of a prompt that choose the scene and the palette; without one the choice is random.
SCENE_WORDS: Final = {
    **dict.fromkeys(("mountain", "mountains", "alps", "peak", "peaks", "hill", "hills", "landscape"), "mountains"),
    **dict.fromkeys(("sea", "ocean", "beach", "lake", "water", "boat", "ship", "island", "wave", "waves"), "sea"),
    **dict.fromkeys(
        ("city", "cities", "town", "skyline", "street", "tower", "towers", "building", "cyberpunk"), "city"
    ),
    **dict.fromkeys(("forest", "woods", "tree", "trees", "park", "garden", "nature"), "woods"),
    **dict.fromkeys(("circle", "circles", "abstract", "pattern", "bubbles", "dots", "logo", "geometric"), "circles"),
}
PALETTE_WORDS: Final = {
    **{name: name for name in PALETTES},
    "sunrise": "dawn", "morning": "dawn", "daylight": "day", "sunny": "day", "evening": "dusk", "twilight": "dusk",
    "midnight": "night", "stars": "night", "moon": "night", "futuristic": "dusk", "cyberpunk": "dusk", "neon": "aurora",
    "dune": "desert", "dunes": "desert", "autumn": "sunset",
}  # fmt: skip
ENCODING: Final[dict[str, dict[str, Any]]] = {
    "png": {"format": "PNG", "compress_level": 6},
    "jpeg": {"format": "JPEG", "quality": 92},
    "webp": {"format": "WEBP", "quality": 90, "method": 2},
}


class Demo:
    """The same prompt, seed and size give the same bytes. `folder` is the small model's."""

    def __init__(self, folder: str = "") -> None:
        self._folder = folder
        self._scenes: Scenes | None = None
        self._told = False

    def paint(self, task: ImageTask, timeout: float) -> GeneratedImage:  # noqa: ARG002  it never takes long
        """Generate one picture. Raises ProviderFailure(model_gone) if the small model cannot be loaded."""
        picture = self._painted(task) if task.card.id == DEMO_SCENES else _drawn(task)
        out = io.BytesIO()
        picture.save(out, **ENCODING[task.format])
        return GeneratedImage(out.getvalue(), task.seed)

    def _painted(self, task: ImageTask) -> Any:
        from PIL import Image

        try:
            if self._scenes is None:
                from lambdas.providers.demo.scenes import Scenes

                self._scenes = Scenes(Path(self._folder))
            square = self._scenes.paint(task.prompt, task.seed)
        except (ImportError, ValueError) as error:
            if not self._told:
                log.error("the demo draws without a model: %s", error)
                self._told = True
            raise ProviderFailure(Failure.MODEL_GONE, f"{task.card.id} cannot be loaded") from error
        return _continued(Image.fromarray(square), task.generate)


def _drawn(task: ImageTask) -> Any:
    """Draw a picture at twice the size and reduce it, which smooths its edges."""
    die = Random(f"{task.seed}:{task.prompt}")
    words = re.findall(r"[a-z]+", task.prompt.lower())
    palette = _palette(words, die)
    scene = next((SCENE_WORDS[w] for w in words if w in SCENE_WORDS), die.choice(sorted(SCENES)))
    width, height = task.generate
    canvas = Canvas(2 * width, 2 * height)
    SCENES[scene](canvas, palette, die)
    picture = canvas.image.reduce(2)
    if task.reference and not task.mask:
        picture = _over(task.reference, picture)
    _mark(picture, task.prompt)
    return picture


def _over(reference: bytes, scene: Any) -> Any:
    """Return the reference image, as this service itself has written it, with the scene shining through."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(reference), formats=("PNG", "JPEG", "WEBP")) as opened:
        picture = ImageOps.fit(opened.convert("RGB"), scene.size)
    return Image.blend(picture, scene.convert("RGB"), 0.4)


def _continued(square: Any, size: Size) -> Any:
    """Return a picture of that size with the square in its middle, extended by the colour of the square's borders."""
    from PIL import Image, ImageStat

    side, (width, height) = square.width, size
    picture = Image.new("RGB", size)
    if width > height:
        first, last, half = (0, 0, 1, side), (side - 1, 0, side, side), (width // 2, 0)
    else:
        first, last, half = (0, 0, side, 1), (0, side - 1, side, side), (0, height // 2)
    for border, start in ((first, (0, 0)), (last, half)):
        picture.paste(tuple(ImageStat.Stat(square.crop(border)).median), (*start, width, height))
    picture.paste(square, ((width - side) // 2, (height - side) // 2))
    return picture


def _palette(words: list[str], die: Random) -> Palette:
    """Return the palette that the prompt names, else one of a colour that it names, else a random one."""
    drawn, hue = PALETTES[die.choice(sorted(PALETTES))], die.uniform(-0.02, 0.02)
    for word in words:
        if word in PALETTE_WORDS:
            return PALETTES[PALETTE_WORDS[word]]
    for word in words:
        if word in HUES:
            return _tinted(HUES[word] + hue, 1.0)
        if word in GREYS:
            return _tinted(0.6, 0.12)
    return drawn


def _tinted(hue: float, strength: float) -> Palette:
    def ink(turn: float, saturation: float, value: float) -> Colour:
        r, g, b = colorsys.hsv_to_rgb((hue + turn) % 1, saturation * strength, value)
        return round(255 * r), round(255 * g), round(255 * b)

    shades = (ink(-0.04, 0.7, 0.42), ink(0, 0.55, 0.78), ink(0.03, 0.22, 0.97))
    return Palette(shades, ink(0.08, 0.25, 1.0), ink(-0.05, 0.8, 0.16))


def _mark(picture: Any, prompt: str) -> None:
    """Draw a band at the bottom with the word DEMO and, if there is room, the start of the prompt."""
    from PIL import ImageDraw, ImageFont

    width, height = picture.size
    size = max(13, min(round(min(width, height) * 0.042), 64, width // 4))
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(picture, "RGBA")
    pad = max(2, size // 3)
    top = height - size - 2 * pad
    middle = top + pad + size / 2
    badge = min(width, round(draw.textlength("DEMO", font)) + 2 * pad)
    draw.rectangle((0, top, width, height), fill=(10, 10, 16, 150))
    draw.rectangle((0, top, badge, height), fill=(255, 196, 0, 255))
    draw.text((badge / 2, middle), "DEMO", (20, 16, 0, 255), font, anchor="mm")
    text = _writable(prompt)
    room = width - badge - 2 * pad
    if width < 256 or not text:
        return
    shown = text[: room // 3]
    while shown and draw.textlength(shown, font) > room:
        shown = shown[:-1]
    if len(shown) < len(text):
        shown = shown[:-2].rstrip() + "..."
    draw.text((badge + pad, middle), shown, (255, 255, 255, 255), font, anchor="lm")


def _writable(prompt: str) -> str:
    """Return the prompt in ASCII without accents, since the built-in font has no other letters."""
    plain = unicodedata.normalize("NFKD", prompt[:400]).encode("ascii", "ignore").decode()
    return " ".join(re.sub(r"[^ -~]+", " ", plain).split())
