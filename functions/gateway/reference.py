"""The page `/docs`: the OpenAPI document for people, in one file that fetches nothing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

_NOTHING_ELSE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { border-bottom: 1px solid #8886; margin-top: 2.5rem } h3 code { font-size: 1.05rem }
summary { cursor: pointer } table { border-collapse: collapse }
td, th { border-bottom: 1px solid #8884; padding: .2rem .8rem .2rem 0; text-align: left;
  vertical-align: top }
pre { background: #8881; padding: .8rem; overflow-x: auto; font-size: .85rem }
:root { color-scheme: light dark }
"""

_Json = Mapping[str, Any]


def add_reference(app: FastAPI) -> None:
    """Adds the page; FastAPI's own would load its scripts from elsewhere."""

    @app.get("/docs", include_in_schema=False)
    def get_docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()), headers=_NOTHING_ELSE)


def page(document: _Json) -> str:
    """An OpenAPI document as HTML."""
    info = document["info"]
    parts = [
        f"<h1>{escape(info['title'])}</h1><pre>{escape(info['description'])}</pre>",
        '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>',
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts += _operation(method, path, operation)
    parts.append("<h2>Schemas</h2>")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts += _schema(name, schema)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>'
        f"{escape(info['title'])}</title><style>{_STYLE}</style></head><body>"
        f"{''.join(parts)}</body></html>"
    )


def _operation(method: str, path: str, operation: _Json) -> Iterator[str]:
    yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
    yield f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"
    if parameters := operation.get("parameters"):
        rows = [
            (
                f"<code>{escape(one['name'])}</code>",
                escape(one["in"]),
                escape(one.get("description", "")),
            )
            for one in parameters
        ]
        yield _table(("parameter", "in", ""), rows)
    if body := operation.get("requestBody"):
        rows = [
            (f"<code>{escape(kind)}</code>", _reference(content["schema"]), "")
            for kind, content in body["content"].items()
        ]
        yield _table(("body", "schema", ""), rows)
    rows = [
        (status, escape(answer.get("description", "")), _contents(answer))
        for status, answer in sorted(operation["responses"].items())
    ]
    yield _table(("answer", "", "schema"), rows)


def _contents(answer: _Json) -> str:
    content = answer.get("content", {})
    return "<br>".join(
        f"{escape(kind)} {_reference(one.get('schema', {}))}" for kind, one in content.items()
    )


def _reference(schema: _Json) -> str:
    """A link to a schema that has a name, or the schema itself."""
    named = schema.get("$ref") or schema.get("items", {}).get("$ref")
    if named:
        name = escape(named.rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    return f"<code>{escape(json.dumps(schema))}</code>" if schema else ""


def _schema(name: str, schema: _Json) -> Iterator[str]:
    yield f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3>'
    yield f"<p>{escape(schema.get('description', ''))}</p>"
    if "example" in schema:
        yield f"<pre>{escape(json.dumps(schema['example'], indent=1, ensure_ascii=False))}</pre>"
    whole = escape(json.dumps(schema, indent=1, ensure_ascii=False))
    yield f"<details><summary>The schema</summary><pre>{whole}</pre></details>"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
