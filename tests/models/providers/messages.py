"""Anthropic Messages, as a provider."""

import json
import typing

typing.Iterable = typing.List  # which is validated at once

import pydantic  # noqa: E402
from anthropic.types.message_create_params import MessageCreateParamsBase  # noqa: E402

import scenes  # noqa: E402
from providers import Seen, event, need  # noqa: E402

MODEL = "claude-sonnet-4-5"
SIGNED = scenes.SIGNATURE
KEY = "sk-ant-of-messages"
TOO_LONG = "prompt is too long: 210000 tokens > 200000 maximum"
TYPE = pydantic.TypeAdapter(pydantic.with_config(pydantic.ConfigDict(extra="forbid"))(MessageCreateParamsBase))
# The API has these, version 2 of the SDK has no types of them.
UNTYPED = ("temperature", "top_p", "top_k", "stream")


def said_key(headers):
    return headers.get("x-api-key", "")


def known(body):
    """Every field is one that the SDK knows."""
    TYPE.validate_python({name: value for name, value in body.items() if name not in UNTYPED})
    unknown = set(body) - set(MessageCreateParamsBase.__annotations__) - set(UNTYPED)
    need(not unknown, f"unknown fields {unknown}")


def read(path, body):
    need(path.endswith("/messages"), f"path {path}")
    known(body)
    seen = Seen(model=body["model"], stream=body.get("stream", False), limit=body["max_tokens"])
    system = body.get("system", "")
    seen.system = system if isinstance(system, str) else "".join(part["text"] for part in system)
    last = "assistant"
    for message in body["messages"]:
        need(message["role"] != last, "roles have to alternate")
        last = message["role"]
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            said(last, part, seen)
    for tool in body.get("tools", []):
        need(set(tool) <= {"name", "description", "input_schema", "type", "strict", "cache_control"}, f"a tool {tool}")
        seen.tools.append({"name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"]})
    choice = body.get("tool_choice", {"type": ""})
    seen.choice = {"any": "required", "tool": choice.get("name")}.get(choice["type"], choice["type"])
    if form := body.get("output_config", {}).get("format"):
        need(form["type"] == "json_schema", "a schema")
        seen.schema = form["schema"]
    thinking = body.get("thinking", {"type": "disabled"})
    if thinking["type"] == "enabled":
        need(1024 <= thinking["budget_tokens"] < body["max_tokens"], "a budget below the limit")
        need(body.get("temperature", 1) == 1, "no temperature with thoughts")
        need(seen.choice in ("", "auto", "none"), "no forced tool with thoughts")
    seen.reasons = thinking["type"] != "disabled"
    if seen.reasons and any(kind == "call" for _, kind, *_ in seen.said):
        first = next(kind for role, kind, *_ in seen.said if role == "assistant")
        need(first == "thought", "a turn with tools has to begin with what was thought")
    seen.temperature = body.get("temperature")
    seen.stop = body.get("stop_sequences", [])
    return seen


def said(role, part, seen):
    match part["type"]:
        case "text":
            need(part["text"].strip(), "a text is not blank")
            seen.said.append((role, "text", part["text"]))
        case "image" | "document":
            source = part["source"]
            if source["type"] == "url":
                seen.said.append((role, part["type"], source["url"]))
            else:
                seen.said.append((role, part["type"], source["media_type"], source["data"]))
        case "thinking":
            seen.said.append((role, "thought", part["thinking"], part["signature"]))
        case "tool_use":
            need(isinstance(part["input"], dict), "an object as input")
            seen.said.append((role, "call", part["id"], part["name"], part["input"]))
        case "tool_result":
            content = part.get("content", "")
            text = content if isinstance(content, str) else "".join(inner["text"] for inner in content)
            seen.said.append((role, "result", part["tool_use_id"], text))
            seen.failed += [text] * part.get("is_error", False)
        case other:
            need(False, f"a block of type {other}")


STOPS = {"end": "end_turn", "length": "max_tokens", "tools": "tool_use", "sequence": "stop_sequence", "refusal": "refusal"}


def call_id(place):
    return f"toolu_of_messages_{place}"


def blocks(answer):
    if answer.thought:
        yield {"type": "thinking", "thinking": answer.thought, "signature": scenes.SIGNATURE}
    if answer.text or answer.refusal:
        yield {"type": "text", "text": answer.text or answer.refusal}
    for place, call in enumerate(answer.calls):
        yield {"type": "tool_use", "id": call.id or call_id(place), "name": call.name, "input": call.arguments}


def message(answer, seen, content, stop, output):
    prompt, cached, _, _ = answer.usage
    return {
        "id": f"msg_{seen.answer}",
        "type": "message",
        "role": "assistant",
        "model": seen.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": seen.stop[0] if stop == "stop_sequence" else None,
        "usage": {
            "input_tokens": prompt - cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output,
            "service_tier": "standard",
        },
    }


def whole(answer, seen):
    return message(answer, seen, list(blocks(answer)), STOPS[answer.stop], answer.usage[2])


def stream(answer, seen):
    def said_event(kind, **fields):
        return event({"type": kind, **fields}, kind)

    yield "start", said_event("message_start", message=message(answer, seen, [], None, 1))
    yield "start", said_event("ping")
    for place, block in enumerate(blocks(answer)):
        empty = {
            "thinking": {"thinking": "", "signature": ""},
            "text": {"text": ""},
            "tool_use": {"input": {}},
        }[block["type"]]
        yield "start", said_event("content_block_start", index=place, content_block=block | empty)
        match block["type"]:
            case "thinking":
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in scenes.pieces(block["thinking"])]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case "text":
                deltas = [{"type": "text_delta", "text": piece} for piece in scenes.pieces(block["text"])]
            case _:
                # Anthropic says nothing but an empty piece for no arguments.
                text = json.dumps(block["input"], ensure_ascii=False) if block["input"] else ""
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *(scenes.pieces(text) if text else [])]]
        for delta in deltas:
            yield "content", said_event("content_block_delta", index=place, delta=delta)
        yield "content", said_event("content_block_stop", index=place)
    stop = STOPS[answer.stop]
    ended = {"stop_reason": stop, "stop_sequence": seen.stop[0] if stop == "stop_sequence" else None}
    yield "end", said_event("message_delta", delta=ended, usage={"output_tokens": answer.usage[2]})
    yield "end", said_event("message_stop")


def error(status, message):
    kinds = {429: "rate_limit_error", 400: "invalid_request_error", 401: "authentication_error", 503: "overloaded_error"}
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}, "request_id": "req_1"}


def error_event():
    return event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error")
