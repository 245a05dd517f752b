"""Check the addresses of webhooks before their jobs are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from lambdas.domain.errors import FieldError, InvalidRequest
from lambdas.domain.jobs.request import Dropped, ImageRequest
from lambdas.usecases.deps import Deps

_SILENT = Dropped(
    "webhook_url",
    "this address has answered 410 Gone: nothing is sent there until one of its webhooks is replayed",
)
LOOKING = 16  # addresses at the same time: each may wait for a resolver
# Whether an address is silent (it has answered 410, and nothing is sent there), or why it cannot be taken.
Verdict = bool | InvalidRequest


def check_webhooks(requests: Iterable[ImageRequest], tenant: str, deps: Deps) -> Mapping[str, Verdict]:
    """The verdict on each address that one of them names."""
    urls = {request.webhook_url for request in requests if request.webhook_url}
    if len(urls) < 2:
        return {url: _verdict(url, tenant, deps) for url in urls}
    with ThreadPoolExecutor(LOOKING) as pool:
        return dict(zip(urls, pool.map(lambda url: _verdict(url, tenant, deps), urls), strict=True))


def with_webhook(request: ImageRequest, verdicts: Mapping[str, Verdict]) -> ImageRequest:
    """The request, which says so if its address is silent. Raises InvalidRequest for one that cannot be taken."""
    verdict = request.webhook_url is not None and verdicts[request.webhook_url]
    if isinstance(verdict, InvalidRequest):
        raise verdict
    return replace(request, ignored=(*request.ignored, _SILENT)) if verdict else request


def _verdict(url: str, tenant: str, deps: Deps) -> Verdict:
    refusal = deps.webhook_urls.refusal(url)
    if refusal:
        return InvalidRequest(f"webhook_url: {refusal}", errors=(FieldError("webhook_url", refusal),))
    return deps.outbox.disabled(tenant, url, deps.clock.now())
