"""Checks answers (*.json), streams (*.sse) and requests (request_*.json) of a directory against the official SDK's
types, with no field beyond them but the named extensions: pip install openai; python openai_chat.py DIRECTORY"""
import json, pathlib, sys, typing

typing.Iterable = typing.List  # which is validated at once, and is no string
from pydantic import BaseModel, ConfigDict, TypeAdapter
from openai.types.chat import ChatCompletion, ChatCompletionChunk, completion_create_params as params

# reasoning_*: DeepSeek, OpenRouter; extra_content: Gemini; images: OpenRouter; the SDK's deltas have neither annotations
# nor custom calls, which the API sends.
EXTENSIONS = {"reasoning_content", "reasoning_details", "extra_content", "images"}
OF_DELTAS = EXTENSIONS | {"annotations", "custom"}

def beyond(value, path, allowed):
    """Fields that the models do not name."""
    if isinstance(value, BaseModel):
        for name in value.model_extra or {}:
            if name not in allowed:
                yield f"{path}.{name}"
        for name in type(value).model_fields:
            yield from beyond(getattr(value, name), f"{path}.{name}", allowed)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from beyond(item, f"{path}[{at}]", allowed)

def check(model, value, allowed):
    return list(beyond(TypeAdapter(model).validate_python(value, strict=True), "", allowed))

request = TypeAdapter(params.CompletionCreateParamsNonStreaming | params.CompletionCreateParamsStreaming,
                      config=ConfigDict(arbitrary_types_allowed=True))
failed = 0
for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        if file.name.startswith("request_"):
            request.validate_json(file.read_text())
            found = []
        elif file.suffix == ".json":
            found = check(ChatCompletion, json.loads(file.read_text()), EXTENSIONS)
        else:
            lines = [line[6:] for line in file.read_text().splitlines() if line]
            assert lines[-1] == "[DONE]", "no end"
            chunks = [json.loads(line) for line in lines[:-1]]
            found = [place for chunk in chunks for place in check(ChatCompletionChunk, chunk, OF_DELTAS)]
    except Exception as error:
        found = [str(error)[:600]]
    failed += bool(found)
    for place in found:
        print(f"{file.name}: {place}")
print("failed:", failed)
sys.exit(failed > 0)
