"""The durations of the job protocol in templates and code agree."""

from __future__ import annotations

from lambdas.domain import webhooks
from lambdas.settings import Settings
from lambdas.usecases.jobs import handle_message, run_job, submit_job
from lambdas.usecases.webhooks import replay
from tests.infra.conftest import Templates


def test_no_watchdog_comes_before_its_record_is_written_or_never_will_be(templates: Templates) -> None:
    """It would take the job for one that never came to be, and let go."""
    assert templates.function("api")["Timeout"] < submit_job.WATCHDOG_SECONDS


def test_an_attempt_has_ended_before_the_next_may_begin(templates: Templates) -> None:
    """The function that holds a delivery's lease is dead when it passes, and has time to write after its POST."""
    assert webhooks.POST_SECONDS < templates.function("webhooks")["Timeout"] < webhooks.LEASE_SECONDS


def test_a_watchdog_finds_the_lease_of_a_run_that_died_before_it_passed(templates: Templates) -> None:
    """A run renews its lease well before it passes; the function is alive for longer than a lease."""
    assert 2 * run_job.BEAT_SECONDS < run_job.LEASE_SECONDS < submit_job.WATCHDOG_SECONDS
    assert templates.function("worker")["Timeout"] > run_job.LEASE_SECONDS


def test_the_first_message_of_a_replay_comes_after_its_function_has_ended(templates: Templates) -> None:
    assert templates.function("api")["Timeout"] < replay.SAFE_SECONDS


def test_a_job_is_given_up_after_all_that_it_may_honestly_wait_for_and_before_its_messages_are(
    templates: Templates,
) -> None:
    """Lambda's own guard is off for what goes round by messages: the end of a job's life ends them."""
    waits = Settings().max_queue_seconds + run_job.MAX_RUNS * templates.function("worker")["Timeout"]
    [queue] = [q for id, q in templates.properties("AWS::SQS::Queue").items() if id[:-8] == "JobQueue"]
    assert waits < handle_message.LIFE_SECONDS < queue["MessageRetentionPeriod"]


def test_an_event_is_kept_for_longer_than_its_attempts_take() -> None:
    """Its messages end with it. Receivers that ask for a day each time are told so many times as fit."""
    assert sum(webhooks.SCHEDULE) * (1 + webhooks.JITTER) < webhooks.KEPT_SECONDS
