"""Every section of docs/contract.md is cited by a test, or stands below as not built.

A test cites a section by its name (`test_5_3_a_batch`, `test_5_6_and_12_6_…`) or by the word "contract" and numbers in
a docstring ("Contract 5.7 and 5.8.", "contract 1.2 to 1.4, 12.12").
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent.parent
CONTRACT = (TESTS.parent / "docs" / "contract.md").read_text(encoding="utf-8")

NOT_BUILT = {
    "6.5",  # the studio's page
    *("13.1", "13.2", "13.3"),  # own models and workflows
    *("14.1", "14.2"),  # moderation, provenance
    "15",  # the studio
    "16",  # MCP
    *("17.1", "17.2", "17.3"),  # references and edits
}
# Sections that tests cite, and what of them is not built.
PARTLY_BUILT = {
    "1.2": "GET /postman.json, the studio",
    "5.1": "thumbnail_url and provenance",
    "10": "MODELS_FILE, MODERATION and its settings",
}

NUMBER = r"\d{1,2}(?:\.\d{1,2})?"
IN_A_NAME = re.compile(r"test_((?:\d{1,2}(?:_\d{1,2})?_and_)*\d{1,2}(?:_\d{1,2})?)_[a-z]")
IN_A_TEXT = re.compile(rf"\b[Cc]ontract ({NUMBER}(?:(?:,? and |, | to ){NUMBER})*)")


@cache
def sections() -> list[str]:
    """The numbers of all sections; a chapter without numbered sections is one."""
    found: list[str] = []
    for chapter, body in re.findall(r"(?ms)^## (\d+)\. (.*?)(?=^## |\Z)", CONTRACT):
        found += sorted(re.findall(rf"(?m)^({chapter}\.\d+) ", body), key=order) or [chapter]
    return found


def order(section: str) -> tuple[int, ...]:
    return tuple(map(int, section.split(".")))


def in_name(name: str) -> list[str]:
    """The sections that the name of a test cites; a number alone counts where it is one (`test_11_…`)."""
    match = IN_A_NAME.match(name)
    numbers = [part.replace("_", ".") for part in match[1].split("_and_")] if match else []
    return [number for number in numbers if "." in number or number in sections()]


def in_text(text: str) -> Iterator[str]:
    """The sections that a docstring cites; `a to b` is all from a to b."""
    for cited in IN_A_TEXT.findall(text):
        for part in re.split(r",? and |, ", cited):
            first, _, last = part.partition(" to ")
            if last:
                yield from (s for s in sections() if order(first) <= order(s) <= order(last))
                yield last
            yield first


@cache
def citations() -> dict[str, str]:
    """Each cited section with one test that cites it."""
    found: dict[str, str] = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        if file == Path(__file__):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.FunctionDef)):
                name = getattr(node, "name", "")
                for section in [*in_name(name), *in_text(ast.get_docstring(node) or "")]:
                    found.setdefault(section, f"{file.relative_to(TESTS).as_posix()} {name}".strip())
    return found


def test_every_section_is_cited_by_a_test_or_not_built() -> None:
    uncited = [section for section in sections() if section not in citations().keys() | NOT_BUILT]
    assert uncited == []


def test_what_is_not_built_is_cited_by_no_test() -> None:
    """A section that is built leaves NOT_BUILT with its first test."""
    assert {section: where for section, where in citations().items() if section in NOT_BUILT} == {}


def test_every_citation_and_every_exception_is_of_a_section() -> None:
    cited = citations()
    assert {section: where for section, where in cited.items() if section not in sections()} == {}
    assert set(sections()) >= NOT_BUILT
    assert PARTLY_BUILT.keys() <= cited.keys()


def test_forms_of_citations() -> None:
    assert in_name("test_5_6_and_12_6_a_wrong_filter") == ["5.6", "12.6"]
    assert in_name("test_11_the_demo") == ["11"]
    assert in_name("test_200_requests_at_once") == []
    assert set(in_text("Contract 5.4 to 5.6, 10 and 12.3: jobs.")) == {"5.4", "5.5", "5.6", "10", "12.3"}
