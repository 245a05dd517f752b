"""The saved queries of the logs name fields that are written, and read the logs that have them."""

from __future__ import annotations

import json
import re

import pytest

from infra.constructs.queries import QUERIES
from infra.constructs.rest_api import ACCESS_LOG
from tests.api.test_logs import DOCS, everything
from tests.infra.conftest import Templates, resolved
from tests.support.log_lines import fields, lines, written

OF_INSIGHTS = {"@timestamp", "@log", "@message"}
WORDS = {
    "fields",
    "filter",
    "stats",
    "sort",
    "limit",
    "by",
    "as",
    "and",
    "or",
    "asc",
    "desc",
    "sum",
    "count",
    "ispresent",
}


def names(query: str) -> set[str]:
    """The fields that a query reads; a name that it gives itself is none."""
    bare = re.sub(r'"[^"]*"', "", query)
    own = set(re.findall(r"\bas (\w+)", bare))
    return set(re.findall(r"@?[A-Za-z_][\w.]*", bare)) - WORDS - own


@pytest.fixture(scope="module")
def emitted() -> set[str]:
    with written() as text:
        everything()
    return {name for line in lines(text) for name in fields(line)}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_names_fields_that_there_are(name: str, emitted: set[str]) -> None:
    known = emitted | OF_INSIGHTS | (set(ACCESS_LOG) if name == "one request" else set())
    assert names(QUERIES[name]) <= known
    assert names(QUERIES[name]) - OF_INSIGHTS


def test_the_parser_of_this_test_finds_a_wrong_field() -> None:
    assert names('filter message = "x" and nonsense > 1 | stats sum(cost_usd) as usd by tenant | sort usd desc') == {
        "message",
        "nonsense",
        "cost_usd",
        "tenant",
    }


def test_the_stack_has_the_queries_over_all_logs(templates: Templates) -> None:
    made = {q["Name"]: q for q in templates.properties("AWS::Logs::QueryDefinition").values()}
    assert set(made) == {f"image-api-{templates.environment}/{name}" for name in QUERIES}
    functions = {
        function["LoggingConfig"]["LogGroup"]["Ref"][:-8]
        for function in templates.properties("AWS::Lambda::Function").values()
    }
    for name, query in made.items():
        logs = {resolved(group) for group in query["LogGroupNames"]}
        assert logs == functions | ({"GatewayAccessLog"} if name.endswith("one request") else set())
        assert query["QueryString"] == re.sub(r"\n\s+", "\n", QUERIES[name.partition("/")[2]].strip())


def test_the_docs_list_the_queries_and_the_access_logs_fields() -> None:
    text = (DOCS / "logs.md").read_text("utf-8")
    queries = text.partition("## Saved queries")[2].partition("## Fields")[0]
    assert set(re.findall(r"^\| `([\w ]+)` \|", queries, re.MULTILINE)) == set(QUERIES)
    assert set(re.findall(r"`(\w+)`", text.partition("The access log has")[2])) == set(ACCESS_LOG)
    runbook = (DOCS / "runbook.md").read_text("utf-8")
    assert set(re.findall(r"saved query `([\w ]+)`", runbook)) == set(QUERIES)
    assert json.dumps(sorted(ACCESS_LOG)).islower()
