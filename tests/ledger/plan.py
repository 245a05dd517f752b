"""Plans the jobs of the ledger, and where each of their processes is killed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

SHOTS, FREE_SHOT = ("bedrock", "gemini"), "sagemaker"
OUR_ID, THEIR_ID, FREE_TICKET, DEMO = "runware_ai", "leonardo_ai", "comfyui", "demo"
KINDS = {
    "bedrock": "one paid call",
    "gemini": "one paid call",
    "sagemaker": "one free call",
    "runware_ai": "ticket, our id",
    "leonardo_ai": "ticket, their id",
    "comfyui": "free ticket",
    "demo": "in the api",
}
TICKETS = (OUR_ID, THEIR_ID, FREE_TICKET)
FREE = (FREE_SHOT, FREE_TICKET, DEMO)
CAPPED = (THEIR_ID, FREE_TICKET)  # one call at a time here
SUBMITTING = ("watchdog", "create", "ask")
ENDING = (("finish", "after"), ("remember", "before"), ("remember", "after"))  # no run comes after one killed there
TELLING = ("event claim", "event post", "event next", "event row")
HARMLESS = (*SUBMITTING, "release", "announce")  # no image is being made
WHEN = ("before", "after")
# Faults of which there is no doubt whether the call was charged; the GPU worker's own words for the first two differ.
FAULTS = ("throttle", "unavailable", "truncated_image", "reset", "reset_body", "short_body")
BUSY = {"throttle": "busy", "unavailable": "busy_plain"}
MONTH_END = 1_796_083_195.0  # five seconds before December 2026
BEGINNING = 1_795_000_000.0
Point = tuple[str, str]


@dataclass(frozen=True)
class Kill:
    """Where a process ends: at a step's `number`th time, at its `number`th AWS operation, or at any `moment`.

    `stop`: it is not killed but stopped, past its lease, and goes on while another works or when that has ended.
    `brief`: it is stopped within its lease, while its message is delivered a second time.
    """

    step: str
    when: str = "before"
    number: int = 1
    stop: bool = False
    brief: bool = False


@dataclass(frozen=True)
class Case:
    """One request. `kills` are those of its runs in turn, `first` is that of its submission."""

    number: int
    kind: str
    label: str  # its row of the table
    first: Kill | None = None
    kills: tuple[Kill | None, ...] = ()
    last: Kill | None = None  # of the dead-letter function, or of the cancel
    mode: str = "run"  # or race, batch, cancel, give up
    images: int = 1
    other: str | None = None  # a provider to fall back to
    faults: tuple[tuple[str, str], ...] = ()
    again: bool = False  # the client asks again under its key, where it got no answer or wants to
    sync: bool = False
    watchdog_first: bool = False
    begins_at: float = BEGINNING
    numbers: tuple[int, ...] = field(default=())  # of a batch's items
    hook: str = ""  # how the receiver of its webhooks behaves; without, it has none
    tells: tuple[Kill | None, ...] = ()  # of the webhooks function, in turn
    busy: float = 0.0  # seconds that another tenant's call holds the provider's only slot
    wakes: float = 0.0  # seconds until the provider, which sleeps, has done any work

    @property
    def prompts(self) -> tuple[int, ...]:
        """The numbers that its prompts carry."""
        return self.numbers or (self.number,)

    @property
    def patient(self) -> bool:
        """Whether its messages go round for long."""
        return bool(self.wakes) or self.hook == "days-2"

    @property
    def promised(self) -> bool:
        """Whether the protocol promises all images: it was killed only where they can still be had."""
        stopped = self.first is not None and self.first.stop  # it is then past the time of the api's function
        plain = self.mode in ("run", "race") and not self.faults and not stopped
        named = [kill for kill in (*self.kills, self.first) if kill and kill.step not in HARMLESS]
        return plain and all(k.brief or (not k.stop and is_saved(self.kind, k.step, k.when)) for k in named)


def steps_of(kind: str) -> tuple[str, ...]:
    """The steps of a run, in order."""
    call = ("submit", "ticket", "collect") if kind in TICKETS else ("paint",)
    raw = () if kind in FREE else ("raw",)  # what costs nothing is not kept before it is seen
    ending = ("fit", "image", "free", "progress", "finish", "remember")
    return ("successor", "claim", "take", "intent", *call, *raw, *ending)


def points_of(kind: str) -> list[Point]:
    """Every named point of a run, in order."""
    return [(step, when) for step in steps_of(kind) for when in ("before", "after")]


def every_point() -> set[tuple[str, str, str]]:
    """What a whole ledger must have killed at."""
    runs = {(kind, *point) for kind in KINDS for point in points_of(kind)}
    around = {(kind, step, when) for kind in KINDS for step in (*SUBMITTING, "announce", *TELLING) for when in WHEN}
    return runs | around | {(kind, "release", when) for kind in CAPPED for when in WHEN}


def is_saved(kind: str, step: str, when: str) -> bool:
    """Whether the image being made can still be had without paying again when a run is killed there."""
    if step in ("operation", "moment"):
        return kind in FREE
    steps = steps_of(kind)
    at = 2 * steps.index(step) + (when == "after")
    begun = 2 * steps.index("intent") + 1
    known = {OUR_ID: "submit", THEIR_ID: "ticket", **dict.fromkeys(SHOTS, "raw")}.get(kind, "intent")
    return at < begun or at >= 2 * steps.index(known) + 1


def whole(jobs: int, seed: int) -> list[Case]:
    """`jobs` cases: each point of each kind alone, then many together, then all other ways to go wrong."""
    die = random.Random(seed)
    cases = [*_together(die), *_overtaken(), *_patient(die)]
    singles = [*_singles(die)]
    left = jobs - len(cases)
    rounds = min(2, left // (2 * len(singles)))
    for _ in range(rounds):
        cases += _singles(die)
    while len(cases) < jobs:
        cases.append(_any(die))
    die.shuffle(cases)
    return [_dressed(case, number, die) for number, case in enumerate(cases[:jobs])]


def numbered(cases: list[Case]) -> list[Case]:
    """The same, each with a number of its own."""
    return [replace(case, number=number) for number, case in enumerate(cases)]


def _case(kind: str, label: str, *kills: Kill | None, **more: object) -> Case:
    case = Case(0, kind, label, kills=kills, **more)  # type: ignore[arg-type]
    steps = {kill.step for kill in kills if kill}
    return replace(
        case,
        images=2 if "progress" in steps else case.images,
        watchdog_first="successor" in steps or case.watchdog_first,
        again=case.again or bool(case.first),
    )


def _singles(die: random.Random) -> Iterator[Case]:
    """One kill each."""
    for kind in KINDS:
        for step, when in points_of(kind):
            images = die.choice((1, 2))
            repeats = step not in ("successor", "claim", "progress", "finish", "remember")
            number = die.randint(1, images) if repeats else 1
            yield _case(kind, f"{step} {when}", Kill(step, when, number), images=images)
        for step in SUBMITTING:
            for when in ("before", "after"):
                yield _case(kind, f"{step} {when}", first=Kill(step, when), again=die.random() < 0.6)
        for when in WHEN:
            yield _case(kind, f"announce {when}", Kill("announce", when), hook="ok")
            for step in TELLING:
                hook = "late-1" if step == "event next" else die.choice(("ok", "late-1"))
                yield _case(kind, f"{step} {when}", hook=hook, tells=(Kill(step, when),))
            if kind in CAPPED:
                yield _case(kind, f"release {when}", Kill("release", when), busy=120.0)


def _together(die: random.Random) -> Iterator[Case]:
    """Every point of every kind in as few jobs as can be: run after run is killed, one step later each time."""
    for kind in KINDS:
        points = points_of(kind)
        last = [p for p in points if p in ENDING or not is_saved(kind, *p)]
        way = [p for p in points if p not in last]
        apart = -(-len(way) // 3)  # so far that no run which is taken up passes by the next point
        chains = [way[at::apart] for at in range(apart)]
        early = way[2:5]
        chains += [[*die.sample(early, 1), point] for point in last]
        first = [Kill(step, when) for step in SUBMITTING for when in ("before", "after")]
        for number, chain in enumerate(chains):
            kills = [Kill(*point) for point in chain]
            begun = first[number] if number < len(first) else None
            yield _case(kind, "several kills", *kills, first=begun, again=True)
        tells = [Kill(step, when) for step in TELLING for when in WHEN]
        yield _case(kind, "several kills", Kill("announce"), hook="late-5", tells=(*tells,))
        yield _case(kind, "several kills", Kill("announce", "after"), hook="late-1", tells=(Kill("event row"),))
        if kind in CAPPED:
            yield _case(kind, "several kills", Kill("release"), Kill("release", "after"), busy=150.0)


def _patient(die: random.Random) -> Iterator[Case]:
    """What goes round by messages for long: a job whose GPU wakes after minutes, a receiver that fails for days."""
    kills = (Kill("claim", die.choice(WHEN)), Kill("progress", "after"), Kill("finish", die.choice(WHEN)))
    for kill in (None, die.choice(kills)):
        yield _case(FREE_SHOT, "asleep", kill, wakes=14 * 60.0, hook="ok")
    yield _case(die.choice(tuple(KINDS)), "two days", hook="days-2", tells=(Kill("event next", die.choice(WHEN)),))


def _overtaken() -> Iterator[Case]:
    """A run that is stopped before it is on record that it pays, and goes on while its successor has paid.

    Then two that begin at the same time, and one that is just slow.
    """
    for kind in (*SHOTS, OUR_ID, THEIR_ID):
        step = "submit" if kind in TICKETS else "paint"
        yield _case(kind, "race", Kill(step, stop=True, brief=True))
        yield _case(kind, "zombie", Kill("intent", stop=True), Kill("fit", stop=True))
        yield _case(kind, "race", mode="race")


def _any(die: random.Random) -> Case:
    """A job of any kind that goes wrong in any way."""
    kind = die.choice(tuple(KINDS))
    other = die.choice((None, *(k for k in KINDS if k not in (kind, DEMO)))) if kind != DEMO else None
    mode = die.choices(
        ("operation", "moment", "zombie", "race", "batch", "cancel", "give up", "faults"), (22, 22, 20, 8, 7, 4, 4, 13)
    )[0]
    common = {"other": other, "images": die.choice((1, 2))}
    several = range(die.randint(1, 3))
    if mode == "operation":
        struck = [Kill(mode, die.choice(("before", "after")), die.randint(1, 16)) for _ in several]
        return _case(kind, "any operation", *struck, **common)
    if mode == "moment":
        first = Kill("moment") if die.random() < 0.3 else None
        return _case(kind, "any moment", *(Kill("moment", stop=die.random() < 0.2) for _ in several), first=first)
    if mode == "zombie":
        stops = [
            Kill(*die.choice(points_of(kind)), stop=True, brief=die.random() < 0.3) for _ in range(die.randint(1, 2))
        ]
        then = die.choice((None, Kill(*die.choice(points_of(kind)))))
        return _case(kind, mode, *stops, then, **common)
    if mode == "faults":
        names = [name for name in (kind, other) if name and name != DEMO]
        drawn = [(die.choice(names), die.choice(FAULTS)) for _ in range(die.randint(1, 3))] if names else []
        faults = tuple((name, BUSY.get(fault, fault) if name == FREE_SHOT else fault) for name, fault in drawn)
        return _case(kind, mode, *(Kill(*die.choice(points_of(kind))) for _ in several), faults=faults, **common)
    if mode == "batch":
        step = die.choice(("batch", *SUBMITTING))
        first = Kill(step, die.choice(("before", "after")), 1 if step == "batch" else die.randint(1, 3))
        return _case(kind, mode, mode=mode, first=first)
    if mode == "cancel":
        return _case(kind, mode, mode=mode, last=Kill("cancel", die.choice(("before", "after"))))
    if mode == "give up":
        kill = Kill(die.choice(("claim", "finish")), die.choice(("before", "after")))
        return _case(kind, mode, *[Kill("claim", "before")] * 5, mode=mode, last=kill)
    kills: list[Kill | None] = [die.choice((None, Kill(*die.choice(points_of(kind)))))]
    return _case(kind, mode, *kills, mode=mode, **common)


def _dressed(case: Case, number: int, die: random.Random) -> Case:
    """What is left to chance of every case."""
    alone = case.kind == DEMO and case.mode == "run" and case.first is None and not case.watchdog_first
    sync = alone and die.random() < 0.5
    first, kills = case.first, case.kills
    hook = case.hook or die.choices(("", "ok", "late-2", "days-1"), (60, 24, 14, 2))[0]
    tells = case.tells
    if hook and not tells and die.random() < 0.5:
        step = die.choice(("operation", *TELLING))
        tells = (Kill(step, die.choice(WHEN), die.randint(1, 8) if step == "operation" else 1),)
    busy = die.uniform(5, 60) if case.kind in CAPPED and case.mode == "run" and die.random() < 0.2 else 0.0
    if sync and kills:  # it is the api's own process that runs the job
        first, kills = kills[0], kills[1:]
    return replace(
        case,
        number=number,
        first=first,
        kills=kills,
        sync=sync,
        again=case.again or die.random() < 0.2,
        numbers=(number, number + 100_000, number + 200_000) if case.mode == "batch" else (),
        hook=hook,
        tells=tells,
        busy=case.busy or busy,
        begins_at=die.choice((BEGINNING + number, BEGINNING + number, BEGINNING + number, MONTH_END)),
    )
