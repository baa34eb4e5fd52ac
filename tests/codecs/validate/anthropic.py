"""Holds what was written against the models of the official SDK (`pip install anthropic`), fields that they do not
know forbidden: `*.answer.json`, `*.stream.sse` and `*.request.json` of the directory given."""

import json
import pathlib
import sys

sys.path.pop(0)  # where this file hides the SDK's module

import pydantic
from anthropic import types
from anthropic._models import BaseModel
from anthropic.types.message_create_params import MessageCreateParamsBase


def strict(model, value, path):
    """The fields of a model, and nothing else."""
    known = {field.alias or name for name, field in type(model).model_fields.items()}
    extra = set(value) - known
    assert not extra, f"{path}: {extra}"
    for name in value:
        inner = getattr(model, name)
        pairs = zip(inner, value[name]) if isinstance(inner, list) else [(inner, value[name])]
        for one, raw in pairs:
            if isinstance(one, BaseModel):
                strict(one, raw, f"{path}.{name}")


def check(kind, value, path):
    strict(pydantic.TypeAdapter(kind).validate_python(value), value, path)


for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    text = file.read_text()
    if file.name.endswith(".answer.json"):
        check(types.Message, json.loads(text), file.name)
    elif file.name.endswith(".request.json"):
        body = json.loads(text)
        for gone in ("temperature", "top_p", "top_k", "stream"):  # version 2 has no types of the first three
            body.pop(gone, None)
        config = pydantic.ConfigDict(extra="forbid")
        adapter = pydantic.TypeAdapter(pydantic.with_config(config)(MessageCreateParamsBase))
        adapter.validate_python(body)
        assert not set(body) - set(MessageCreateParamsBase.__annotations__), (file.name, set(body))
    elif file.name.endswith(".stream.sse"):
        for event in filter(None, text.split("\n\n")):
            data = json.loads(event.split("\ndata: ", 1)[1])
            if data["type"] == "error":
                check(types.ErrorResponse, data, file.name)
            else:
                check(types.RawMessageStreamEvent, data, file.name)
    else:
        continue
    print("ok", file.name)
