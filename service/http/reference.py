"""The API for people at `/docs`: the OpenAPI document as one page that loads nothing."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
Part = Mapping[str, Any]


def page(document: Part) -> str:
    """The document as HTML: each operation with what it takes and what it answers."""
    info, paths = document["info"], document["paths"]
    operations = [
        line
        for path, methods in paths.items()
        for method, operation in methods.items()
        for line in _operation(document, f"{method.upper()} {path}", operation)
    ]
    title = escape(f"{info['title']}: API")
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><meta charset="utf-8"><title>{title}</title>',
            '<meta name="viewport" content="width=device-width">',
            f"<h1>{title}</h1>",
            f"<p>{escape(info['description'])} The same for programs, with every type: "
            '<a href="docs.json">docs.json</a>. Where a key is set, send it as '
            "<code>Authorization: Bearer KEY</code>.</p>",
            *operations,
            "</html>\n",
        ]
    )


def _operation(document: Part, title: str, operation: Part) -> Iterator[str]:
    yield f"<h2>{escape(title)}</h2>"
    yield f"<p>{escape(operation.get('description') or operation['summary'])}</p>"
    body = operation.get("requestBody", {}).get("content", {})
    for media_type, content in body.items():
        yield f"<p>Takes {escape(media_type)}:</p>"
        yield from _fields(document, content["schema"])
    for status, response in operation["responses"].items():
        kinds = ", ".join(response.get("content", {}))
        yield f"<h3>{escape(status)}</h3>"
        yield f"<p>{escape(response['description'])}{escape(f' ({kinds})' if kinds else '')}</p>"
        for content in response.get("content", {}).values():
            yield from _fields(document, content.get("schema", {}))


def _fields(document: Part, schema: Part) -> Iterator[str]:
    """The properties of an object, and of those in it; of what is none, nothing."""
    schema = _resolved(document, schema)
    if not schema.get("properties"):
        return
    needed = schema.get("required", ())
    yield "<dl>"
    for name, given in schema["properties"].items():
        prop = _resolved(document, given)
        told = [_kind(document, given), "required" if name in needed else ""]
        told += [f"default {given['default']}" if given.get("default") is not None else ""]
        yield f"<dt><code>{escape(name)}</code> {escape(', '.join(filter(None, told)))}</dt>"
        yield f"<dd>{escape(given.get('description') or prop.get('description') or '')}"
        yield from _fields(document, prop.get("items", prop))
        yield "</dd>"
    yield "</dl>"


def _resolved(document: Part, schema: Part) -> Part:
    """The schema that a reference names, or the first of several."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = schema["anyOf"][0]
        else:
            return schema


def _kind(document: Part, schema: Part) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(document, one) for one in schema["anyOf"])
    schema = _resolved(document, schema)
    if schema.get("type") == "array":
        return f"list of {_kind(document, schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type", "anything"))
