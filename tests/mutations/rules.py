"""Guards of the rules: money, limits, names, the cache, routing, and retries of webhooks."""

from __future__ import annotations

from typing import Final

from tests.mutations.mutation import Mutation

MONEY: Final = "domain/limits/budget.py"
SLOTS: Final = "domain/limits/slots.py"
REQUEST: Final = "domain/jobs/request.py"
JOB: Final = "domain/jobs/job.py"
BUDGET: Final = ("domain/limits/test_budget.py", "usecases/money/test_budget.py")

RULES: Final = (
    Mutation(
        "the cheapest model of the plan is reserved",
        MONEY,
        "dearest = max((_price(card, job)",
        "dearest = min((_price(card, job)",
        BUDGET,
    ),
    Mutation(
        "one image is reserved for many",
        MONEY,
        "reserved_microusd=price * job.request.n + microusd(text_usd)",
        "reserved_microusd=price + microusd(text_usd)",
        BUDGET,
    ),
    Mutation(
        "the cutting out is not reserved",
        MONEY,
        "return card.price_usd + (remover.price_usd if remover else 0.0)",
        "return card.price_usd",
        BUDGET,
    ),
    Mutation(
        "an answer of the cache reserves",
        MONEY,
        "if job.final or not caps.any:",
        "if not caps.any:",
        BUDGET,
    ),
    Mutation(
        "a call whose cost is known is a loss as well",
        JOB,
        'return self.paid == "unknown" and self.outcome != "success" and not self.cost_usd',
        'return self.paid == "unknown" and self.outcome != "success"',
        (*BUDGET, "usecases/money/test_what_was_paid.py"),
    ),
    Mutation(
        "a free attempt makes a job begun",
        JOB,
        'any(attempt.paid != "no" for attempt in self.attempts)',
        "bool(self.attempts)",
        ("usecases/images/test_room.py", "usecases/images/test_restart.py"),
    ),
    Mutation(
        "a job that was given back counts as a crash",
        JOB,
        "return self.fence - self.released",
        "return self.fence",
        ("usecases/images/test_room.py",),
    ),
    Mutation(
        "a call's own slot counts twice",
        SLOTS,
        "if other.until > now and name != call}",
        "if other.until > now}",
        ("domain/limits/test_slots.py",),
    ),
    Mutation(
        "an expired slot is held",
        SLOTS,
        "if other.until > now and name != call}",
        "if name != call}",
        ("domain/limits/test_slots.py",),
    ),
    Mutation(
        "one tenant may take every slot",
        SLOTS,
        "own < min(3 * free, share(cap))",
        "own < 3 * free",
        ("domain/limits/test_slots.py",),
    ),
    Mutation(
        "a name that begins like a call's is one",
        "domain/ids.py",
        "_ASYNC_KEY.fullmatch(async_key)",
        "_ASYNC_KEY.match(async_key)",
        ("domain/test_ids.py", "handlers/test_gpu_result.py"),
    ),
    Mutation(
        "an image without a seed comes from the cache",
        REQUEST,
        "if not self.cache or self.seed is None:",
        "if not self.cache:",
        ("domain/test_cache_key.py",),
    ),
    Mutation(
        "the negative prompt does not count for the cache",
        REQUEST,
        '_THE_CLIENTS_OWN = frozenset({"labels",',
        '_THE_CLIENTS_OWN = frozenset({"labels", "negative_prompt",',
        ("domain/test_cache_key.py",),
    ),
    Mutation(
        "a seed of 0 is drawn",
        "domain/routing/planning.py",
        "return rng.randint(max(1, card.seed_min),",
        "return rng.randint(card.seed_min,",
        ("domain/routing/test_planning.py",),
    ),
    Mutation(
        "the last image's seed is out of range",
        "domain/routing/planning.py",
        "min(card.seed_max, MAX_SEED) - request.n)",
        "min(card.seed_max, MAX_SEED))",
        ("domain/routing/test_planning.py",),
    ),
    Mutation(
        "a row of failures is one longer",
        "domain/routing/health.py",
        "health.streak >= TRIP_AFTER",
        "health.streak > TRIP_AFTER",
        ("domain/routing/test_health.py",),
    ),
    Mutation(
        "a second caller gets the probe",
        "domain/routing/health.py",
        'return "no" if now < health.probe_until else "probe"',
        'return "probe"',
        ("domain/routing/test_health.py",),
    ),
    Mutation(
        "one call more may be paid in vain",
        "domain/routing/fallback.py",
        "losses < MAX_LOSSES)",
        "losses <= MAX_LOSSES)",
        ("domain/routing/test_fallback.py",),
    ),
    Mutation(
        "a webhook is tried a 13th time",
        "domain/webhooks.py",
        "    if attempts >= MAX_ATTEMPTS:\n        return None\n    wait = SCHEDULE[attempts - 1]",
        "    if attempts > MAX_ATTEMPTS:\n        return None\n    wait = SCHEDULE[min(attempts, 11) - 1]",
        ("domain/test_webhooks.py",),
    ),
    Mutation(
        "a receiver may ask for any wait",
        "domain/webhooks.py",
        "min(retry_after or 0.0, MAX_RETRY_AFTER)",
        "retry_after or 0.0",
        ("domain/test_webhooks.py",),
    ),
)
