"""The OpenAPI document for readers: one HTML page without a program, made from the document and from nothing else.

Floor 8. Imports nothing of Starlette's. The style is a file of this package; the policy that travels with the page lets
a browser apply this style and nothing else. Every word is escaped. Links and the order of the page are all that it
takes to use it from the keyboard.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from importlib import resources
from typing import Any

from research_fsm.page.render import source_digest

__all__ = ["HEADERS", "render"]

Document = Mapping[str, Any]

_STYLE = resources.files(__package__).joinpath("reference.css").read_text(encoding="utf-8")

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src '{source_digest(_STYLE)}';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What the page is to be sent with."""

_METHODS = ("get", "post", "put", "patch", "delete")


def render(document: Document) -> str:
    """Return the page of an OpenAPI document as the one that is served here: with tags, and schemas by name."""
    by_tag: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    listed: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, method, operation in _operations(document):
        by_tag[operation["tags"][0]].append(_operation(document, path, method, operation))
        name = escape(operation["operationId"])
        listed[operation["tags"][0]].append(f'<li><a href="#{name}">{name}</a></li>')
    title = escape(document["info"]["title"])
    words = {tag["name"]: escape(tag["description"]) for tag in document["tags"]}
    contents = "".join(f"<h2>{escape(tag)}</h2><ul>{''.join(links)}</ul>" for tag, links in listed.items())
    sections = "".join(
        f'<section aria-labelledby="tag-{escape(tag)}"><h2 id="tag-{escape(tag)}">{escape(tag)}</h2>'
        f"<p>{words[tag]}</p>{''.join(operations)}</section>"
        for tag, operations in by_tag.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}: the HTTP interface</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#operations">Skip to the operations</a>\n<div class="columns">\n'
        f'<nav aria-label="Contents">{contents}<h2>and</h2><ul><li><a href="#schemas">schemas</a></li></ul></nav>\n'
        f'<main id="operations" tabindex="-1">\n<h1>{title}</h1>\n{_opening(document)}\n{sections}\n'
        f'<section aria-labelledby="schemas"><h2 id="schemas">schemas</h2>{_schemas(document)}</section>\n'
        "</main>\n</div>\n</body>\n</html>\n"
    )


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield path, method, methods[method]


def _opening(document: Document) -> str:
    kinds = "".join(
        f"<li><b>{escape(name)}</b>: <code>Authorization: Bearer …</code>. {escape(scheme['description'])}</li>"
        for name, scheme in document["components"]["securitySchemes"].items()
    )
    return (
        f'<p>OpenAPI {escape(document["openapi"])}, for programs: <a href="openapi.json">openapi.json</a>. Whatever'
        f" is answered with a no is <code>application/problem+json</code> with a stable <code>code</code>.</p>"
        f"<p>What opens an operation:</p><ul>{kinds}</ul>"
    )


def _operation(document: Document, path: str, method: str, operation: Document) -> str:
    name = escape(operation["operationId"])
    opened = ", ".join(escape(scheme) for way in operation["security"] for scheme in way) or "nothing: anybody may ask"
    return (
        f'<article aria-labelledby="{name}"><h3 id="{name}"><a href="#{name}"><span class="method {method}">'
        f"{method.upper()}</span><code>{escape(path)}</code></a></h3>"
        f'<p>{escape(operation["summary"])} <span class="quiet">Opened by {opened}.</span></p>'
        f"{_parameters(operation)}{_body(document, operation)}"
        f"<pre>{escape(_curl(document, path, method, operation))}</pre>{_answers(operation)}</article>"
    )


def _parameters(operation: Document) -> str:
    rows = [
        (f"<code>{escape(one['name'])}</code>", one["in"] + (", required" if one.get("required") else ""), _type(one))
        for one in operation["parameters"]
    ]
    return _table("Parameters", ("name", "in", "what it is"), rows)


def _body(document: Document, operation: Document) -> str:
    if "requestBody" not in operation:
        return ""
    (content,) = operation["requestBody"]["content"].values()
    schema = _resolved(document, content["schema"])
    words = f"<p>{escape(schema['description'])}</p>" if "description" in schema else ""
    return _table("Body, JSON", ("member", "", "what it is"), _members(schema)) + words


def _answers(operation: Document) -> str:
    rows = [(f"<b>{escape(status)}</b> {escape(one['description'])}", _answer(one)) for status, one in _all(operation)]
    return _table("Answers", ("status", "what comes with it"), rows)


def _all(operation: Document) -> Iterable[tuple[str, Document]]:
    answers: Mapping[str, Document] = operation["responses"]
    return sorted(answers.items())


def _answer(answer: Document) -> str:
    (content,) = answer["content"].values()
    if "$ref" in content["schema"]:
        return _type(content)
    codes = content["schema"]["properties"]["code"]["enum"]
    return ", ".join(f"<code>{escape(code)}</code>" for code in codes)


def _schemas(document: Document) -> str:
    return "".join(
        f'<article aria-labelledby="schema-{escape(name)}"><h3 id="schema-{escape(name)}">{escape(name)}</h3>'
        f"{_schema(schema)}</article>"
        for name, schema in document["components"]["schemas"].items()
    )


def _schema(schema: Document) -> str:
    return _table("Members", ("member", "", "what it is"), _members(schema)) or f"<p>{_type({'schema': schema})}</p>"


def _members(schema: Document) -> list[tuple[str, str, str]]:
    required = schema.get("required", ())
    return [
        (f"<code>{escape(name)}</code>", "" if name in required else "optional", _type({"schema": member}))
        for name, member in schema.get("properties", {}).items()
    ]


def _type(holder: Document) -> str:
    """Return in words what a schema allows."""
    match holder["schema"]:
        case {"$ref": pointer}:
            name = escape(pointer.rpartition("/")[2])
            return f'<a href="#schema-{name}">{name}</a>'
        case {"anyOf": choices}:
            return " or ".join(_type({"schema": one}) for one in choices)
        case {"enum": values}:
            return " · ".join(f"<code>{escape(json.dumps(one))}</code>" for one in values)
        case {"const": value}:
            return f"<code>{escape(json.dumps(value))}</code>"
        case {"type": "array", "items": items}:
            return f"a list of {_type({'schema': items})}"
        case {"type": kind}:
            return f"{escape(kind if isinstance(kind, str) else ' or '.join(kind))}{_limits(holder['schema'])}"
        case _:
            return "any JSON"


_LIMITS = {
    "minLength": "from {}",
    "maxLength": "to {} characters",
    "minimum": "from {}",
    "maximum": "to {}",
    "format": "{}",
    "pattern": "<code>{}</code>",
}


def _limits(limits: Document) -> str:
    if "description" in limits:
        return f' <span class="quiet">{escape(limits["description"])}</span>'
    said = [words.format(escape(str(limits[name]))) for name, words in _LIMITS.items() if name in limits]
    return f' <span class="quiet">{", ".join(said)}</span>' if said else ""


def _curl(document: Document, path: str, method: str, operation: Document) -> str:
    """Return how to ask it from a shell."""
    parts = ["curl" if method == "get" else f"curl -X {method.upper()}"]
    if operation["security"]:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    if "requestBody" in operation:
        (content,) = operation["requestBody"]["content"].values()
        (example,) = _resolved(document, content["schema"])["examples"]
        parts.append(f"--json '{json.dumps(example)}'")
    return " ".join([*parts, f'"$HOST{path}"'])


def _resolved(document: Document, schema: Document) -> Document:
    if "$ref" not in schema:
        return schema
    found: Document = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _table(title: str, names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        f'<h4>{title}</h4><div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
