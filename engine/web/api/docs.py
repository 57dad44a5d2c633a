"""The page of documentation: every endpoint with a form to try it, plain HTML of our own that loads nothing else."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode

STYLE = """
:root{color-scheme:light dark;--ink:#1c1e21;--faint:#5b6269;--rule:#d9dcdf;--page:#fff;--card:#f4f5f6;--mark:#1d5a93}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--faint:#a3abb3;--rule:#363b41;--page:#131517;--card:#1d2023;
--mark:#7db8e8}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:60rem;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.05rem;margin:0;display:inline}a{color:var(--mark)}
nav ul{columns:2 16rem;padding-left:1.2rem}p{margin:.4rem 0}.faint{color:var(--faint)}
details{border:1px solid var(--rule);border-radius:.4rem;margin:.6rem 0;background:var(--card)}
summary{padding:.6rem .8rem;cursor:pointer}details>div{padding:0 .8rem .8rem}
code,pre{font:.875rem/1.45 ui-monospace,monospace}pre{overflow-x:auto;background:var(--page);padding:.6rem;
border-radius:.3rem}
form{display:grid;gap:.5rem;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr));margin:.6rem 0}
label{display:block;font-size:.875rem}label span{display:block;color:var(--faint)}
input,button{font:inherit;width:100%;padding:.3rem .5rem;border:1px solid var(--faint);border-radius:.3rem;
background:var(--page);color:var(--ink)}
button{cursor:pointer;background:var(--mark);color:var(--page);border-color:var(--mark);align-self:end}
:focus-visible{outline:2px solid var(--mark);outline-offset:2px}
"""
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M1 12l4-6 3 3 6-8" fill="none" '
    'stroke="#2f7fc1" stroke-width="2"/></svg>'
)


# A form leaves out what nobody filled in; back on the page, it may be filled in again.
SCRIPT = """
const each = (form, act) => { for (const field of form.elements) if (field.name) act(field) }
addEventListener("submit", (event) => each(event.target, (field) => { field.disabled = !field.value }))
addEventListener("pageshow", () => {
  for (const form of document.forms) each(form, (field) => { field.disabled = false })
})
"""


def page(document: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    paths = {path: each["get"] for path, each in document["paths"].items()}
    links = "".join(f'<li><a href="#{_anchor(path)}"><code>{escape(path)}</code></a></li>' for path in paths)
    parts = "".join(_endpoint(path, each) for path, each in paths.items())
    title = escape(document["info"]["title"])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{title}</title><link rel="icon" href="/docs/icon.svg"><link rel="stylesheet" href="/docs/style.css">'
        '<script src="/docs/script.js" defer></script>'
        f"</head>\n<body><header><h1>{title} {escape(document['info']['version'])}</h1>"
        f"<p>{escape(document['info'].get('description', ''))}</p>"
        '<p>The same for programs: <a href="/openapi.json">openapi.json</a></p></header>\n'
        f'<nav aria-label="Endpoints"><ul>{links}</ul></nav>\n<main>{parts}</main></body></html>\n'
    )


def _anchor(path: str) -> str:
    return "get" + "".join(letter if letter.isalnum() else "-" for letter in path)


def _endpoint(path: str, about: Mapping[str, Any]) -> str:
    known = about["responses"]["200"]["content"]
    described = about.get("description", "")
    words = "" if described.rstrip(".") == about["summary"] else f"<p>{escape(described)}</p>"
    example = json.dumps(known["application/json"]["example"], indent=2)
    kinds = " · ".join(escape(kind) for kind in known)
    given = about.get("parameters", ())
    if "{" in path:
        asked = f"<ul>{''.join(map(_words, given))}</ul>"
    else:
        asked = f'<form method="get" action="{path}">{"".join(map(_field, given))}<button>GET {path}</button></form>'
    return (
        f'<details id="{_anchor(path)}"><summary><h2><code>GET {escape(path)}</code></h2> '
        f'<span class="faint">{escape(about["summary"])}</span></summary>'
        f"<div>{words}{asked}{_code(curl(path, about))}"
        f"<p>{kinds}</p>{_code(example)}</div></details>\n"
    )


def _code(text: str) -> str:
    return f'<pre tabindex="0">{escape(text)}</pre>'


def _field(each: Mapping[str, Any]) -> str:
    name, schema = escape(each["name"]), each["schema"]
    need = " required" if each.get("required") else ""
    value = f' placeholder="{escape(str(schema["default"]))}"' if schema.get("default") not in (None, []) else ""
    return f'<label>{name}<span>{escape(_said(each))}</span><input name="{name}"{need}{value}></label>'


def _words(each: Mapping[str, Any]) -> str:
    return f"<li><code>{escape(each['name'])}</code> {escape(_said(each))}</li>"


def _said(each: Mapping[str, Any]) -> str:
    """Return what a parameter is, and the values or bounds it has."""
    schema = each["schema"]
    kinds = [schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    values = next((kind["enum"] for kind in kinds if "enum" in kind), None)
    text = each.get("description", "")
    if values:
        text += f"{': ' if text else ''}{', '.join(map(str, values))}"
    if "minimum" in schema:
        text += f" ({schema['minimum']} to {schema['maximum']})"
    return text


def curl(path: str, about: Mapping[str, Any]) -> str:
    """Return how an endpoint is asked from a shell, with an example of every parameter it needs."""
    given = {}
    for each in about.get("parameters", ()):
        if each.get("required"):
            example = str(next(iter(each["schema"].get("examples", ())), "guards"))
            if each["in"] == "path":
                path = path.replace(f"{{{each['name']}}}", example)
            else:
                given[each["name"]] = example
    query = f"?{urlencode(given)}" if given else ""
    return f'curl "http://localhost:8000{path}{query}"'
