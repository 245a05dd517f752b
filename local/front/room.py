"""Limits concurrent requests: others wait in line while it moves, and are refused once it stands still."""

import asyncio
from collections import deque

PATIENCE = 8.0  # seconds without an exit: the running requests are slow, and waiting longer is useless
MAX_WAIT = 60.0  # seconds, also in a line that moves
MAX_LINE = 256
START_SECONDS = 0.5  # between two starts of processes: many starts at once slow down all requests
KEPT_SECONDS = 100.0  # how long an idle process is certainly kept


class Room:
    """A number of places, given in order of arrival. The first use of a place starts a process."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.used = 0
        self.opened = 0  # places with a process
        self.last_opened = self.moved = float("-inf")  # the loop's time; `moved`: of the last entry or exit
        self.line: deque[asyncio.Future[None]] = deque()
        self.door: asyncio.TimerHandle | None = None

    async def enter(self) -> bool:
        """Wait for a place. Returns whether there is one; every True must be followed by one `leave`."""
        loop = asyncio.get_running_loop()
        came = loop.time()
        if not self.used and came - self.moved > KEPT_SECONDS:
            self.opened = 0
        if len(self.line) >= MAX_LINE or (self.used == self.places and came - self.moved > PATIENCE):
            return False
        turn = loop.create_future()
        self.line.append(turn)
        self._let_in()
        try:
            while not turn.done():
                left = min(max(self.moved, came) + PATIENCE, came + MAX_WAIT) - loop.time()
                if left <= 0:
                    self.line.remove(turn)
                    return False
                await asyncio.wait([turn], timeout=left)
        except asyncio.CancelledError:
            if turn.done():
                self.leave()
            else:
                self.line.remove(turn)
            raise
        return True

    def leave(self) -> None:
        """Release the place, to the first in the line."""
        self.used -= 1
        self.moved = asyncio.get_running_loop().time()
        self._let_in()

    def _let_in(self) -> None:
        loop = asyncio.get_running_loop()
        while self.line and self.used < self.places:
            if self.used >= self.opened:
                wait = self.last_opened + START_SECONDS - loop.time()
                if wait > 0:
                    if self.door is None or self.door.when() <= loop.time():
                        self.door = loop.call_later(wait, self._let_in)
                    return
                self.opened += 1
                self.last_opened = loop.time()
            self.used += 1
            self.moved = loop.time()
            self.line.popleft().set_result(None)
