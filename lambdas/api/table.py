"""Every path of the API and the group of routes that serves it, imported at the group's first request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lambdas.api.route import Route

# A group is a module of lambdas.api.routes, and lists its routes in the same order.
GROUPS: dict[str, tuple[str, ...]] = {
    "meta": ("GET /health", "GET /docs", "GET /openapi.json"),
    "generation": ("POST /generate", "POST /generate-image", "POST /v1/generate"),
    "backgrounds": ("POST /v1/backgrounds",),
    "images": ("POST /v1/images/generations", "POST /v1/images/edits", "POST /v1/images/variations"),
    "models": (
        "GET /v1/models",
        "GET /v1/models/{model_id}",
        "GET /v1/models/{owner}/{model_id}",
        "POST /v1/models/purge",
    ),
    "files": ("GET /download/{name}", "GET /files/{name}", "GET /storage/images/{project_id}/{provider}/{name}"),
    "uploads": ("POST /v1/uploads",),
    "providers": ("GET /unified/providers",),
    "jobs": (
        "GET /unified/jobs",
        "GET /unified/jobs/{job_id}",
        "DELETE /unified/jobs/{job_id}",
        "DELETE /unified/jobs/{job_id}/images/{image_id}",
        "GET /v1/jobs/{job_id}",
    ),
    "links": ("POST /unified/jobs/{job_id}/images/{image_id}/link",),
    "unified": (
        "POST /unified/generate",
        "POST /unified/generate/quick",
        "POST /unified/generate/batch",
        "GET /unified/batches/{batch_id}",
    ),
    "plan": ("POST /unified/plan", "GET /unified/budget"),
    "prompts": ("POST /unified/validate-prompt", "GET /unified/prompt-validator/health"),
    "projects": ("GET /unified/projects", "POST /unified/projects", "GET /unified/projects/{project_id}"),
    "analytics": ("GET /unified/analytics",),
    "metrics": ("GET /metrics",),
    "webhooks": ("GET /unified/webhooks", "POST /unified/webhooks/{job_id}/replay"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One route by its method and the parts of its path; `number` counts within the group."""

    method: str
    parts: tuple[str, ...]
    group: str
    number: int

    def params(self, asked: list[str]) -> dict[str, str] | None:
        """The parameters of a path of this route; `None` for any other path."""
        if len(asked) != len(self.parts):
            return None
        found: dict[str, str] = {}
        for part, sent in zip(self.parts, asked, strict=True):
            if part.startswith("{") and sent:
                found[part[1:-1]] = sent
            elif part != sent:
                return None
        return found


def _rows() -> tuple[Row, ...]:
    """Exact paths go before those with parameters, and the first that fits counts."""
    rows = []
    for group, lines in GROUPS.items():
        for number, line in enumerate(lines):
            method, path = line.split(" ")
            rows.append(Row(method, tuple(path.split("/")), group, number))
    return tuple(sorted(rows, key=lambda row: any(part.startswith("{") for part in row.parts)))


ROWS = _rows()


def find(method: str, path: str) -> tuple[Row, dict[str, str]] | None:
    """The row of this request and the parameters of its path."""
    asked = path.split("/")
    for row in ROWS:
        if row.method == method and (params := row.params(asked)) is not None:
            return row, params
    return None


def methods(path: str) -> list[str]:
    """The methods that this path takes."""
    asked = path.split("/")
    return sorted({row.method for row in ROWS if row.params(asked) is not None})


def template(path: str) -> str | None:
    """The path's route, whatever the method, such as `/unified/jobs/{job_id}`."""
    asked = path.split("/")
    return next(("/".join(row.parts) for row in ROWS if row.params(asked) is not None), None)


@cache
def routes(group: str) -> tuple[Route, ...]:
    """Import a group. Raises LookupError where it is not as listed above."""
    found: tuple[Route, ...] = import_module(f"lambdas.api.routes.{group}").ROUTES
    lines = tuple(f"{route.method} {route.path}" for route in found)
    if lines != GROUPS[group]:
        raise LookupError(f"the table and {group}.ROUTES differ: {sorted({*lines} ^ {*GROUPS[group]})}")
    return found


def every_route() -> tuple[Route, ...]:
    """Import every group."""
    return tuple(route for group in GROUPS for route in routes(group))
