"""Holds what the codecs made of every fixture, in every dialect, against the official SDKs' models, which know every field.

bodies.py FOLDER: `DIALECT/*.request`, `.answer` and `.stream`, as `cargo test --test codecs` writes them.
"""

import json
import pathlib
import sys

from providers import chat, cohere_chat, converse, gemini, messages, responses  # noqa: I001, before the SDKs' types

import anthropic.types
import openai.types.chat
import openai.types.responses
import pydantic
from google.genai import types as google

from callers import strict
from callers.chat import EXTENSIONS

# Of OpenRouter, and what the API sends in deltas and the SDK does not list.
IMAGES, OF_DELTAS = "images", ("annotations", "custom")
# Codes that OpenAI sends, and Codex acts on, but the SDK does not list.
CODES = {"context_length_exceeded", "insufficient_quota", "server_is_overloaded"}


def read(kind, value, allowed=()):
    strict(pydantic.TypeAdapter(kind).validate_python(value), allowed)


def frames(text):
    for frame in text.split("\n\n"):
        for line in frame.split("\n"):
            if line.startswith("data: ") and line != "data: [DONE]":
                yield json.loads(line[6:])


def of_chat(kind, text):
    if kind == "answer":
        read(openai.types.chat.ChatCompletion, json.loads(text), (*EXTENSIONS, IMAGES))
    for chunk in frames(text) if kind == "stream" else []:
        if "error" not in chunk:
            for choice in chunk["choices"]:
                for call in choice["delta"].get("tool_calls", []):
                    # Custom tools, which the SDK knows in whole answers only.
                    call.pop("type", None)
            read(openai.types.chat.ChatCompletionChunk, chunk, (*EXTENSIONS, IMAGES, *OF_DELTAS))


def of_responses(kind, text):
    if kind == "answer":
        read(openai.types.responses.Response, listed(json.loads(text)))
    for event in frames(text) if kind == "stream" else []:
        read(openai.types.responses.ResponseStreamEvent, listed(event))


def listed(value):
    """As the SDK lists it: no codes it does not know, no bytes of tokens in deltas."""
    response = value.get("response", value)
    error = response.get("error") or {}
    if error.get("code") in CODES:
        error["code"] = "server_error"
    if value.get("type", "").startswith("response.output_text."):
        for token in value.get("logprobs", []):
            for each in [token, *token["top_logprobs"]]:
                each.pop("bytes", None)
    return value


def of_anthropic(kind, text):
    if kind == "answer":
        read(anthropic.types.Message, json.loads(text))
    for event in frames(text) if kind == "stream" else []:
        read(anthropic.types.ErrorResponse if event["type"] == "error" else anthropic.types.RawMessageStreamEvent, event)


def of_gemini(kind, text):
    for answer in [json.loads(text)] if kind == "answer" else frames(text):
        if "error" not in answer:
            google.GenerateContentResponse.model_validate(answer)


DIALECTS = {
    "openai_chat": (chat, of_chat),
    "openai_responses": (responses, of_responses),
    "anthropic": (messages, of_anthropic),
    "gemini": (gemini, of_gemini),
    "bedrock": (converse, None),
    "cohere": (cohere_chat, None),
}


def main(folder):
    count, wrong = 0, 0
    for path in sorted(pathlib.Path(folder).glob("*/*.*")):
        provider, answers = DIALECTS[path.parent.name]
        kind, text = path.suffix[1:], path.read_text()
        count += 1
        try:
            if kind == "request":
                provider.known(json.loads(text))
            else:
                answers(kind, text)
        except Exception as error:
            wrong += 1
            print(f"{path.parent.name}/{path.name}: {str(error)[:600]}")
    print(f"{count} bodies, {wrong} that an official SDK does not know")
    sys.exit(not count or wrong > 0)


main(sys.argv[1])
