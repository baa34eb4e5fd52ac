"""Writes a document of many operations, about 2 KB each: python3 bench/large.py 20000 > large.json

Every fourth operation shares its schemas with others; the rest bring their own, as generated
documents do."""
import json
import sys

STRING = {"type": "string"}
WORDS = ("the account that is asked for and whatever belongs to it, as of the time of the request; "
         "amounts are in the smallest unit of their currency and times in UTC. ")


def schema(number):
    properties = {f"field{n}": {"type": "string", "maxLength": 40 + n, "description": WORDS[:60]}
                  for n in range(6)}
    properties["parent"] = {"$ref": f"#/components/schemas/Type{(number * 7) % 500}"}
    properties["list"] = {"type": "array", "items": {"$ref": "#/components/schemas/Item"}}
    return {"type": "object", "required": ["field0"], "properties": properties}


def json_of(value):
    return {"application/json": {"schema": value}}


def operation(number, method):
    shared = number % 4 == 0
    own = {"type": "object", "properties": {
        f"own{n}": {"type": "integer", "minimum": n, "description": WORDS[:40]} for n in range(4)}}
    answer = {"$ref": f"#/components/schemas/Type{number % 500}"} if shared else own
    found = {
        "operationId": f"{method}Resource{number}", "tags": [f"group{number % 97}"],
        "summary": f"{method} resource {number}", "description": f"Operation {number}: " + WORDS * 2,
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": STRING},
            {"$ref": "#/components/parameters/Limit"},
            {"name": "filter", "in": "query", "description": WORDS, "schema": {
                "type": "string", "enum": [f"value{n}" for n in range(5)]}},
            {"name": "X-Trace", "in": "header", "schema": STRING}],
        "responses": {"200": {"description": "ok", "content": json_of(answer)},
                      "default": {"$ref": "#/components/responses/Problem"}}}
    if method != "get":
        body = answer if shared else {"allOf": [own, {"$ref": "#/components/schemas/Item"}]}
        found["requestBody"] = {"required": True, "content": json_of(body)}
    return found


def document(operations):
    paths = {}
    for number in range(operations):
        method = ("get", "post", "put", "patch")[number % 4]
        item = paths.setdefault(f"/group{number % 97}/resources{number // 4}/{{id}}", {})
        item[method] = operation(number, method)
        item.setdefault("x-notes", WORDS * 3)
    item = {"type": "object", "properties": {"name": STRING, "price": {"type": "integer"}}}
    types = {f"Type{number}": schema(number) for number in range(500)}
    return {
        "openapi": "3.1.0", "info": {"title": "Large", "version": "1"},
        "servers": [{"url": "https://large.example"}], "paths": paths,
        "components": {
            "schemas": {"Item": item, **types},
            "parameters": {"Limit": {"name": "limit", "in": "query", "schema": {"type": "integer"}}},
            "responses": {"Problem": {"description": "no", "content": json_of(
                {"type": "object", "properties": {"detail": STRING}})}}}}


json.dump(document(int(sys.argv[1])), sys.stdout)
