"""Removes guards one at a time: the tests that ought to notice are run, and must fail."""

from __future__ import annotations

from typing import Final

from tests.mutations.answers import ANSWERS
from tests.mutations.delivery import DELIVERY
from tests.mutations.images import IMAGES
from tests.mutations.jobs import JOBS
from tests.mutations.mutation import Mutation
from tests.mutations.outside import OUTSIDE
from tests.mutations.records import RECORDS
from tests.mutations.rules import RULES

MUTATIONS: Final[tuple[Mutation, ...]] = (*IMAGES, *ANSWERS, *DELIVERY, *JOBS, *RECORDS, *RULES, *OUTSIDE)
