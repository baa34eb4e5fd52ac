"""Cohere Chat v2, as a provider."""

import inspect
import json

import pydantic
from cohere.core import unchecked_base_model
from cohere.v2.client import V2Client

import scenes
from providers import Seen, arguments, data_url, event, need

MODEL = "command-a-reasoning-08-2025"
# This one does not think, but plans before it calls tools.
PLAIN = "command-a-03-2025"
KEY = "of-cohere"
TOO_LONG = "too many tokens: size limit exceeded by 15000 tokens. Try using shorter or fewer inputs."


def said_key(headers):
    return headers.get("authorization", "").removeprefix("Bearer ")


def models(kind):
    for each in kind.__subclasses__():
        yield each
        yield from models(each)


# Fields that the models do not know are an error.
for each in models(unchecked_base_model.UncheckedBaseModel):
    each.model_config["extra"] = "forbid"
for each in models(unchecked_base_model.UncheckedBaseModel):
    each.model_rebuild(force=True)
asks = inspect.signature(V2Client.chat, eval_str=True).parameters
fields = {name: (each.annotation, None) for name, each in asks.items() if name not in ("self", "request_options")}
Request = pydantic.create_model("Request", __config__={"extra": "forbid"}, stream=(bool, False), **fields)


def known(body):
    """Every field is one that the SDK knows."""
    Request.model_validate(body)


def read(path, body):
    need(path.endswith("/v2/chat"), f"path {path}")
    known(body)
    seen = Seen(model=body["model"], stream=body.get("stream", False))
    for message in body["messages"]:
        said(message, seen)
    for tool in body.get("tools", []):
        seen.tools.append(tool["function"])
    seen.choice = body.get("tool_choice", "").lower()
    form = body.get("response_format", {"type": "text"})
    if form["type"] == "json_object":
        seen.schema = form["json_schema"]
    seen.reasons = body.get("thinking", {}).get("type") == "enabled"
    seen.limit = body.get("max_tokens")
    seen.temperature = body.get("temperature")
    seen.stop = body.get("stop_sequences", [])
    return seen


def said(message, seen):
    role, content = message["role"], message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    if role == "system":
        seen.system += "".join(part["text"] for part in parts)
        return
    if role == "tool":
        text = "".join(part["text"] if part["type"] == "text" else part["document"]["data"] for part in parts)
        seen.said.append(("user", "result", message["tool_call_id"], text))
        return
    if plan := message.get("tool_plan"):
        seen.said.append((role, "text", plan))
    for part in parts:
        match part["type"]:
            case "text":
                seen.said.append((role, "text", part["text"]))
            case "thinking":
                seen.said.append((role, "thought", part["thinking"], ""))
            case "image_url":
                url = part["image_url"]["url"]
                seen.said.append((role, "image", *data_url(url)) if url.startswith("data:") else (role, "image", url))
            case other:
                need(False, f"a part of type {other}")
    for call in message.get("tool_calls", []):
        function = call["function"]
        seen.said.append((role, "call", call["id"], function["name"], arguments(function["arguments"])))


STOPS = {"end": "COMPLETE", "length": "MAX_TOKENS", "tools": "TOOL_CALL", "sequence": "STOP_SEQUENCE"}


def call_id(place):
    return f"call_of_cohere_{place}"


def usage(answer):
    # Of all that the model saw, only what the caller said is billed.
    prompt, cached, output, _ = answer.usage
    return {
        "billed_units": {"input_tokens": prompt, "output_tokens": output},
        "tokens": {"input_tokens": prompt + 500, "output_tokens": output},
        "cached_tokens": cached,
    }


def calls(answer):
    return [
        {
            "id": call.id or call_id(place),
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False) if call.arguments else ""},
        }
        for place, call in enumerate(answer.calls)
    ]


def contents(answer):
    if answer.thought:
        yield {"type": "thinking", "thinking": answer.thought}
    # What is said before tools are called is the plan.
    if answer.text and not answer.calls:
        yield {"type": "text", "text": answer.text}


def whole(answer, seen):
    message = {"role": "assistant"}
    if content := list(contents(answer)):
        message["content"] = content
    if answer.calls:
        message["tool_calls"] = calls(answer)
        if answer.text:
            message["tool_plan"] = answer.text
    return {"id": seen.answer, "finish_reason": STOPS[answer.stop], "message": message, "usage": usage(answer)}


def stream(answer, seen):
    def said_event(kind, fields=None, **more):
        return event({"type": kind, **more, **({"delta": {"message": fields}} if fields else {})}, kind)

    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield "start", said_event("message-start", start, id=seen.answer)
    if answer.text and answer.calls:
        for piece in scenes.pieces(answer.text):
            yield "content", said_event("tool-plan-delta", {"tool_plan": piece})
    place = 0
    for part in contents(answer):
        kind = part["type"]
        yield "start", said_event("content-start", {"content": part | {kind: ""}}, index=place)
        for piece in scenes.pieces(part[kind]):
            yield "content", said_event("content-delta", {"content": {kind: piece}}, index=place)
        yield "content", said_event("content-end", index=place)
        place += 1
    for place, call in enumerate(calls(answer)):
        text = call["function"]["arguments"]
        begun = call | {"function": call["function"] | {"arguments": ""}}
        yield "content", said_event("tool-call-start", {"tool_calls": begun}, index=place)
        for piece in scenes.pieces(text) if text else []:
            yield "content", said_event("tool-call-delta", {"tool_calls": {"function": {"arguments": piece}}}, index=place)
        yield "content", said_event("tool-call-end", index=place)
    yield "end", event({"type": "message-end", "delta": {"finish_reason": STOPS[answer.stop], "usage": usage(answer)}}, "message-end")


def error(status, text):
    return {"id": "of-the-mock", "message": text}


def error_event():
    end = {"finish_reason": "ERROR", "error": "The model failed", "usage": {}}
    return event({"type": "message-end", "id": "of-the-mock", "delta": end}, "message-end")
