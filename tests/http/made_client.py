"""A client that is made from the OpenAPI document when the program runs, and knows nothing else of the interface.

It has one callable per operationId. What it is told goes where the document says: into the path, the query, a header or
the body; what it sends and what it is answered is held against the document's schemas.
"""

from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import jsonschema_rs
from attrs import frozen

__all__ = ["Answered", "MadeClient"]

Schema = Mapping[str, Any]


@frozen
class Answered:
    """An answer that is as the document says."""

    status: int
    value: Any
    links: Mapping[str, Any]


class MadeClient:
    """Asks what the document describes.

    Args:
        document: The OpenAPI document.
        http: Sends requests.
        tokens: What opens an operation, by the name of its security scheme.
    """

    def __init__(self, document: Schema, http: httpx2.Client, tokens: Mapping[str, str]) -> None:
        self._document, self._http, self._tokens = document, http, tokens
        self._operations = {
            operation["operationId"]: (method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    def __getattr__(self, name: str) -> Callable[..., Answered]:
        """Return what asks for an operation."""
        if name not in self._operations:
            raise AttributeError(f"the document has no operation {name}")
        return lambda body=None, **told: self._asked(name, body, told)

    def follow(self, answered: Answered, name: str) -> Answered:
        """Ask what a link of an answer leads to."""
        link = answered.links[name]
        told = {parameter: _pointed_at(answered.value, where) for parameter, where in link["parameters"].items()}
        return self._asked(link["operationId"], None, told)

    def _asked(self, name: str, body: Any, told: Mapping[str, str]) -> Answered:  # noqa: ANN401  # JSON.
        method, path, operation = self._operations[name]
        headers, query = {}, {}
        for parameter in operation["parameters"]:
            if (value := told.get(parameter["name"].replace("-", "_"))) is None:
                assert not parameter.get("required"), parameter["name"]
                continue
            self._hold(value, parameter["schema"])
            match parameter["in"]:
                case "path":
                    path = path.replace(f"{{{parameter['name']}}}", value)
                case "query":
                    query[parameter["name"]] = value
                case _:
                    headers[parameter["name"]] = value
        for scheme in (one for way in operation["security"] for one in way):
            headers["Authorization"] = f"Bearer {self._tokens[scheme]}"
        if body is not None:
            self._hold(body, operation["requestBody"]["content"]["application/json"]["schema"])
        answer = self._http.request(method, path, params=query, headers=headers, json=body)
        return self._held(answer, operation["responses"][str(answer.status_code)])

    def _held(self, answer: httpx2.Response, described: Schema) -> Answered:
        ((media_type, content),) = described["content"].items()
        assert answer.headers["content-type"].partition(";")[0] == media_type
        value = answer.text if media_type == "text/html" else answer.json()
        self._hold(value, content["schema"])
        return Answered(answer.status_code, value, described.get("links", {}))

    def _hold(self, value: Any, schema: Schema) -> None:  # noqa: ANN401  # JSON.
        whole = {**schema, "components": self._document["components"]}
        jsonschema_rs.validator_for(whole, validate_formats=True).validate(value)


def _pointed_at(value: Any, expression: str) -> Any:  # noqa: ANN401  # JSON.
    """Return what a runtime expression of OpenAPI names in the body of an answer."""
    for step in expression.removeprefix("$response.body#/").split("/"):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value
