"""The emulator for the CDK command line: `python -m tests.infra.deploy.emulator`.

It also takes what it cannot make, so that the templates are deployed as they are: saved queries of logs, and alarms
over several metrics. Nothing is made of these, and their own tests read the templates.
"""

from __future__ import annotations

from typing import Any

from ministack.app import main
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS


def take(kind: str, when: str = "") -> None:
    """Take resources of this kind, where they have the property `when`, without making anything."""
    made = _RESOURCE_HANDLERS.get(kind, {})

    def is_taken(properties: dict[str, Any]) -> bool:
        return when in properties if when else True

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        if is_taken(properties):
            return f"{stack}-{logical_id}", {}
        created: tuple[str, dict[str, Any]] = made["create"](logical_id, properties, stack)
        return created

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        if not is_taken(properties):
            made["delete"](physical_id, properties)

    _RESOURCE_HANDLERS[kind] = {"create": create, "delete": delete}


if __name__ == "__main__":
    take("AWS::Logs::QueryDefinition")
    take("AWS::CloudWatch::Alarm", when="Metrics")
    main()
