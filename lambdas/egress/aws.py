"""Clients of AWS: the one place where they are made and configured.

All come from boto3's default session: another one would parse its tables anew, 45 ms each time.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

from lambdas import USER_AGENT

IDLE_SECONDS: Final = 20.0  # a Lambda that was frozen may wake with connections that the peer has dropped
_making: Final = Lock()  # boto3's session is not safe to be used by several threads


def client(
    service: str, *, region: str | None = None, connect_timeout: float, read_timeout: float, attempts: int
) -> Any:
    """A new client. `read_timeout` is of one wait; `attempts` counts the first one: 1 sends nothing twice.

    Raises ValueError where an address of the settings cannot be used.
    """
    import boto3
    import botocore
    from botocore.config import Config

    s3 = service == "s3"
    config = Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        signature_version="s3v4" if s3 else None,  # pre-signed URLs default to the older v2 otherwise
        # The name of the bucket's own region. The global one redirects a new bucket for a day, which breaks the
        # signature, and knows no region made after March 2019. An endpoint that is an IP address keeps the path style.
        s3={"addressing_style": "virtual"} if s3 else None,
        tcp_keepalive=True,
        user_agent=f"{USER_AGENT} Botocore/{botocore.__version__}",  # botocore's own is composed anew at each call
    )
    with _making:
        make: Any = boto3.client
        made = make(service, region_name=region, config=config)
    _ = urlsplit(made.meta.endpoint_url).port  # which botocore would read in the midst of a call
    return made


class Clients:
    """Clients for calls that are sent once, under a deadline that is kept around them. Threads share them."""

    def __init__(self, *, connect_timeout: float, read_timeout: float) -> None:
        self._limits = {"connect_timeout": connect_timeout, "read_timeout": read_timeout}
        self._lock = Lock()
        self._used_at: dict[Any, float] = {}
        self.made: dict[tuple[str, str | None], Any] = {}

    def get(self, service: str, region: str | None = None) -> Any:
        """The client, made on first use. Raises ValueError where an address of the settings cannot be used."""
        key = service, region
        with self._lock:
            if key not in self.made:
                self.made[key] = client(service, region=region, attempts=1, **self._limits)
            now = time.time()  # the wall clock: a monotonic one may stand still while a Lambda is frozen
            if now - self._used_at.get(key, now) > IDLE_SECONDS:
                self.made[key].close()  # only its idle connections; it opens new ones
            self._used_at[key] = now
            return self.made[key]
