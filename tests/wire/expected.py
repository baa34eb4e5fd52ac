"""What the document says of a request, whatever the tool's own schema says of it.

Arguments are made from our input schemas, so what a schema leaves out is never given and never missed.
Here only the document speaks: its literal query, its parameters, its method, its files.
"""

import re
from collections import Counter
from urllib.parse import parse_qsl, urlsplit

import documents

# What OpenAPI says is ignored as a parameter (3.1.1 section 4.8.12.1).
IGNORED = ("accept", "content-type", "authorization")
PLAIN = ("string", "integer", "number", "boolean", "array")


def of_request(document, key, path, declared, recorded, unsent):
    """What one request lacks. `unsent` are parameters whose arguments were not given."""
    method, target, headers, _ = recorded
    if method != key.split()[0]:
        yield f"the method is {method}"
    query = urlsplit(target).query
    fixed = path.split("#")[0].partition("?")[2]
    literal = Counter(pair for pair in fixed.split("&") if pair and "{" not in pair)
    for pair in literal - Counter(query.split("&")):
        yield f"the literal {pair} of the path's query is not sent"
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    for pair in fixed.split("&"):
        if "{" in pair and pair.split("=")[0] not in names:
            yield f"the variable {pair} of the path's query is not sent"
    cookies = {pair.split("=")[0] for pair in headers.get("Cookie", "").split("; ")}
    for parameter in declared:
        name, place = parameter["name"], parameter["in"]
        sent = {"query": name in names, "querystring": bool(query), "header": name in headers, "cookie": name in cookies}
        ignored = place == "header" and name.lower() in IGNORED or (name, place) in unsent
        if not ignored and not sent.get(place, True) and shows_its_name(document, parameter):
            yield f"{place} {name} is not sent"


def shows_its_name(document, parameter):
    """Whether the wire has the parameter's own name, not those of its members."""
    if parameter["in"] == "querystring" or "content" in parameter:
        return True
    schema = documents.resolve(document, parameter.get("schema") or {})
    return isinstance(schema, dict) and schema.get("type") in PLAIN and schema.get("maxItems") != 0


def of_body(document, operation, tool, sent):
    """A body with files is among those that can be chosen, or were sent."""
    body = documents.resolve(document, operation.get("requestBody") or {})
    content = body.get("content") if isinstance(body, dict) else None
    multipart = documents.resolve(document, (content or {}).get("multipart/form-data") or {})
    schema = documents.resolve(document, multipart.get("schema") or {})
    fields = schema.get("properties") if isinstance(schema, dict) else None
    files = [
        name for name, field in (fields or {}).items()
        if documents.resolve(document, field).get("format") == "binary"
    ]
    offered = str(tool["inputSchema"].get("properties", {}))
    if files and "multipart/form-data" not in sent and "multipart/form-data" not in offered:
        yield f"the file {files[0]} can never be sent"


def essence(recorded):
    return re.split(r"[;\s]", recorded[2].get("Content-Type", ""))[0]
