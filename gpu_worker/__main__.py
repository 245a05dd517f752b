"""Runs the worker, the container's command: `python -m gpu_worker serve`."""

from __future__ import annotations

import sys

from gpu_worker import settings
from gpu_worker.http import logs, serve
from gpu_worker.models import registry


def main(arguments: list[str]) -> int:
    """SageMaker starts every container with the one argument `serve`."""
    if arguments not in ([], ["serve"]):
        print("usage: python -m gpu_worker serve", file=sys.stderr)  # noqa: T201 - logging is not set up yet
        return 2
    try:
        wanted = settings.load()
        logs.set_up(wanted.log_level)
    except ValueError as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging is not set up yet
        return 2
    return serve.run(registry.of(wanted), wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
