"""AWS clients of this process: one session, shared with the providers, each client made on first use and kept."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def _session() -> Any:
    import boto3

    boto3.setup_default_session()
    return boto3.DEFAULT_SESSION


@cache
def client(service: str, *, read_timeout: float = 10.0, attempts: int = 3) -> Any:
    """A client with explicit limits. `attempts` counts the first one: 1 means that nothing is sent twice."""
    from botocore.config import Config

    config = Config(
        connect_timeout=3,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        signature_version="s3v4" if service == "s3" else None,  # pre-signed URLs default to the older v2 otherwise
        max_pool_connections=10,
        tcp_keepalive=True,
    )
    return _session().client(service, config=config)
