"""A worker as a process of its own, whose fake model paints when a line comes in on standard input.

`python -m tests.gpu_worker.served [room=…] [broken=…]`: fields of FakeModels; the settings are the environment's.
"""

from __future__ import annotations

import sys
import threading

from gpu_worker import settings
from gpu_worker.http import logs, serve
from tests.gpu_worker.fake_models import FakeModels


def main() -> None:
    models, opened = FakeModels(steps=2), threading.Event()
    for option in sys.argv[1:]:
        name, value = option.split("=")
        setattr(models, name, frozenset(value.split(",")) if name == "broken" else int(value))

    def wait_for_line() -> None:
        if sys.stdin.readline():
            opened.set()

    threading.Thread(target=wait_for_line, daemon=True).start()
    models.at_step = lambda step: opened.wait()
    logs.set_up("INFO")
    serve.run(models, settings.load())


if __name__ == "__main__":
    main()
