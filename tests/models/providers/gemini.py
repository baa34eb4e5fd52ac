"""Gemini `generateContent`, as a provider."""

import re

from google.genai import types

import scenes
from providers import Seen, event, need

MODEL = "gemini-2.5-pro"
SIGNED = scenes.SIGNATURE
KEY = "of-gemini"
TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
FIELDS = {
    "systemInstruction": types.Content,
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
}
LISTS = {"contents": types.Content, "tools": types.Tool, "safetySettings": types.SafetySetting}


def said_key(headers):
    return headers.get("x-goog-api-key", "")


def camel(value):
    """JSON of protocol buffers: names may be written either way, and so may base64."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    said = {}
    for name, inner in value.items():
        name = re.sub("_(.)", lambda found: found[1].upper(), name)
        if name in ("data", "thoughtSignature"):
            inner = inner.replace("-", "+").replace("_", "/")
        # What is the caller's own is left alone.
        said[name] = inner if name in ("args", "response", "parametersJsonSchema", "responseJsonSchema", "parameters") else camel(inner)
    return said


def known(body):
    """Every field is one that the SDK knows."""
    unknown = set(body) - set(FIELDS) - set(LISTS) - {"cachedContent", "labels"}
    need(not unknown, f"unknown fields {unknown}")
    for name, value in body.items():
        if name in FIELDS:
            FIELDS[name].model_validate(value)
        for one in value if name in LISTS else []:
            LISTS[name].model_validate(one)


def read(path, body):
    body = camel(body)
    known(body)
    model, method = path.partition("?")[0].rpartition("/")[2].split(":")
    need(method == "generateContent" or path.endswith(":streamGenerateContent?alt=sse"), f"path {path}")
    seen = Seen(model=model, stream=method != "generateContent")
    seen.system = "".join(part["text"] for part in body.get("systemInstruction", {}).get("parts", []))
    last = "model"
    for content in body["contents"]:
        need(content["role"] != last, "roles have to alternate")
        last = content["role"]
        need(content["parts"], "a content has parts")
        for part in content["parts"]:
            said("assistant" if last == "model" else "user", part, seen)
    for tool in body.get("tools", []):
        for function in tool["functionDeclarations"]:
            schema = function.get("parametersJsonSchema", function.get("parameters"))
            seen.tools.append({"name": function["name"], "description": function["description"], "parameters": schema})
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {"mode": ""})
    seen.choice = {"ANY": "required"}.get(calling["mode"], calling["mode"].lower())
    if allowed := calling.get("allowedFunctionNames"):
        need(calling["mode"] == "ANY" and len(allowed) == 1, "one tool that has to be called")
        seen.choice = allowed[0]
    config = body.get("generationConfig", {})
    if "responseJsonSchema" in config or "responseSchema" in config:
        need(config["responseMimeType"] == "application/json", "a schema wants JSON")
        seen.schema = config.get("responseJsonSchema", config.get("responseSchema"))
    thinking = config.get("thinkingConfig", {})
    seen.reasons = thinking.get("thinkingBudget", 0) != 0 or "thinkingLevel" in thinking
    seen.shown = thinking.get("includeThoughts", False)
    seen.limit = config.get("maxOutputTokens")
    seen.temperature = config.get("temperature")
    seen.stop = config.get("stopSequences", [])
    return seen


def said(role, part, seen):
    signature = part.get("thoughtSignature", "")
    if "text" in part:
        if part.get("thought"):
            seen.said.append((role, "thought", part["text"], signature))
        else:
            seen.said.append((role, "text", part["text"]))
    elif blob := part.get("inlineData"):
        kind = "document" if blob["mimeType"] == "application/pdf" else "image"
        seen.said.append((role, kind, blob["mimeType"], blob["data"]))
    elif file := part.get("fileData"):
        seen.said.append((role, "image", file["fileUri"]))
    elif call := part.get("functionCall"):
        # A signature belongs to the call, not to what was thought before it.
        if signature:
            seen.said.append((role, "thought", "", signature))
        # The mock gave no ids; one that a caller made up has to fit at least.
        if "id" in call:
            seen.called[call["id"]] = call["name"]
        seen.said.append((role, "call", "", call["name"], call.get("args", {})))
    elif result := part.get("functionResponse"):
        answer = result["response"]
        if "id" in result:
            need(seen.called.get(result["id"]) == result["name"], "a result of a call that was not made")
        need(isinstance(answer, dict), "an object as response")
        text = answer.get("output", answer.get("result", answer.get("error")))
        seen.said.append((role, "result", result["name"], text))
        seen.failed += [text] * ("error" in answer)
    else:
        need(False, f"a part {part}")


STOPS = {"end": "STOP", "length": "MAX_TOKENS", "tools": "STOP", "sequence": "STOP", "refusal": "SAFETY"}


def parts(answer, seen):
    if answer.thought and seen.shown:
        yield {"text": answer.thought, "thought": True}
    if answer.text:
        yield {"text": answer.text}
    for place, call in enumerate(answer.calls):
        part = {"functionCall": {"name": call.name, "args": call.arguments}}
        # Of parallel calls only the first is signed.
        if answer.thought and place == 0:
            part["thoughtSignature"] = scenes.SIGNATURE
        yield part


def response(parts, answer, seen, ended=True):
    prompt, cached, output, reasoning = answer.usage
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
    if answer.refusal:
        candidate.pop("content")
    if ended:
        candidate["finishReason"] = STOPS[answer.stop]
    used = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": cached,
        "candidatesTokenCount": output - reasoning,
        "thoughtsTokenCount": reasoning,
        "totalTokenCount": prompt + output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    }
    return {"candidates": [candidate], "usageMetadata": used, "modelVersion": seen.model, "responseId": seen.answer}


def whole(answer, seen):
    return response(list(parts(answer, seen)), answer, seen)


def stream(answer, seen):
    said = []
    for part in parts(answer, seen):
        if "text" in part:
            said += [part | {"text": piece} for piece in scenes.pieces(part["text"])]
        else:
            said.append(part)
    said = said or [None]
    for place, part in enumerate(said):
        last = place == len(said) - 1
        yield "end" if last else "content", event(response([part] if part else [], answer, seen, last))


def error(status, message):
    words = {429: "RESOURCE_EXHAUSTED", 400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 503: "UNAVAILABLE"}
    return {"error": {"code": status, "message": message, "status": words.get(status, "INTERNAL")}}


def error_event():
    return event({"error": {"code": 503, "message": "The model is overloaded", "status": "UNAVAILABLE"}})
