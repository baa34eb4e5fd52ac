"""Writes run/spec-small.json (6 operations) and run/spec-500.json (500) for the bench upstream."""
import json

UPSTREAM = "http://127.0.0.1:9100"
STRING = {"type": "string"}
ECHO = {"type": "object", "properties": {
    "method": STRING, "path": STRING, "query": STRING, "bytes": {"type": "integer"},
    "tags": {"type": "array", "items": STRING},
    "nested": {"type": "object", "properties": {
        "id": {"type": "integer"}, "ok": {"type": "boolean"}, "ratio": {"type": "number"}}},
    "note": STRING}}
NEW_ITEM = {"type": "object", "required": ["name"], "properties": {
    "name": {"type": "string", "minLength": 1}, "count": {"type": "integer"},
    "labels": {"type": "array", "items": STRING},
    "owner": {"type": "object", "properties": {
        "id": STRING, "email": {"type": "string", "format": "email"}}}}}
RESPONSES = {"200": {"description": "ok", "content": {
    "application/json": {"schema": {"$ref": "#/components/schemas/Echo"}}}}}
ITEM_ID = {"name": "item_id", "in": "path", "required": True, "schema": STRING,
           "description": "Identifier"}


def read(tag):
    return {
        "operationId": f"get_{tag}", "summary": f"Read one {tag}", "tags": [tag],
        "description": f"Returns the {tag} with the given id. Optional filters narrow the answer.",
        "parameters": [
            ITEM_ID,
            {"name": "q", "in": "query", "schema": {"type": "string", "maxLength": 100},
             "description": "Filter text"},
            {"name": "limit", "in": "query", "description": "Page size",
             "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}},
            {"name": "order", "in": "query", "schema": {"type": "string", "enum": ["asc", "desc"]}}],
        "responses": RESPONSES}


def create(tag):
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/NewItem"}}}
    return {
        "operationId": f"create_{tag}", "summary": f"Create one {tag}", "tags": [tag],
        "parameters": [ITEM_ID], "requestBody": {"required": True, "content": body},
        "responses": RESPONSES}


def document(paths):
    tags = [f"res{number:03d}" for number in range(paths)]
    return {
        "openapi": "3.0.3", "info": {"title": "Bench", "version": "1.0.0"},
        "servers": [{"url": UPSTREAM}],
        "paths": {f"/echo/{tag}/{{item_id}}": {"get": read(tag), "post": create(tag)}
                  for tag in tags},
        "components": {"schemas": {"Echo": ECHO, "NewItem": NEW_ITEM}}}


for name, paths in (("small", 3), ("500", 250)):
    with open(f"run/spec-{name}.json", "w") as file:
        json.dump(document(paths), file)
