"""A reference model of a month's books in memory."""

from __future__ import annotations

from dataclasses import dataclass

from lambdas.domain.jobs.job import Job
from lambdas.domain.limits import budget
from lambdas.domain.limits.budget import Caps


@dataclass
class Books:
    committed_microusd: int = 0
    spent_microusd: int = 0
    lost_microusd: int = 0
    committed_images: int = 0
    images: int = 0

    def reserve(self, job: Job, caps: Caps) -> bool:
        money, images = job.reserved_microusd, job.reserved_images
        if money and caps.microusd and self.committed_microusd + money > caps.microusd:
            return False
        if images and caps.images and self.committed_images + images > caps.images:
            return False
        self.committed_microusd += money
        self.committed_images += images
        return True

    def settle(self, job: Job) -> None:
        change = budget.settlement(job)
        self.committed_microusd += change.committed_microusd
        self.spent_microusd += change.spent_microusd
        self.lost_microusd += change.lost_microusd
        self.committed_images += change.committed_images
        self.images += change.images
