"""Long prompts as people and chat programs write them, each with the phrases that must be kept.

Written by functions with a seed: the same on every machine, and no text of anybody's.
"""

# ruff: noqa: E501, RUF001, SIM905  lists of words and other alphabets

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

SUBJECTS = (
    "weathered lighthouse keeper", "clockwork hummingbird", "glass cathedral", "red-haired violinist", "snow leopard cub",
    "abandoned orbital station", "bamboo tea house", "copper diving helmet", "street food vendor", "paper dragon",
    "desert caravan", "underwater library", "porcelain fox", "steam locomotive", "floating market",
)  # fmt: skip
DETAILS = (
    "cracked leather gloves", "a brass telescope", "moss-covered stairs", "a torn velvet curtain", "rusted iron chains",
    "fireflies over tall grass", "a chipped blue teapot", "wet cobblestones", "long shadows of poplars", "a broken mirror",
    "hand-painted tiles", "smoke above tin roofs", "a sleeping tabby cat", "ivory chess pieces", "a frozen fountain",
    "prayer flags in the wind", "a spiral of seagulls", "maps pinned to a wall", "a silver pocket watch", "dried lavender",
    "a row of rowing boats", "cherry blossom petals", "an empty birdcage", "candles in green bottles", "a stained atlas",
    "woven reed baskets", "a crooked weather vane", "steam from a manhole", "pearl buttons", "a lantern on a pole",
)  # fmt: skip
STYLES = (
    "oil painting", "art nouveau", "cinematic lighting", "watercolor on rough paper", "film noir", "ukiyo-e woodcut",
    "baroque chiaroscuro", "isometric pixel art", "35mm analog film", "studio ghibli style", "golden hour", "rim light",
)  # fmt: skip
QUALITIES = (
    "highly detailed", "8k resolution", "sharp focus", "masterpiece", "award-winning photograph", "ray tracing",
    "intricate textures", "octane render", "best quality", "hyperrealistic skin",
)  # fmt: skip
FILLER = (
    "Please make sure that the image really looks as good as it possibly can and that nothing is missing from it.",
    "I would like you to think about the overall mood and to keep everything consistent with what was said above.",
    "It is important that the viewer feels as if they could just step into it and stay there for a while.",
    "As mentioned before, all of this should come together and work as one whole, without anything that distracts.",
    "In general, try to find a good balance between the different parts, so that none of them is too much.",
    "Remember that this is very important to me and that I would be really happy with a very good result.",
)


@dataclass(frozen=True)
class Sample:
    name: str
    prompt: str
    concepts: tuple[str, ...]  # what the prompt is about, as it is written in it


def _some(rnd: Random, pool: tuple[str, ...], count: int) -> list[str]:
    return rnd.sample(pool, count)


def _grow(rnd: Random, start: list[str], more: Callable[[], str], length: int, joint: str) -> str:
    parts = list(start)
    size = sum(len(part) + len(joint) for part in parts)
    while size < length:
        parts.append(more())
        size += len(parts[-1]) + len(joint)
    return joint.join(parts)[:10_000]


def tags(seed: int) -> Sample:
    """A list of tags that says most of them several times over."""
    rnd = Random(seed)
    concepts = [rnd.choice(SUBJECTS), *_some(rnd, DETAILS, 10), *_some(rnd, STYLES, 3), *_some(rnd, QUALITIES, 4)]
    words = "soft clear bright gentle deep strange quiet distant heavy pale light golden".split()
    things = "clouds stones leaves walls windows trees hills waves colors shapes edges corners".split()

    def more() -> str:
        return rnd.choice([rnd.choice(concepts), f"{rnd.choice(words)} {rnd.choice(things)}", "very very detailed"])

    return Sample(f"tags-{seed}", _grow(rnd, concepts, more, 5000 + 700 * (seed % 7), ", "), tuple(concepts))


