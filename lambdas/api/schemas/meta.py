"""What a client gets of the service itself."""

from __future__ import annotations

from typing import Literal

from lambdas.api.schemas.common import View


class HealthView(View):
    status: Literal["ok"]
