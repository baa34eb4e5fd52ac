"""Holds answers (*.json) and streams (*.sse) of a directory against the models of the official SDK, in which unknown
fields are forbidden: `pip install openai; python openai_responses.py DIRECTORY`."""

import json
import pathlib
import sys
from typing import get_args

from openai import _models, omit
from openai.lib.streaming.responses._responses import ResponseStreamState

# Before the classes are made: what they do not know is an error.
_models.BaseModel.model_config["extra"] = "forbid"
for name in [name for name in sys.modules if name.startswith("openai.types")]:
    del sys.modules[name]

from openai.types.responses import Response, ResponseStreamEvent  # noqa: E402

# Codes that OpenAI sends, and Codex acts on, but the SDK does not list.
CODES = {"context_length_exceeded", "insufficient_quota", "server_is_overloaded"}
EVENTS = {get_args(each.model_fields["type"].annotation)[0]: each for each in get_args(get_args(ResponseStreamEvent)[0])}
failed = 0


def strict(value):
    """As the SDK lists it: no codes it does not know, and no bytes of tokens in deltas, which OpenAI sends too."""
    response = value.get("response", value)
    if (response.get("error") or {}).get("code") in CODES:
        response["error"]["code"] = "server_error"
    if value.get("type", "").startswith("response.output_text."):
        for token in value.get("logprobs", []):
            for each in [token, *token["top_logprobs"]]:
                each.pop("bytes")
    return value


for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        if file.suffix == ".json":
            Response.model_validate(strict(json.loads(file.read_text())), strict=False)
            continue
        state = ResponseStreamState(input_tools=[], text_format=omit)
        for frame in file.read_text().split("\n\n"):
            if data := [line[6:] for line in frame.split("\n") if line.startswith("data: ")]:
                event = strict(json.loads(data[0]))
                state.handle_event(EVENTS[event["type"]].model_validate(event))
    except Exception as error:
        failed += 1
        print(f"{file.name}: {str(error)[:2000]}")
print("failed:", failed)
sys.exit(failed > 0)
