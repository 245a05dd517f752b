"""Lists the words of the analysis: those without a meaning of their own, and those of quality or style.

The lists were made by hand from the most used words of prompting guides and published prompts. They only change
weights: an unknown word counts as a concept of its own, so a missing language or fashion costs order, never content.
"""

from __future__ import annotations

from typing import Final


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words that depict nothing by themselves. English in full; of other languages the commonest articles, conjunctions and
# prepositions, unless they mean something else in English.
STOP_WORDS: Final = _set(
    """
    a about above after again against all along also although am among an and any anything are around as at be because
    been before being below beneath beside besides between both but by can could did do does doing done down during
    each either else ensure especially etc even ever every everything few for from further get give given gives go got
    had has have having he her here hers herself him himself his how however i if in into is it its itself just keep
    kind let like lot lots made make makes making many may maybe me might more most much must my myself near need
    needs neither nor not now of off on once one only onto or other others ought our ours out over own per perhaps
    please quite rather really same shall she should show showing shown shows simply since so some somehow something
    somewhat still such sure than that the their theirs them themselves then there these they thing things this those
    though through thus to together too toward towards under until up upon us use used using very via want wants was
    we well were what whatever when where whether which while who whole whom whose why will with within without would
    yet you your yours yourself create created creates depict depicted depicting depicts feature featured features
    featuring generate generated image images picture pictures scene
    der die das den dem des ein eine einen einem einer und oder mit von zu im ist auf für bei aus nach wie sich nicht
    le la les un une des du et ou avec dans sur pour par est qui que au aux sans ses
    el los las una y o con en por para es del al se sin su sus
    il lo gli uno e di da nel nella della con per che
    os um uma com em do da dos das no na
    de het een en van met op voor te
    и в во на с со из от по для как что это не но к у за
    """  # noqa: RUF001  the Cyrillic letters are meant
)

# Words of quality: how well the picture should be made.
QUALITY: Final = _set(
    """
    4k 8k 16k uhd hd hdr hires highres absurdres raw masterpiece quality best highest resolution detailed detail
    intricate elaborate sharp crisp focus focused realistic realism photorealistic photorealism hyperrealistic
    hyperrealism ultrarealistic ultra hyper highly professional award winning awardwinning trending artstation
    unreal engine octane render rendering rendered raytracing raytraced ray tracing pbr subsurface scattering
    flawless polished refined exquisite stunning breathtaking vivid vibrant clean
    """
)

# Words of style: medium, movement, light, lens, palette, mood.
STYLE: Final = _set(
    """
    style styled stylised stylized aesthetic art artwork painting painterly oil watercolor watercolour
    gouache acrylic ink pencil charcoal pastel sketch drawing illustration illustrated lineart line engraving etching
    woodcut linocut lithograph fresco mosaic collage origami sculpture claymation anime manga comic cartoon pixel
    voxel isometric vector lowpoly poly 3d cgi photo photograph photography photographic film analog analogue polaroid
    daguerreotype cinematic cinema documentary editorial portrait macro panorama panoramic aerial closeup bokeh
    depth field lens anamorphic 35mm 50mm 85mm kodak fujifilm portra hasselblad leica exposure shutter iso
    impressionist impressionism expressionist expressionism surreal surrealist surrealism cubist cubism baroque rococo
    renaissance gothic romantic romanticism minimalist minimalism brutalist bauhaus deco nouveau futurist futurism
    abstract ukiyo ghibli pop vaporwave synthwave cyberpunk steampunk dieselpunk biopunk solarpunk noir retro vintage
    fantasy concept conceptual lighting light lit backlit backlight rim glow glowing volumetric god rays golden hour
    dusk dawn chiaroscuro neon moody dramatic ethereal dreamy atmospheric whimsical serene melancholic epic palette
    monochrome monochromatic sepia grayscale pastels saturated muted warm cool tones grain texture textured
    composition symmetrical symmetry rule thirds perspective
    """
)

# Separators of words in scripts without spaces: Chinese particles, and Japanese hiragana (the range, in terms.py).
HAN_PARTICLES: Final = frozenset("的了在与及或是着也都而且被之这那个")