def prose(seed: int) -> Sample:
    """Paragraphs of a chat program: sentences with one thing each, wrapped in politeness."""
    rnd = Random(seed)
    subject, details = rnd.choice(SUBJECTS), _some(rnd, DETAILS, 12)
    style, quality = _some(rnd, STYLES, 2), _some(rnd, QUALITIES, 2)
    frames = (
        "Somewhere in the scene there should also be {}, so that one notices it only at the second look.",
        "Next to it, and a little to the left, the viewer can see {}, which tells something about the place.",
        "In the foreground, slightly out of the middle, there is {}, and it is shown in a calm and natural way.",
        "Further back, where the air gets thinner, one can make out {}, almost as if it had always been there.",
    )
    opening = f"Create an image of a {subject}, as a {style[0]} with {style[1]}, {quality[0]}, {quality[1]}."
    body = [sentence for d in details for sentence in (rnd.choice(frames).format(d), rnd.choice(FILLER))]
    text = _grow(rnd, [opening, *body], lambda: rnd.choice(FILLER), 4200 + 800 * (seed % 6), " ")
    return Sample(f"prose-{seed}", text, (subject, *details, *style, *quality))


def brief(seed: int) -> Sample:
    """A brief with headings and bullets, which repeats its rules under each heading."""
    rnd = Random(seed)
    subject, details = rnd.choice(SUBJECTS), _some(rnd, DETAILS, 12)
    style, quality = _some(rnd, STYLES, 3), _some(rnd, QUALITIES, 3)
    rules = [f"- keep the style: {', '.join(style)}", f"- quality: {', '.join(quality)}", "- do not add people or text"]
    lines = [f"Subject: {subject}", *rules]
    for at, part in enumerate(("Foreground", "Middle ground", "Background", "Sky", "Corners", "Light")):
        lines += [
            f"{part}:",
            *(f"- {d}, placed with care and seen clearly" for d in details[2 * at : 2 * at + 2]),
            *rules,
        ]
    text = _grow(rnd, lines, lambda: f"- {rnd.choice(FILLER)}", 4500 + 500 * (seed % 5), "\n")
    return Sample(f"brief-{seed}", text, (subject, *details, *style, *quality))


def weighted(seed: int) -> Sample:
    """Weighted groups among plain tags, a style file, and text to be written in the picture."""
    rnd = Random(seed)
    subject, details = rnd.choice(SUBJECTS), _some(rnd, DETAILS, 8)
    groups = [f"({d}:1.{rnd.randint(1, 5)})" for d in details]
    sign = f'a sign that says "{rnd.choice(SUBJECTS).title()}, est. 1887"'
    start = [f"({subject}:1.4)", *groups, sign, "<lora:old_film:0.7>", *_some(rnd, QUALITIES, 3)]
    text = _grow(rnd, start, lambda: rnd.choice([*groups, *FILLER, "nice colors"]), 5500, ", ")
    return Sample(f"weighted-{seed}", text, tuple(start))


def breathless(seed: int) -> Sample:
    """One sentence without any punctuation."""
    rnd = Random(seed)
    subject, details = rnd.choice(SUBJECTS), _some(rnd, DETAILS, 14)
    links = ("and then there is", "and beside it", "while above all this", "which stands near", "and also")
    start = [f"a {subject} in {rnd.choice(STYLES)}", *(f"{rnd.choice(links)} {d}" for d in details)]
    again = "and it all looks so very nice and calm and good that one would like to look at it again and again"
    return Sample(f"breathless-{seed}", _grow(rnd, start, lambda: again, 4000, " "), (subject, *details))


_KINDS = "old narrow broken painted hollow tangled scarlet amber velvet frozen wooden drifting hidden carved".split()
_THINGS = (
    "door rope wheel kettle ladder feather barrel compass curtain saddle anchor mirror cradle harp shovel bridge trumpet "
    "basket hammer sail oven statue well garden orchard tunnel cellar attic tower mill chimney quarry harbor canal"
).split()
_DOINGS = "leans against|hangs above|is half hidden by|throws its shadow on|stands in front of|faces|rests on".split(
    "|"
)


def sprawling(seed: int) -> Sample:
    """Ten thousand characters in which no sentence comes twice; what it is about comes back now and then."""
    rnd = Random(seed)
    subject, details = rnd.choice(SUBJECTS), _some(rnd, DETAILS, 10)
    style, quality = _some(rnd, STYLES, 3), _some(rnd, QUALITIES, 3)

    def thing() -> str:
        return f"{rnd.choice(_KINDS)} {rnd.choice(_THINGS)}"

    def more() -> str:
        if rnd.random() < 0.2:
            return f"The {thing()} {rnd.choice(_DOINGS)} {rnd.choice(details)}, near the {subject}."
        return f"A {thing()} {rnd.choice(_DOINGS)} the {thing()}, and further on there is a {thing()}."

    opening = f"A {subject} with {', '.join(details)}."
    closing = f" All of it as {', '.join(style)}, {', '.join(quality)}."
    text = _grow(rnd, [opening], more, 10_000, " ")[: 9_990 - len(closing)]
    return Sample(f"sprawling-{seed}", text.rpartition(".")[0] + "." + closing, (subject, *details, *style, *quality))


