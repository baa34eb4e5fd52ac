"""OpenAI Responses, as a provider."""

import json
import typing

typing.Iterable = typing.List  # which is validated at once

from openai.types.responses import response_create_params as params  # noqa: E402
from pydantic import ConfigDict, TypeAdapter  # noqa: E402

import scenes  # noqa: E402
from providers import Seen, arguments, data_url, event, need  # noqa: E402

MODEL = "gpt-5-mock"
PLAIN = "gpt-4.1-mock"
SIGNED = scenes.SIGNATURE
KEY = "sk-of-responses"
TOO_LONG = "Your input exceeds the context window of this model. Please adjust your input and try again."
TYPE = TypeAdapter(
    params.ResponseCreateParamsNonStreaming | params.ResponseCreateParamsStreaming,
    config=ConfigDict(arbitrary_types_allowed=True),
)
FIELDS = set(params.ResponseCreateParamsBase.__annotations__) | {"stream"}


def said_key(headers):
    return headers.get("authorization", "").removeprefix("Bearer ")


def known(body):
    """Every field is one that the SDK knows."""
    TYPE.validate_python({**body, "input": typed(body["input"])})
    need(not set(body) - FIELDS, f"unknown fields {set(body) - FIELDS}")


def read(path, body):
    need(path.endswith("/responses"), f"path {path}")
    known(body)
    seen = Seen(model=body["model"], stream=body.get("stream", False), system=body.get("instructions") or "")
    asked = body["input"]
    for item in [{"role": "user", "content": asked}] if isinstance(asked, str) else asked:
        said(item, seen)
    for tool in body.get("tools", []):
        need(tool["type"] == "function", "a function")
        seen.tools.append({name: tool[name] for name in ("name", "description", "parameters")})
    choice = body.get("tool_choice", "")
    seen.choice = choice if isinstance(choice, str) else choice["name"]
    form = body.get("text", {}).get("format", {"type": "text"})
    if form["type"] == "json_schema":
        need(form["name"], "a named schema")
        seen.schema = form["schema"]
    seen.reasons = body.get("reasoning", {}).get("effort") not in (None, "none")
    if seen.reasons:
        need("reasoning.encrypted_content" in body.get("include", []), "sealed thoughts have to be asked for")
    seen.limit = body.get("max_output_tokens")
    seen.temperature = body.get("temperature")
    need(seen.model == PLAIN or seen.temperature is None, "a model that reasons takes no temperature")
    return seen


def typed(asked):
    """The API takes what a model said without an id and a status, the SDK's types do not."""
    if isinstance(asked, str):
        return asked
    return [
        {"id": "msg_", "status": "completed", **item} if item.get("role") == "assistant" and not isinstance(item["content"], str) else item
        for item in asked
    ]


def said(item, seen):
    match item.get("type", "message"):
        case "message":
            role, content = item["role"], item["content"]
            for part in [{"type": "input_text", "text": content}] if isinstance(content, str) else content:
                said_part(role, part, seen)
        case "reasoning":
            need(item["id"].startswith("rs_"), f"the id of a thought: {item['id']}")
            text = "".join(part["text"] for part in item["summary"])
            seen.said.append(("assistant", "thought", text, item["encrypted_content"]))
        case "function_call":
            seen.said.append(("assistant", "call", item["call_id"], item["name"], arguments(item["arguments"])))
        case "function_call_output":
            output = item["output"]
            text = output if isinstance(output, str) else "".join(part["text"] for part in output)
            seen.said.append(("user", "result", item["call_id"], text))
        case other:
            need(False, f"an item of type {other}")


def said_part(role, part, seen):
    match part["type"]:
        case "input_text" | "output_text" if role in ("system", "developer"):
            seen.system += part["text"]
        case "input_text" | "output_text":
            seen.said.append((role, "text", part["text"]))
        case "input_image":
            url = part["image_url"]
            seen.said.append((role, "image", *data_url(url)) if url.startswith("data:") else (role, "image", url))
        case "input_file":
            seen.said.append((role, "document", *data_url(part["file_data"])))
        case other:
            need(False, f"a part of type {other}")


