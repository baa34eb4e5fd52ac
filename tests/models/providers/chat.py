"""OpenAI Chat Completions, as a provider."""

import json
import typing

typing.Iterable = typing.List  # which is validated at once

from openai.types.chat import completion_create_params as params  # noqa: E402
from pydantic import ConfigDict, TypeAdapter  # noqa: E402

import scenes  # noqa: E402
from providers import Seen, arguments, data_url, event, need  # noqa: E402

MODEL = "gpt-mock-1"
KEY = "sk-of-chat"
TOO_LONG = "This model's maximum context length is 128000 tokens. However, your messages resulted in 150000 tokens."
TYPE = TypeAdapter(
    params.CompletionCreateParamsNonStreaming | params.CompletionCreateParamsStreaming,
    config=ConfigDict(arbitrary_types_allowed=True),
)
FIELDS = set(params.CompletionCreateParamsNonStreaming.__annotations__) | set(params.CompletionCreateParamsBase.__annotations__) | {"stream"}


def said_key(headers):
    return headers.get("authorization", "").removeprefix("Bearer ")


def known(body):
    """Every field is one that the SDK knows."""
    TYPE.validate_python(body)
    need(not set(body) - FIELDS, f"unknown fields {set(body) - FIELDS}")


def read(path, body):
    need(path.endswith("/chat/completions"), f"path {path}")
    known(body)
    need("max_tokens" not in body, "max_tokens is deprecated")
    seen = Seen(model=body["model"], stream=body.get("stream", False))
    if seen.stream:
        need(body.get("stream_options") == {"include_usage": True}, "a stream has to ask for usage")
    for message in body["messages"]:
        said(message, seen)
    for tool in body.get("tools", []):
        need(tool["type"] == "function", "a function")
        seen.tools.append(tool["function"])
    choice = body.get("tool_choice", "")
    seen.choice = choice if isinstance(choice, str) else choice["function"]["name"]
    if form := body.get("response_format"):
        need(form["type"] == "json_schema" and form["json_schema"]["name"], "a named schema")
        seen.schema = form["json_schema"]["schema"]
    seen.reasons = body.get("reasoning_effort") not in (None, "none")
    seen.limit = body.get("max_completion_tokens")
    seen.temperature = body.get("temperature")
    stop = body.get("stop", [])
    seen.stop = [stop] if isinstance(stop, str) else stop
    return seen


def said(message, seen):
    role, content = message["role"], message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    if role in ("system", "developer"):
        seen.system += "".join(part["text"] for part in parts)
        return
    if role == "tool":
        text = "".join(part["text"] for part in parts)
        seen.said.append(("user", "result", message["tool_call_id"], text))
        return
    # What a model thought comes back where it called a tool (DeepSeek).
    if thought := message.get("reasoning_content"):
        seen.said.append((role, "thought", thought, ""))
    for part in parts:
        match part["type"]:
            case "text" if part["text"]:
                seen.said.append((role, "text", part["text"]))
            case "image_url":
                url = part["image_url"]["url"]
                seen.said.append((role, "image", *data_url(url)) if url.startswith("data:") else (role, "image", url))
            case "file":
                seen.said.append((role, "document", *data_url(part["file"]["file_data"])))
            case "refusal":
                seen.said.append((role, "text", part["refusal"]))
            case other:
                need(other == "text", f"a part of type {other}")
    for call in message.get("tool_calls", []):
        need(call["type"] == "function", "a call of a function")
        function = call["function"]
        # What this provider says itself for no arguments.
        said_arguments = arguments(function["arguments"] or "{}")
        seen.said.append((role, "call", call["id"], function["name"], said_arguments))


STOPS = {"end": "stop", "length": "length", "tools": "tool_calls", "sequence": "stop", "refusal": "stop"}


def usage(answer):
    prompt, cached, output, reasoning = answer.usage
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def call_id(place):
    return f"call_of_chat_{place}"


def frame(choices, seen, used=None):
    chunk = {
        "id": f"chatcmpl-{seen.answer}",
        "object": "chat.completion.chunk",
        "created": 1764000000,
        "model": seen.model,
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        "choices": choices,
        "usage": used,
    }
    return event(chunk)


def whole(answer, seen):
    message = {"role": "assistant", "content": answer.text or None, "refusal": answer.refusal or None, "annotations": []}
    if answer.thought:
        message["reasoning_content"] = answer.thought
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": call.id or call_id(place),
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False) if call.arguments else ""},
            }
            for place, call in enumerate(answer.calls)
        ]
    return {
        "id": f"chatcmpl-{seen.answer}",
        "object": "chat.completion",
        "created": 1764000000,
        "model": seen.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": STOPS[answer.stop]}],
        "usage": usage(answer),
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }


def stream(answer, seen):
    def delta(fields, finish=None):
        return frame([{"index": 0, "delta": fields, "logprobs": None, "finish_reason": finish}], seen)

    yield "start", delta({"role": "assistant", "content": "", "refusal": None})
    if answer.thought:
        for piece in scenes.pieces(answer.thought):
            yield "content", delta({"reasoning_content": piece})
    for name in ("text", "refusal"):
        for piece in scenes.pieces(getattr(answer, name)) if getattr(answer, name) else []:
            yield "content", delta({"content" if name == "text" else name: piece})
    for place, call in enumerate(answer.calls):
        function = {"name": call.name, "arguments": ""}
        yield "content", delta({"tool_calls": [{"index": place, "id": call.id or call_id(place), "type": "function", "function": function}]})
    # The arguments of several calls alternate.
    texts = [scenes.pieces(json.dumps(call.arguments, ensure_ascii=False)) if call.arguments else [] for call in answer.calls]
    for turn in range(max(map(len, texts), default=0)):
        for place, text in enumerate(texts):
            if turn < len(text):
                yield "content", delta({"tool_calls": [{"index": place, "function": {"arguments": text[turn]}}]})
    yield "end", delta({}, STOPS[answer.stop])
    yield "end", frame([], seen, usage(answer))
    yield "end", event("[DONE]")


def error(status, message):
    kind = {429: "rate_limit_error", 400: "invalid_request_error", 401: "invalid_request_error"}.get(status, "server_error")
    code = "context_length_exceeded" if message == TOO_LONG else None
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_event():
    return event({"error": {"message": "The server had an error", "type": "server_error", "param": None, "code": None}})
