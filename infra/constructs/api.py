"""Defines the API: its gateway, the function behind all routes, and the authorizer."""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct

from infra import grants
from infra.config import Environment
from infra.constructs.function import Functions, FunctionSpec
from infra.constructs.generation import Generation
from infra.constructs.jobs import Jobs
from infra.constructs.rest_api import RestApi
from infra.constructs.webhooks import Webhooks
from infra.data_stack import DataStack, origins

HANDLER = FunctionSpec("lambdas.handlers.api.handler", 29, 1024, "Answers every route")
AUTHORIZER = FunctionSpec("lambdas.handlers.authorizer.handler", 5, 256, "Finds the tenant of a key")


class Api:
    """Adds its children to `scope` itself: a construct in between would change their logical ids, and the API's URL."""

    def __init__(
        self,
        scope: Construct,
        functions: Functions,
        data: DataStack,
        generation: Generation,
        jobs: Jobs,
        webhooks: Webhooks,
        *,
        environment: Environment,
        settings: Mapping[str, str],
    ) -> None:
        handler = functions.add(
            "Api",
            HANDLER,
            {
                **generation.variables,
                **jobs.variables,
                **webhooks.variables,
                "WORKER_FUNCTION": jobs.worker.function_name,
                "KEYS_TABLE": data.keys.name,
            },
            [
                *generation.statements,
                jobs.send,
                webhooks.send,
                grants.link_keys(data.keys),
                grants.allow(("sqs:GetQueueAttributes",), jobs.queues.queue.queue_arn),  # for the backlog
                grants.allow(("lambda:InvokeFunction",), jobs.worker.function_arn),
            ],
        )
        generation.accept_findings(handler)
        authorizer = functions.add(
            "Authorizer",
            AUTHORIZER,
            {"KEYS_TABLE": data.keys.name, "REQUIRE_API_KEY": settings.get("REQUIRE_API_KEY", "1")},
            [grants.table(data.keys, "GetItem")],
        )
        self.handler, self.authorizer = handler.function, authorizer.function
        gateway = RestApi(
            scope,
            "Gateway",
            name=f"image-api-{environment.name}",
            handler=self.handler,
            authorizer=self.authorizer,
            throttle=(environment.throttle_rate, environment.throttle_burst),
            origins=origins(environment, settings),
            log_retention=functions.log_retention,
        )
        self.rest, self.access_log = gateway.api, gateway.access_log
