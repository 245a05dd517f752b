"""Defines the saved queries of the logs, in Logs Insights; docs/logs.md has the fields that they name."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_logs as logs
from constructs import Construct

QUERIES = {
    "one request": """
        fields @timestamp, @log, message, method, path, endpoint, status, error_code, tenant, job_id, provider, model,
            cost_usd, ms, seconds, latency_ms, exception_name
        | filter request_id = "REQUEST_ID" or job_id = "JOB_ID"
        | sort @timestamp asc
        | limit 1000
    """,
    "errors by provider": """
        filter ispresent(GenerationFailures.0)
        | stats count(*) as failures by provider, model, outcome, error_code
        | sort failures desc
    """,
    "slowest generations": """
        filter message = "job ended" and status = "completed"
        | fields @timestamp, seconds, provider, model, attempts, tenant, project_id, job_id, request_id
        | sort seconds desc
        | limit 50
    """,
    "cost by tenant": """
        filter message = "job ended"
        | stats sum(cost_usd) as usd, count(*) as jobs by tenant
        | sort usd desc
    """,
}


def add_queries(
    scope: Construct, environment: str, *, functions: Sequence[logs.ILogGroup], access_log: logs.ILogGroup
) -> None:
    """Save each query in the environment's folder, over the logs of all functions; the first over the gateway's too."""
    for name, text in QUERIES.items():
        groups = [*functions, access_log] if name == "one request" else functions
        logs.CfnQueryDefinition(
            scope,
            "Query" + name.title().replace(" ", ""),
            name=f"image-api-{environment}/{name}",
            query_string="\n".join(line.strip() for line in text.strip().splitlines()),
            log_group_names=[group.log_group_name for group in groups],
        )
