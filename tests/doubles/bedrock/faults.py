"""The faults of the Bedrock double: AWS's error answers, and malformed answers."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """An error answer: AWS's class, HTTP status and text. `paid` is the worst that may be true of it."""

    error: str
    status: int
    message: str
    paid: bool = False
    headers: dict[str, str] = field(default_factory=dict)


REFUSALS = {
    "throttle": Refusal("ThrottlingException", 429, "Too many requests, please wait before trying again."),
    "not_ready": Refusal("ModelNotReadyException", 429, "The model is not ready for inference. Please try again."),
    "unavailable": Refusal("ServiceUnavailableException", 503, "Service is unavailable. Try again later."),
    "overloaded": Refusal("overloaded_error", 529, "Overloaded", headers={"Retry-After": "2"}),
    "internal": Refusal("InternalServerException", 500, "An internal server error occurred.", paid=True),
    "model_timeout": Refusal("ModelTimeoutException", 408, "The request took too long to process.", paid=True),
    "model_error": Refusal("ModelErrorException", 424, "The model returned an error.", paid=True),
    "quota": Refusal("ServiceQuotaExceededException", 400, "The request exceeds the service quota for your account."),
    "access_denied": Refusal(
        "AccessDeniedException", 403, "User: arn:aws:sts::111122223333:assumed-role/x is not authorized."
    ),
    "agreement": Refusal("AccessDeniedException", 403, "MPAgreementBeingCreated. Try again after 15 minutes."),
    "legacy": Refusal(
        "AccessDeniedException",
        403,
        "Access denied. This Model is marked by provider as Legacy and you have not been actively using the model "
        "in the last 30 days.",
    ),
    "expired_token": Refusal("ExpiredTokenException", 403, "The security token included in the request is expired"),
    "gone": Refusal("ResourceNotFoundException", 404, "This model version has reached the end of its life."),
    "validation": Refusal("ValidationException", 400, "Malformed input request, please reformat your input."),
    "bad_gateway": Refusal("", 502, "<html>Bad Gateway</html>", paid=True),
}


def _json(**answer: Any) -> bytes:
    return json.dumps(answer).encode()


def _cut(image: bytes) -> bytes:
    return image[: len(image) // 2]


def _resized(image: bytes) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(image)) as picture:
        picture.resize((600, 333)).save(out, picture.format)
    return out.getvalue()


def _good(image: bytes, seed: int) -> dict[str, Any]:
    return {"seeds": [seed], "finish_reasons": [None], "images": [base64.b64encode(image).decode()]}


def _with(change: Callable[[bytes], bytes]) -> Callable[[bytes, int], bytes]:
    return lambda image, seed: _json(**_good(change(image), seed))


# Bodies that come under HTTP 200. The first four say that nothing was made.
BODIES: dict[str, Callable[[bytes, int], bytes]] = {
    "moderated_prompt": lambda image, seed: _json(finish_reasons=["Filter reason: prompt"]),
    "moderated_output": lambda image, seed: _json(finish_reasons=["Filter reason: output image"]),
    "inference_error": lambda image, seed: _json(finish_reasons=["Inference error"]),
    "unknown_reason": lambda image, seed: _json(finish_reasons=["Cosmic rays"]),
    "no_images": lambda image, seed: _json(seeds=[seed], finish_reasons=[None], images=[]),
    "errors": lambda image, seed: _json(errors=["something went wrong"]),
    "two_images": lambda image, seed: _json(**{**_good(image, seed), "images": _good(image, seed)["images"] * 2}),
    "wrong_base64": lambda image, seed: _json(**{**_good(image, seed), "images": ["!!!!" + "A" * 400]}),
    "url_safe_base64": lambda image, seed: _json(
        **{**_good(image, seed), "images": [base64.urlsafe_b64encode(image).decode().rstrip("=")]}
    ),
    "base64_in_lines": lambda image, seed: _json(
        **{**_good(image, seed), "images": [base64.encodebytes(image).decode()]}
    ),
    "empty_image": lambda image, seed: _json(**{**_good(image, seed), "images": [""]}),
    "truncated_json": lambda image, seed: _json(**_good(image, seed))[:-40],
    "html": lambda image, seed: b"<html><body>Sign in to the network</body></html>",
    "list": lambda image, seed: b"[1, 2, 3]",
    "deep": lambda image, seed: b'{"images":' * 100_000,
    "huge_integer": lambda image, seed: b'{"seeds":[' + b"9" * 5000 + b"]}",
    "huge": lambda image, seed: _json(finish_reasons=[None], images=["A" * 26_000_000]),
    "truncated_image": _with(_cut),
    "wrong_size": _with(_resized),
}

# Faults of the wire: handled where the answer is sent.
WIRE = frozenset({"slow", "hang", "drip", "drip_headers", "reset", "reset_body", "short_body"})
FAULTS = frozenset({*REFUSALS, *BODIES, *WIRE})