def items(answer, seen):
    """The output, whole."""
    if answer.thought:
        summary = [{"type": "summary_text", "text": answer.thought}]
        yield {"id": f"rs_{seen.answer}", "type": "reasoning", "summary": summary, "encrypted_content": scenes.SIGNATURE}
    if answer.text or answer.refusal:
        if answer.text:
            part = {"type": "output_text", "annotations": [], "logprobs": [], "text": answer.text}
        else:
            part = {"type": "refusal", "refusal": answer.refusal}
        status = "incomplete" if answer.stop == "length" else "completed"
        yield {"id": f"msg_{seen.answer}", "type": "message", "status": status, "role": "assistant", "content": [part]}
    for place, call in enumerate(answer.calls):
        text = json.dumps(call.arguments, ensure_ascii=False)
        yield {
            "id": f"fc_{seen.answer}_{place}",
            "type": "function_call",
            "status": "completed",
            "arguments": text,
            "call_id": call.id or call_id(place),
            "name": call.name,
        }


def call_id(place):
    return f"call_of_responses_{place}"


def response(answer, seen, status=None, output=None):
    prompt, cached, tokens, reasoning = answer.usage
    done = "incomplete" if answer.stop == "length" else "completed"
    status = status or done
    used = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + tokens,
    }
    return {
        "id": f"resp_{seen.answer}",
        "object": "response",
        "created_at": 1764000000,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": seen.system or None,
        "max_output_tokens": seen.limit,
        "model": seen.model,
        "output": list(items(answer, seen)) if output is None else output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if status == "in_progress" else used,
        "metadata": {},
    }


def whole(answer, seen):
    return response(answer, seen)


def stream(answer, seen):
    count = iter(range(1_000_000))

    def said_event(kind, fields):
        return event({"type": kind, "sequence_number": next(count), **fields}, kind)

    for kind in ("response.created", "response.in_progress"):
        yield "start", said_event(kind, {"response": response(answer, seen, "in_progress", [])})
    for place, item in enumerate(items(answer, seen)):
        at = {"output_index": place, "item_id": item["id"]}
        begun = dict(item)
        if item["type"] != "reasoning":
            begun["status"] = "in_progress"
        begun |= {"message": {"content": []}, "reasoning": {"summary": []}, "function_call": {"arguments": ""}}[item["type"]]
        yield "start", said_event("response.output_item.added", {"output_index": place, "item": begun})
        yield from middle(item, at, said_event)
        yield "content", said_event("response.output_item.done", {"output_index": place, "item": item})
    end = "response.incomplete" if answer.stop == "length" else "response.completed"
    yield "end", said_event(end, {"response": response(answer, seen)})


def middle(item, at, said_event):
    match item["type"]:
        case "reasoning":
            part, text = item["summary"][0], item["summary"][0]["text"]
            at = at | {"summary_index": 0}
            yield "start", said_event("response.reasoning_summary_part.added", at | {"part": part | {"text": ""}})
            for piece in scenes.pieces(text):
                yield "content", said_event("response.reasoning_summary_text.delta", at | {"delta": piece})
            yield "content", said_event("response.reasoning_summary_text.done", at | {"text": text})
            yield "content", said_event("response.reasoning_summary_part.done", at | {"part": part})
        case "message":
            part = item["content"][0]
            at = at | {"content_index": 0}
            name, field = ("refusal", "refusal") if part["type"] == "refusal" else ("output_text", "text")
            more = {} if name == "refusal" else {"logprobs": []}
            yield "start", said_event("response.content_part.added", at | {"part": part | {field: ""}})
            for piece in scenes.pieces(part[field]):
                yield "content", said_event(f"response.{name}.delta", at | {"delta": piece} | more)
            yield "content", said_event(f"response.{name}.done", at | {field: part[field]} | more)
            yield "content", said_event("response.content_part.done", at | {"part": part})
        case "function_call":
            for piece in scenes.pieces(item["arguments"]):
                yield "content", said_event("response.function_call_arguments.delta", at | {"delta": piece})
            yield "content", said_event("response.function_call_arguments.done", at | {"arguments": item["arguments"]})




def error(status, message):
    kind = {429: "rate_limit_error", 400: "invalid_request_error", 401: "invalid_request_error"}.get(status, "server_error")
    code = "context_length_exceeded" if message == TOO_LONG else None
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_event():
    fields = {"type": "error", "sequence_number": 9, "code": "server_error", "message": "The server had an error", "param": None}
    return event(fields, "error")