def inventory(seed: int) -> Sample:
    """Ten thousand characters of tags, no two alike, with what matters at the beginning and at the end."""
    rnd = Random(seed)
    first, last = [rnd.choice(SUBJECTS), *_some(rnd, DETAILS, 8)], [*_some(rnd, STYLES, 3), *_some(rnd, QUALITIES, 3)]
    middle = [f"{kind} {thing}" for kind in _KINDS for thing in _THINGS]
    rnd.shuffle(middle)
    length = 9_990 - len(", ".join(last))
    text = ", ".join([*first, *middle])[:length].rpartition(",")[0]
    return Sample(f"inventory-{seed}", ", ".join([text, *last]), (*first, *last))


def spoken(name: str, opening: str, things: tuple[str, ...], filler: tuple[str, ...], joint: str) -> Sample:
    """Another language: things, each followed by a filler, then fillers again and again."""
    rnd = Random(name)
    parts = [opening] + [part for thing in things for part in (thing, rnd.choice(filler))]
    return Sample(name, _grow(rnd, parts, lambda: rnd.choice(filler), 4500, joint), (opening, *things))


LANGUAGES = (
    spoken(
        "german",
        "Ein alter Leuchtturmwärter als Ölgemälde",
        ("zerrissene Segel am Mast", "eine rostige Laterne", "Möwen über der Brandung", "ein hölzernes Ruderboot",
         "Gewitterwolken am Horizont", "ein Fernrohr aus Messing", "nasse Pflastersteine", "ein schlafender Hund"),
        ("und das alles soll wirklich schön und stimmig aussehen", "bitte achte dabei auf jede Kleinigkeit im Bild"),
        ", ",
    ),
    spoken(
        "french",
        "Une danseuse au théâtre, peinture à l'huile",
        ("un rideau de velours déchiré", "des bougies sur la scène", "un miroir brisé", "des fleurs de cerisier",
         "un chat noir endormi", "une lumière dorée", "des ombres profondes", "un violon sans cordes"),
        ("il faut que l'ensemble soit vraiment harmonieux et beau", "je voudrais que tout cela reste naturel et simple"),
        ", ",
    ),
    spoken(
        "russian",
        "Старый смотритель маяка, масляная живопись",
        ("ржавый фонарь на цепи", "чайки над волнами", "деревянная лодка", "грозовые облака", "медный телескоп",
         "мокрая мостовая", "спящая собака", "разорванный парус"),
        ("всё это должно выглядеть очень красиво и естественно", "пожалуйста обратите внимание на каждую мелочь"),
        ", ",
    ),
    spoken(
        "chinese",
        "樱花树下的白狐，水墨画风格",
        ("青铜灯笼", "石桥上的青苔", "远处的雪山", "竹林里的茶室", "红色的油纸伞", "锦鲤池塘", "破旧的渔船", "满月的倒影"),
        ("请一定要把画面做得非常漂亮自然", "希望整体的气氛能够让人感到安静"),
        "，",
    ),
    spoken(
        "korean",
        "벚꽃 아래의 하얀 여우, 수묵화 스타일",
        ("청동 등불", "이끼 낀 돌다리", "멀리 보이는 설산", "대나무 숲의 찻집", "붉은 종이 우산", "잉어 연못", "낡은 어선", "보름달"),
        ("전체적으로 정말 아름답고 자연스럽게 만들어 주세요", "모든 부분이 서로 잘 어울리도록 해 주세요"),
        ", ",
    ),
)  # fmt: skip

CORPUS: tuple[Sample, ...] = (
    *(tags(seed) for seed in range(3)),
    *(prose(seed) for seed in range(3)),
    *(brief(seed) for seed in range(2)),
    *(weighted(seed) for seed in range(2)),
    *(breathless(seed) for seed in range(2)),
    *(sprawling(seed) for seed in range(4)),
    *(inventory(seed) for seed in range(3)),
    *LANGUAGES,
)
