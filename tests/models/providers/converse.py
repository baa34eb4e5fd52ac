"""Converse of Amazon Bedrock, as a provider: signed requests, and streams in AWS's binary form."""

import base64
import json
import struct
import urllib.parse
import zlib

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.validate import ParamValidator

import scenes
from providers import Seen, need

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
REGION = "eu-central-1"
TOO_LONG = "Input is too long for requested model."
ID, SECRET = "AKIDOFTHEMOCK0000001", "secret/of+bedrock"
SIGNED = scenes.SIGNATURE
KEY = f"{ID}:{SECRET}"
SHAPE = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape


def said_key(headers):
    return KEY if headers.get("authorization", "").startswith(f"AWS4-HMAC-SHA256 Credential={ID}/") else ""


def check_signature(method, url, headers, body):
    """What AWS's own client makes of the same request."""
    said = dict(piece.split("=", 1) for piece in headers["authorization"].split(" ", 1)[1].split(", "))
    signed = {name: headers[name] for name in said["SignedHeaders"].split(";")}
    request = AWSRequest(method, url, headers=signed, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(ID, SECRET), "bedrock", REGION)
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    need(said["Signature"] == expected, "the signature of AWS is wrong")


def known(body, model=MODEL):
    """Every field is one that the SDK knows."""
    typed = json.loads(json.dumps(body), object_hook=bytes_of)
    report = ParamValidator().validate({"modelId": model, **typed}, SHAPE)
    need(not report.has_errors(), report.generate_report())
    unknown = set(body) - set(SHAPE.members)
    need(not unknown, f"unknown fields {unknown}")


def read(path, body):
    head, model, method = urllib.parse.unquote(path).rsplit("/", 2)
    need(head.endswith("/model") and method in ("converse", "converse-stream"), f"path {path}")
    known(body, model)
    seen = Seen(model=model, stream=method == "converse-stream")
    seen.system = "".join(part.get("text", "") for part in body.get("system", []))
    last = "assistant"
    for message in body["messages"]:
        need(message["role"] != last, "roles have to alternate")
        last = message["role"]
        for part in message["content"]:
            said(last, part, seen)
    config = body.get("toolConfig", {})
    for tool in config.get("tools", []):
        if "cachePoint" in tool:
            continue
        spec = tool["toolSpec"]
        seen.tools.append({"name": spec["name"], "description": spec["description"], "parameters": spec["inputSchema"]["json"]})
    for choice, value in config.get("toolChoice", {}).items():
        seen.choice = {"any": "required", "tool": value.get("name")}.get(choice, choice)
    form = body.get("outputConfig", {}).get("textFormat")
    if form:
        seen.schema = json.loads(form["structure"]["jsonSchema"]["schema"])
    inference = body.get("inferenceConfig", {})
    thinking = body.get("additionalModelRequestFields", {}).get("thinking", {"type": "disabled"})
    seen.reasons = thinking["type"] != "disabled"
    seen.limit = inference.get("maxTokens")
    seen.temperature = inference.get("temperature")
    seen.stop = inference.get("stopSequences", [])
    return seen


def bytes_of(value):
    if isinstance(value.get("bytes"), str):
        value["bytes"] = base64.b64decode(value["bytes"], validate=True)
    return value


def said(role, part, seen):
    ((kind, value),) = part.items()
    match kind:
        case "cachePoint":
            need(value["type"] == "default", "the one kind there is")
        case "text":
            need(value.strip(), "a text is not blank")
            seen.said.append((role, "text", value))
        case "image":
            seen.said.append((role, "image", f"image/{value['format']}", value["source"]["bytes"]))
        case "document":
            seen.said.append((role, "document", f"application/{value['format']}", value["source"]["bytes"]))
        case "reasoningContent":
            text = value["reasoningText"]
            seen.said.append((role, "thought", text["text"], text["signature"]))
        case "toolUse":
            seen.said.append((role, "call", value["toolUseId"], value["name"], value["input"]))
        case "toolResult":
            text = "".join(inner["text"] for inner in value["content"])
            seen.said.append((role, "result", value["toolUseId"], text))
            seen.failed += [text] * (value.get("status") == "error")
        case _:
            need(False, f"a block {kind}")


STOPS = {"end": "end_turn", "length": "max_tokens", "tools": "tool_use", "sequence": "stop_sequence", "refusal": "content_filtered"}


def call_id(place):
    return f"tooluse_of_converse_{place}"


def blocks(answer):
    if answer.thought:
        yield {"reasoningContent": {"reasoningText": {"text": answer.thought, "signature": scenes.SIGNATURE}}}
    if answer.text or answer.refusal:
        yield {"text": answer.text or answer.refusal}
    for place, call in enumerate(answer.calls):
        yield {"toolUse": {"toolUseId": call.id or call_id(place), "name": call.name, "input": call.arguments}}


def usage(answer):
    prompt, cached, output, _ = answer.usage
    return {
        "inputTokens": prompt - cached,
        "outputTokens": output,
        "totalTokens": prompt + output,
        "cacheReadInputTokens": cached,
        "cacheWriteInputTokens": 0,
    }


def whole(answer, seen):
    return {
        "output": {"message": {"role": "assistant", "content": list(blocks(answer))}},
        "stopReason": STOPS[answer.stop],
        "usage": usage(answer),
        "metrics": {"latencyMs": 551},
    }


def message(kind, payload, of="event"):
    """One message of `application/vnd.amazon.eventstream`."""
    names = {":message-type": of, f":{of}-type": kind, ":content-type": "application/json"}
    headers = b""
    for name, value in names.items():
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    body = json.dumps(payload, ensure_ascii=False).encode()
    prelude = struct.pack(">II", 12 + len(headers) + len(body) + 4, len(headers))
    front = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return front + struct.pack(">I", zlib.crc32(front))


def stream(answer, seen):
    yield "start", message("messageStart", {"role": "assistant", "p": "abc"})
    for place, block in enumerate(blocks(answer)):
        ((kind, value),) = block.items()
        if kind == "toolUse":
            begun = {"toolUse": {"toolUseId": value["toolUseId"], "name": value["name"]}}
            yield "content", message("contentBlockStart", {"contentBlockIndex": place, "start": begun})
            text = json.dumps(value["input"], ensure_ascii=False) if value["input"] else ""
            deltas = [{"toolUse": {"input": piece}} for piece in (scenes.pieces(text) if text else [])]
        elif kind == "text":
            deltas = [{"text": piece} for piece in scenes.pieces(value)]
        else:
            inner = value["reasoningText"]
            deltas = [{"reasoningContent": {"text": piece}} for piece in scenes.pieces(inner["text"])]
            deltas.append({"reasoningContent": {"signature": inner["signature"]}})
        for delta in deltas:
            yield "content", message("contentBlockDelta", {"contentBlockIndex": place, "delta": delta, "p": "abcdef"})
        yield "content", message("contentBlockStop", {"contentBlockIndex": place})
    yield "end", message("messageStop", {"stopReason": STOPS[answer.stop]})
    yield "end", message("metadata", {"usage": usage(answer), "metrics": {"latencyMs": 551}})


def error(status, text):
    return {"message": text}


def error_event():
    return message("serviceUnavailableException", {"message": "The service is unavailable"}, "exception")
