"""The routes that hand out stored images, as they are or transformed."""

from __future__ import annotations

from lambdas.api import limits
from lambdas.api.answer import Answer
from lambdas.api.call import Call
from lambdas.api.route import PlainRoute, QueryRoute, Route
from lambdas.api.routes._variants import planned
from lambdas.api.schemas.delivery import TransformQuery
from lambdas.domain.delivery import Recipe
from lambdas.domain.errors import NotFound
from lambdas.domain.jobs.job import StoredImage
from lambdas.domain.jobs.request import MEDIA_TYPES
from lambdas.usecases.delivery import compute_variant, variant_key
from lambdas.usecases.jobs.find import find_image

# A function answers 6,291,556 bytes at the most, and base64 makes of each three bytes four.
MAX_INLINE_BYTES = 4_500_000
KEYED_SECONDS = 86_400  # that a client with a key may keep a file
SHARED_SECONDS = 3600  # that anybody may keep one by a signed link, so for how long it may outlive its deletion
SAFE = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"}


def _file(call: Call) -> Answer:
    return _original(call, find_image(call.tenant, call.params["name"], call.deps), {})


def _stable(call: Call, query: TransformQuery) -> Answer:
    image = find_image(call.tenant, call.params["name"], call.deps)
    if (image.project_id, image.provider) != (call.params["project_id"], call.params["provider"]):
        raise NotFound("no such image")
    headers = {"Vary": "Accept"} if query.format == "auto" else {}
    if query.expires is not None:
        seconds = max(0, min(SHARED_SECONDS, int(query.expires - call.deps.clock.now())))
        headers["Cache-Control"] = f"public, max-age={seconds}"
    recipe = planned(call, image, query.wish())
    return _original(call, image, headers) if recipe is None else _variant(call, image, recipe, headers)


def _original(call: Call, image: StoredImage, more: dict[str, str]) -> Answer:
    headers = _headers(image, image.id, image.name) | more
    media_type = MEDIA_TYPES[image.name.rpartition(".")[2]]
    if _is_known(call, headers["ETag"]):
        return Answer(304, headers=headers)
    if image.bytes > MAX_INLINE_BYTES:
        return _elsewhere(call, image.key, media_type, headers)
    data = call.deps.blobs.get(image.key)
    if data is None:
        raise NotFound("no such image")
    return Answer(200, content_type=media_type, body=data, headers=headers)


def _variant(call: Call, image: StoredImage, recipe: Recipe, more: dict[str, str]) -> Answer:
    """A variant that has to be computed counts as a request of its tenant; a stored one does not."""
    headers = _headers(image, f"{image.id}.{recipe.digest}", f"{image.id}.{recipe.extension}") | more
    if _is_known(call, headers["ETag"]):
        return Answer(304, headers=headers)
    key = variant_key(call.tenant, image, recipe)
    data = call.deps.blobs.get(key)
    if data is None:
        headers |= limits.count(call)
        data = compute_variant(call.tenant, image, recipe, call.deps)
    if len(data) > MAX_INLINE_BYTES:
        return _elsewhere(call, key, recipe.media_type, headers)
    return Answer(200, content_type=recipe.media_type, body=data, headers=headers)


def _headers(image: StoredImage, tag: str, name: str) -> dict[str, str]:
    """An image never changes under its id, nor a variant under its digest, so that names them for good."""
    return {
        "X-Image-Provider": image.provider,
        "Cache-Control": f"private, max-age={KEYED_SECONDS}",
        "ETag": f'"{tag}"',
        "Content-Disposition": f'inline; filename="{name}"',
        **SAFE,
    }


def _is_known(call: Call, tag: str) -> bool:
    """Whether the client has it already (RFC 9110, 13.1.2: the comparison is weak, and `*` is any)."""
    sent = [part.strip().removeprefix("W/") for part in call.headers.get("if-none-match", "").split(",")]
    return tag in sent or "*" in sent


def _elsewhere(call: Call, key: str, media_type: str, headers: dict[str, str]) -> Answer:
    """A redirection ends with its pre-signed URL, so nobody may keep it."""
    headers |= {"Location": call.deps.blobs.presign(key), "Cache-Control": "no-store"}
    return Answer(307, content_type=media_type, headers=headers)


ROUTES: tuple[Route, ...] = (
    *(
        PlainRoute(  # clients of these older routes may send a parameter of their own, such as ?t=1 against caches
            method="GET",
            path=path,
            summary=summary,
            handle=_file,
            headers=("If-None-Match",),
            answers={200: "image/*", 304: "none", 307: "none"},
            errors=(404, 500),
            tag="files",
        )
        for path, summary in (
            ("/download/{name}", "An image by its file name"),
            ("/files/{name}", "An image of the model service by its file name"),
        )
    ),
    QueryRoute(
        method="GET",
        path="/storage/images/{project_id}/{provider}/{name}",
        summary="An image by its stable link, as it is or transformed; with a key, or with a signature in its place",
        handle=_stable,
        query=TransformQuery,
        once=True,
        linked=True,
        headers=("If-None-Match",),
        answers={200: "image/*", 304: "none", 307: "none"},
        errors=(400, 404, 500),
        tag="files",
    ),
)
