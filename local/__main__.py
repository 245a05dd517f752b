"""Runs the project's verbs, `python -m local run | test | synth | deploy | …`, also on machines without make."""

import signal
import sys
import threading
from types import FrameType

from local.verbs import VERBS, do, enter_environment, install


def run() -> int:
    """Serve until Ctrl-C. Returns 1 after printing the reason if that fails."""
    from local import settings
    from local.emulator.emulator import EmulatorError
    from local.emulator.template import DeployError
    from local.stack import Stack

    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
    try:
        with Stack(settings.load(), quiet=False) as stack:
            print(stack.banner, flush=True)
            while not ended.wait(0.5):
                if stack.ended():
                    raise EmulatorError(f"The emulator ended by itself; see {stack.emulator.log}.")
            print("Ending ...", flush=True)
    except (settings.SettingsError, EmulatorError, DeployError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def main(arguments: list[str]) -> int:
    """Run a verb. Returns its exit status."""
    verb = arguments[0] if arguments else ""
    if verb not in VERBS:
        print(f"usage: python -m local {'|'.join(VERBS)}", file=sys.stderr)
        return 2
    enter_environment(arguments)
    install(verb)
    return run() if verb == "run" else do(verb, arguments[1:])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
