"""Cold starts: what importing each function costs, beside a Powertools hello world and a function of JSON alone.

`python -m benchmarks.cold [--rounds N] [--python PATH] [--json]`. Every figure is of a fresh interpreter. The targets
take turns, so that a slow moment of the machine affects all of them, and ratios are taken within a round. Byte code is
compiled beforehand into a folder of its own, that of `lambdas` as it is deployed (never checked against the source), so
neither PYTHONDONTWRITEBYTECODE nor an edit during the run changes a figure. Nothing is sent over a network.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
YARDSTICK, FLOOR = "powertools hello", "json hello"

_REQUEST = """
event = {"resource": "/health", "path": "/health", "httpMethod": "GET", "headers": {}, "multiValueHeaders": {},
         "queryStringParameters": None, "multiValueQueryStringParameters": None, "body": None,
         "isBase64Encoded": False, "requestContext": {"requestId": "r", "path": "/prod/health", "stage": "prod"}}
class Context:
    aws_request_id = function_name = invoked_function_arn = "r"
    memory_limit_in_mb = 1024
    def get_remaining_time_in_millis(self): return 29000
assert handler(event, Context())["statusCode"] == 200
"""
# The start of a deployed function: clients are created and one read is done, here of an AWS in memory.
_PRIMED = """
import lambdas.handlers, os
os.environ["DEPLOYED"] = "1"
from benchmarks.zero_delay import zero_delay
memory = zero_delay()
aws = memory.__enter__()
from {module} import handler
assert aws.calls == 1
"""
_OTHER_CLIENTS = "from lambdas.adapters.aws import client; client('sqs'); client('lambda')"


def _import(module: str) -> str:
    return f"from {module} import handler"


# name: the code that a fresh interpreter runs, and the target it is compared with
TARGETS: dict[str, tuple[str, str]] = {
    "bare python": ("pass", YARDSTICK),
    FLOOR: (_import("benchmarks.hello_json"), YARDSTICK),
    YARDSTICK: (_import("benchmarks.hello_powertools"), YARDSTICK),
    "api": (_import("lambdas.handlers.api"), YARDSTICK),
    "worker": (_import("lambdas.handlers.worker"), YARDSTICK),
    "dead_letter": (_import("lambdas.handlers.dead_letter"), YARDSTICK),
    "webhooks": (_import("lambdas.handlers.webhooks"), YARDSTICK),
    "gpu_result": (_import("lambdas.handlers.gpu_result"), YARDSTICK),
    "authorizer": (_import("lambdas.handlers.authorizer"), YARDSTICK),
    "powertools hello + GET": (_import("benchmarks.hello_powertools") + _REQUEST, YARDSTICK),
    "api + GET /health": (_import("lambdas.handlers.api") + _REQUEST, "powertools hello + GET"),
    "api, deployed": (_PRIMED.format(module="lambdas.handlers.api"), YARDSTICK),
    "... + SQS, Lambda": (_PRIMED.format(module="lambdas.handlers.api") + _OTHER_CLIENTS, YARDSTICK),
    "authorizer, deployed": (_PRIMED.format(module="lambdas.handlers.authorizer"), YARDSTICK),
}
_PROBE = """
import time
print("\\n", time.monotonic_ns(), time.process_time_ns(), end=" ", flush=True)
import os, resource
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
os._exit(0)
"""


class Bench:
    """Runs code in fresh interpreters that find compiled modules in `cache`."""

    def __init__(self, python: str, cache: Path) -> None:
        self.python, self.cache = python, cache
        self.environment = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPYCACHEPREFIX": str(cache),
            "PYTHONPATH": str(ROOT),
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "POWERTOOLS_SERVICE_NAME": "image-api",
            "POWERTOOLS_METRICS_NAMESPACE": "ImageApi",
            **dict.fromkeys(("JOBS_TABLE", "IMAGES_TABLE", "KEYS_TABLE", "IMAGES_BUCKET"), "some-name"),
        }

    def compile(self) -> None:
        """Compile `lambdas` as deployed, and everything else by running each target once."""
        how = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(ROOT / "lambdas")]
        subprocess.run([self.python, *how], env=self.environment, check=True)
        for code, _ in TARGETS.values():
            self.run(code)

    def run(self, code: str) -> tuple[float, float, float]:
        """Return milliseconds from start to ready, milliseconds of CPU time, and the peak memory in MB."""
        began = time.monotonic_ns()
        command = [self.python, "-c", code + _PROBE]
        done = subprocess.run(
            command, env=self.environment, cwd=self.cache, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        ready, cpu, rss = (int(word) for word in done.stdout.splitlines()[-1].split())
        return (ready - began) / 1e6, cpu / 1e6, rss / (1e6 if sys.platform == "darwin" else 1e3)


def measure(python: str, rounds: int) -> list[dict[str, float | str]]:
    """Return one row per target."""
    samples: dict[str, list[tuple[float, float, float]]] = {name: [] for name in TARGETS}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(python, Path(folder))
        bench.compile()
        for _ in range(rounds):
            for name in random.sample(list(TARGETS), len(TARGETS)):
                samples[name].append(bench.run(TARGETS[name][0]))
    return [_row(name, beside, samples) for name, (_, beside) in TARGETS.items()]


def _row(name: str, beside: str, samples: dict[str, list[tuple[float, float, float]]]) -> dict[str, float | str]:
    wall, cpu, rss = zip(*samples[name], strict=True)
    other = [sample[1] for sample in samples[beside]]
    return {
        "target": name,
        "wall_ms": median(wall),
        "cpu_ms": median(cpu),
        "cpu_min_ms": min(cpu),
        "rss_mb": median(rss),
        "beside": beside,
        "ratio": median(mine / its for mine, its in zip(cpu, other, strict=True)),
        "ratio_of_min": min(cpu) / min(other),
    }


def machine(python: str = sys.executable) -> str:
    """Return the interpreter and the machine of the figures."""
    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{version}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--python", default=sys.executable, help="an interpreter that has the functions' packages")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    rows = measure(given.python, given.rounds)
    if given.json:
        print(json.dumps({"machine": machine(given.python), "rounds": given.rounds, "rows": rows}, indent=1))
        return
    print(f"{machine(given.python)}, {given.rounds} rounds.")
    print("From the interpreter's start to ready, in ms and MB; ratios are of CPU time.\n")
    print(f"{'':24}{'wall':>8}{'cpu':>8}{'min':>8}{'MB':>7}{'ratio':>8}{'of min':>8}  beside")
    for r in rows:
        figures = f"{r['wall_ms']:8.1f}{r['cpu_ms']:8.1f}{r['cpu_min_ms']:8.1f}{r['rss_mb']:7.1f}"
        print(f"{r['target']:24}{figures}{r['ratio']:8.2f}{r['ratio_of_min']:8.2f}  {r['beside']}")


if __name__ == "__main__":
    main()
