"""The routes that hand out stored images."""

from __future__ import annotations

from collections.abc import Callable

from lambdas.api.answer import Answer
from lambdas.api.call import Call
from lambdas.api.route import PlainRoute, Route
from lambdas.domain.errors import NotFound
from lambdas.domain.jobs.job import StoredImage
from lambdas.domain.jobs.request import MEDIA_TYPES
from lambdas.usecases.jobs.find import find_image

# A function answers 6,291,556 bytes at the most, and base64 makes of each three bytes four.
MAX_INLINE_BYTES = 4_500_000


def _file(call: Call) -> Answer:
    return _image(call, find_image(call.tenant, call.params["name"], call.deps))


def _stable(call: Call) -> Answer:
    image = find_image(call.tenant, call.params["name"], call.deps)
    if (image.project_id, image.provider) != (call.params["project_id"], call.params["provider"]):
        raise NotFound("no such image")
    return _image(call, image)


def _image(call: Call, image: StoredImage) -> Answer:
    headers = {"X-Image-Provider": image.provider, "Cache-Control": "private, max-age=86400"}
    media_type = MEDIA_TYPES[image.name.rpartition(".")[2]]
    if image.bytes > MAX_INLINE_BYTES:
        headers |= {"Location": call.deps.blobs.presign(image.key), "Cache-Control": "no-store"}
        return Answer(307, content_type=media_type, headers=headers)
    data = call.deps.blobs.get(image.key)
    if data is None:
        raise NotFound("no such image")
    return Answer(200, content_type=media_type, body=data, headers=headers)


def _route(path: str, summary: str, handle: Callable[[Call], Answer] = _file) -> Route:
    return PlainRoute(
        method="GET",
        path=path,
        summary=summary,
        handle=handle,
        answers={200: "image/*", 307: "none"},
        errors=(404, 500),
        tag="files",
    )


ROUTES: tuple[Route, ...] = (
    _route("/download/{name}", "An image by its file name"),
    _route("/files/{name}", "An image of the model service by its file name"),
    _route("/storage/images/{project_id}/{provider}/{name}", "An image by its stable link", _stable),
)
