"""The real CDK command line bootstraps, deploys, updates and removes the stacks on the emulator."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from infra.deploy import cli

pytestmark = [pytest.mark.cdk, pytest.mark.timeout(240)]
REGION = "us-west-2"
ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An emulator of its own: loopback only, in its own process group, gone at the end."""
    folder = tmp_path_factory.mktemp("emulator")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**without_aws(), "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "TMPDIR": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.infra.deploy.emulator"],
            cwd=cli.ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/_ministack/health")
        yield url
    finally:
        end_group(process)


def without_aws() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def wait_for(url: str) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def end_group(process: subprocess.Popen[bytes]) -> None:
    for ending in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)


@pytest.fixture(scope="module")
def cdk(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run the CLI as `make deploy` does, against the emulator."""
    environment = {
        **without_aws(),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "CDK_DISABLE_CLI_TELEMETRY": "1",
    }
    output = tmp_path_factory.mktemp("cdk.out")

    def run(*arguments: str) -> str:
        words = cli.command(*arguments, "--context", "gpu=off", "--output", str(output), "--no-notices", "--no-color")
        result = subprocess.run(
            words, cwd=cli.ROOT, env=environment, check=False, capture_output=True, text=True, timeout=120
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    return run


@pytest.fixture(scope="module")
def client(endpoint: str) -> Callable[[str], Any]:
    def make(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    return make


def stacks(client: Callable[[str], Any]) -> dict[str, Any]:
    listed = client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"]: stack for stack in listed if stack["StackStatus"] != "DELETE_COMPLETE"}


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def api_variables(client: Callable[[str], Any]) -> dict[str, str]:
    [function] = [
        function
        for function in client("lambda").list_functions()["Functions"]
        if function["Handler"] == "lambdas.handlers.api.handler"
    ]
    return dict(function["Environment"]["Variables"])


def test_bootstrap_deploy_update_and_destroy(cdk: Callable[..., str], client: Callable[[str], Any]) -> None:
    cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}")

    cdk("deploy", "--all", "--require-approval", "never")
    deployed = stacks(client)
    assert {"image-api-dev-data", "image-api-dev-service"} <= set(deployed)
    data, service = (outputs(deployed[f"image-api-dev-{name}"]) for name in ("data", "service"))
    assert service["ApiUrl"].endswith("/prod/")
    variables = api_variables(client)
    assert variables["IMAGES_BUCKET"] == data["ImagesBucket"]
    assert variables["PROVIDER_SECRET_ARN"] == data["Secret"]
    assert "RATE_LIMIT_PER_MINUTE" not in variables

    secret = client("secretsmanager")
    secret.put_secret_value(SecretId=data["Secret"], SecretString='{"GEMINI_API_KEY": "k"}')
    cdk("deploy", "--all", "--require-approval", "never", "--context", "RATE_LIMIT_PER_MINUTE=60")
    assert api_variables(client)["RATE_LIMIT_PER_MINUTE"] == "60"
    assert secret.get_secret_value(SecretId=data["Secret"])["SecretString"] == '{"GEMINI_API_KEY": "k"}'
    assert outputs(stacks(client)["image-api-dev-service"])["ApiUrl"] == service["ApiUrl"]

    cdk("destroy", "--all", "--force")
    assert set(stacks(client)) == {"CDKToolkit"}
    assert client("dynamodb").list_tables()["TableNames"] == []
    assert client("lambda").list_functions()["Functions"] == []
