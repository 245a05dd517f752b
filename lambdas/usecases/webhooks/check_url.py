"""Look at the addresses of webhooks before their jobs are made."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from lambdas.domain.errors import FieldError, InvalidRequest
from lambdas.usecases.deps import Deps

LOOKING = 16  # addresses at the same time: each may wait for a resolver
# Whether an address is silent (it has answered 410, and nothing is sent there), or why it cannot be taken.
Verdict = bool | InvalidRequest


def check_webhooks(urls: Collection[str], tenant: str, deps: Deps) -> Mapping[str, Verdict]:
    """The verdict on each."""
    if len(urls) < 2:
        return {url: _verdict(url, tenant, deps) for url in urls}
    with ThreadPoolExecutor(LOOKING) as pool:
        return dict(zip(urls, pool.map(lambda url: _verdict(url, tenant, deps), urls), strict=True))


def _verdict(url: str, tenant: str, deps: Deps) -> Verdict:
    refusal = deps.webhook_urls.refusal(url)
    if refusal:
        return InvalidRequest(f"webhook_url: {refusal}", errors=(FieldError("webhook_url", refusal),))
    return deps.outbox.disabled(tenant, url, deps.clock.now())
