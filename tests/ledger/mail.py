"""A queue as its function sees it: at-least-once, unordered, with a visibility timeout and a dead-letter queue.

A message whose chain Lambda cuts is dead at once; where nobody reads the dead letters, it lies there for good.

What is sent goes to a real queue of the emulator, with its delay as a number beside it; from there it is taken at once
and held here until it is due, because the emulator's queue counts real seconds.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass
from typing import Any

from tests.ledger.acts import message_of
from tests.support import recursion

VISIBILITY, MAX_RECEIVES = 5400.0, 5  # as the template's queue
DEAD_VISIBILITY = 360.0
EVENT_VISIBILITY, MAX_EVENT_RECEIVES = 180.0, 1000
WINDOW = 20.0  # what is due within these seconds may come in any order


@dataclass
class Message:
    body: str
    due: float
    chain: recursion.Chain
    receives: int = 0
    dead: bool = False

    @property
    def job(self) -> tuple[str, str]:
        return message_of(self.body)[:2]

    @property
    def watchdog(self) -> bool:
        return message_of(self.body)[2]


class Mail:
    """`readers` are the function, and the one of the dead letters; a message is dead after `most` receipts.

    `visibility` in seconds.
    """

    def __init__(
        self,
        sqs: Any,
        url: str,
        die: random.Random,
        readers: tuple[str, str | None],
        visibility: float = VISIBILITY,
        most: int = MAX_RECEIVES,
    ) -> None:
        self._sqs, self._url, self._die = sqs, url, die
        self._reader, self._undertaker = readers
        self._visibility, self._most = visibility, most
        self.waiting: list[Message] = []

    def take(self) -> None:
        """Take what was sent."""
        while True:
            asked = {"QueueUrl": self._url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
            found = self._sqs.receive_message(**asked, WaitTimeSeconds=0).get("Messages", [])
            for one in found:
                said = {name: value["StringValue"] for name, value in one["MessageAttributes"].items()}
                self.waiting.append(Message(one["Body"], float(said["due"]), json.loads(said["chain"])))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=one["ReceiptHandle"])
            if len(found) < 10:
                return

    def next(self, now: float, *, watchdog: bool | None = None) -> Message | None:
        """Take one that is delivered next, and count it; of the watchdog, or not, where there is one."""
        if not self.waiting:
            return None
        wanted = [m for m in self.waiting if watchdog is None or m.watchdog is watchdog] or self.waiting
        first = max(now, min(m.due for m in wanted))
        chosen = self._die.choice([m for m in wanted if m.due <= first + WINDOW])
        self.waiting.remove(chosen)
        if not chosen.dead and recursion.invoked(self._reader, chosen.chain) is None:
            chosen.dead, chosen.receives = True, 0
        if chosen.dead and self._undertaker is None:
            return self.next(now, watchdog=watchdog)
        chosen.receives += 1
        return chosen

    def chain(self, message: Message) -> recursion.Chain:
        """What the function that is given the message stands in."""
        chain = recursion.invoked(self._undertaker if message.dead else self._reader, message.chain)  # type: ignore[arg-type]
        assert chain is not None
        return chain

    def back(self, message: Message, now: float) -> None:
        """It was not handled: it comes again, or is dead."""
        message.due = now + (DEAD_VISIBILITY if message.dead else self._visibility)
        if not message.dead and message.receives >= self._most:
            message.dead, message.receives = True, 0
        self.waiting.append(message)

    def first(self) -> float:
        """When the next one is due."""
        return min((message.due for message in self.waiting), default=math.inf)

    def again(self, message: Message, now: float) -> None:
        """A duplicate."""
        self.waiting.append(Message(message.body, now + self._die.uniform(0, 60), message.chain))
