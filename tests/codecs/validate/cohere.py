"""Holds the written requests of a directory against the models of the official SDK, in which unknown fields are
forbidden: `pip install cohere; python cohere.py DIRECTORY`."""

import inspect
import json
import pathlib
import sys

sys.path.pop(0)  # This file has the name of the SDK.

import pydantic  # noqa: E402
from cohere.core import unchecked_base_model  # noqa: E402
from cohere.v2.client import V2Client  # noqa: E402

failed = 0


def models(kind):
    for each in kind.__subclasses__():
        yield each
        yield from models(each)


for each in models(unchecked_base_model.UncheckedBaseModel):
    each.model_config["extra"] = "forbid"
for each in models(unchecked_base_model.UncheckedBaseModel):
    each.model_rebuild(force=True)
asks = inspect.signature(V2Client.chat, eval_str=True).parameters
fields = {name: (each.annotation, None) for name, each in asks.items() if name not in ("self", "request_options")}
Request = pydantic.create_model("Request", __config__={"extra": "forbid"}, stream=(bool, False), **fields)
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    try:
        Request.model_validate(json.loads(file.read_text())["written"])
    except pydantic.ValidationError as error:
        failed += 1
        print(f"{file.name}: {error}")
print("all fit" if not failed else f"{failed} do not fit")
sys.exit(bool(failed))
