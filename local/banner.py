"""Prints the run's banner, and one line for each request and job."""

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from local.settings import Settings
from local.webhook_secrets import FILE

PROVIDERS = (
    # name, settings that enable it
    ("bedrock", ("BEDROCK=1",)),
    ("leonardo_ai", ("LEONARDO_API_KEY",)),
    ("runware_ai", ("RUNWARE_API_KEY",)),
    ("gemini", ("GEMINI_API_KEY",)),
    ("comfyui", ("COMFYUI_URL",)),
    ("sagemaker", ("GPU_WORKER_URL", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME")),
)
QUIET_FUNCTIONS = ("api", "authorizer")  # shown as requests


def banner(settings: Settings, url: str, not_served: Sequence[str]) -> str:
    """Return the text to print once the API answers."""
    given = settings.functions
    on = [name for name, switches in PROVIDERS if any(given.get(s.partition("=")[0], "0") != "0" for s in switches)]
    signing = ["WEBHOOK_SECRET"] if "WEBHOOK_SECRET" in given else []
    signing += [str(kept)] if (kept := settings.data_dir / FILE).is_file() else []
    off = [f"{name} ({' or '.join(switches)})" for name, switches in PROVIDERS if name not in on]
    small = "scenes of shapes by demo/scenes-1, the rest " if "DEMO_MODEL_DIR" in given else ""
    demo = f"none configured, so the built-in demo provider answers and says so: {small}by demo/procedural-1"
    lines = [
        f"Image API on {url}    docs: {url}/docs",
        f"  data       {settings.data_dir}  (logs in {settings.data_dir / 'logs'})",
        f"  keys       {'required (API_KEY or API_KEYS)' if given['REQUIRE_API_KEY'] == '1' else 'none needed'}",
        f"  webhooks   signed with the tenant's secret in {' or '.join(signing)}" if signing else "",
        f"  providers  {', '.join(on) or demo}",
        f"  turn on    in .env or the environment: {', '.join(off)}" if off else "",
        *(f"  not served {name}" for name in not_served),
        *(f"  unknown    {name} in .env is read by nothing; is it misspelt?" for name in settings.unknown),
        "  note       AWS_ENDPOINT_URL is yours and stays unused: everything runs on the built-in emulator"
        if settings.user.get("AWS_ENDPOINT_URL")
        else "",
        "  Ctrl-C ends it.",
    ]
    return "\n".join(line for line in lines if line)


class Console:
    """Prints one line for each request and each job."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def request(self, method: str, path: str, status: int, seconds: float, request_id: str) -> None:
        """Print an answered request."""
        colour = 31 if status >= 500 else 33 if status >= 400 else 32
        self._print(f"{method:6} {path}", str(status), colour, seconds * 1000, request_id)

    def event(self, event: dict[str, Any]) -> None:
        """Print the end of a function, as reported by the emulator."""
        job = event["job_id"]
        if event["error"] or (job and event["function"] not in QUIET_FUNCTIONS):
            what = f"{event['function']:6} job {job}" if job else event["function"]
            word, colour = ("failed", 31) if event["error"] else ("done", 36)
            self._print(what, word, colour, event["ms"], event["request_id"])

    def _print(self, what: str, word: str, colour: int, milliseconds: float, request_id: str) -> None:
        if not self.quiet:
            shown = f"\033[{colour}m{word}\033[0m" if self.colours else word
            print(f"{time.strftime('%H:%M:%S')} {what} {shown} {milliseconds:.0f} ms {request_id}", flush=True)
