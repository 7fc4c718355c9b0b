"""The document of the interface: complete, readable by others, and true under thousands of questions."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok

from research_fsm import PersonKind
from research_fsm.http import openapi
from research_fsm.http.app import OPERATIONS, create_app
from research_fsm.http.problems import Code
from research_fsm.runs import Runs
from tests.http.service import OWNER, Service

DOCUMENT = "/api/openapi.json"

FIRST, LONG = 12, 600
"""Questions for each operation, by default and in the long search."""


def test_every_operation_is_described() -> None:
    """Nothing is served that the document does not name, and nothing is named that is not served."""
    assert {(operation.method, operation.path) for operation in OPERATIONS} == set(openapi.DESCRIBED)
    names = [described.name for described in openapi.DESCRIBED.values()]
    assert len(set(names)) == len(names)


def test_every_code_is_somewhere_in_it() -> None:
    """But for those that no operation of its own has: a wrong method, and what only a host's own door says."""
    service = Service()
    paths = service.nobody.get(DOCUMENT).json()["paths"]
    found = {
        code
        for operations in paths.values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for code in _codes(answer)
    }
    assert set(map(str, Code)) - found == {str(Code.METHOD_NOT_ALLOWED), str(Code.ALREADY_ADDED)}


def _codes(answer: dict[str, Any]) -> list[str]:
    schema = answer["content"].get("application/problem+json", {}).get("schema", {})
    codes: list[str] = schema.get("properties", {}).get("code", {}).get("enum", [])
    return codes


@pytest.mark.parametrize("prefix", ["", "/research"])
def test_paths_are_as_they_are_served(prefix: str) -> None:
    """Under whatever prefix, and to nobody in particular."""
    from starlette.testclient import TestClient

    client = TestClient(create_app(Runs(Service().store), prefix=prefix))
    answer = client.get(f"{prefix}/openapi.json")
    assert answer.json()["openapi"] == "3.1.0"
    assert f"{prefix}/deep-research/people/{{person_id}}/run" in answer.json()["paths"]


# --- asked at random ----------------------------------------------------------------------------------------------


def asked(questions: int) -> None:
    """Ask each operation so many questions, well-formed and not, and hold every answer against the document."""
    service = Service(credits_=10**6)
    user, partner = service.token(), service.token(OWNER, PersonKind.PARTNER)
    person_id = service.add()
    run_token = service.start(service.add()).token
    service.complete(person_id, {"found": True})
    document = schemathesis.openapi.from_asgi(DOCUMENT, service.app)
    checks = [CHECKS.get_one(name) for name in CHECKED]
    for found in document.get_all_operations():
        assert isinstance(found, Ok), "the document is not what it says it is"
        operation = found.ok()

        @settings(max_examples=questions, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @_given(operation)  # type: ignore[untyped-decorator]  # As hypothesis has it.
        def ask(case: Any) -> None:  # noqa: ANN401  # schemathesis has no type for it that is stable.
            token = {"claim": run_token, "complete": run_token, "fail": run_token}.get(
                case.path.rsplit("/", 1)[-1], user
            )
            if "/v1/" in case.path:
                token = partner
            case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=checks)

        ask()


CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


def _given(operation: Any) -> Any:  # noqa: ANN401  # The same.
    from hypothesis import given

    return given(case=operation.as_strategy())


def test_a_few_questions_to_each_find_nothing() -> None:
    """No error of the server's, no status, type or member that the document does not name."""
    asked(FIRST)


@pytest.mark.long
def test_thousands_of_questions_find_nothing() -> None:
    """Ten thousand and more, over all operations."""
    asked(LONG)
