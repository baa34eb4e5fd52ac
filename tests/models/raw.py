"""Callers without an SDK, where bytes count: what a request of each dialect is, and what its answer says."""

import http.client
import json
import urllib.parse
from dataclasses import dataclass, field

SOURCES = ("openai-chat", "openai-responses", "anthropic", "gemini")


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes
    # It broke off in the middle of a chunk, or before its length.
    broken: bool = False
    text: str = ""
    # The error: its kind, in the dialect's words.
    error: str = ""
    message: str = ""
    # It came to the end that the dialect wants.
    ended: bool = False
    events: list = field(default_factory=list)
    # Pieces that are no JSON.
    malformed: int = 0


def request(source, model, prompt, stream):
    """The path, headers beside the key, and body of a question."""
    match source:
        case "openai-chat":
            body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
            return "/v1/chat/completions", body | ({"stream": True} if stream else {})
        case "openai-responses":
            return "/v1/responses", {"model": model, "input": prompt} | ({"stream": True} if stream else {})
        case "anthropic":
            body = {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": prompt}]}
            return "/v1/messages", body | ({"stream": True} if stream else {})
        case "gemini":
            method = "streamGenerateContent?alt=sse" if stream else "generateContent"
            name = urllib.parse.quote(model, safe="")
            return f"/v1beta/models/{name}:{method}", {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}


def post(gateway, source, path, body):
    """What comes back, byte for byte."""
    address = urllib.parse.urlsplit(gateway.url).netloc
    connection = http.client.HTTPConnection(address, timeout=60)
    headers = {"Content-Type": "application/json"}
    match source:
        case "anthropic":
            headers |= {"x-api-key": gateway.key, "anthropic-version": "2023-06-01"}
        case "gemini":
            headers |= {"x-goog-api-key": gateway.key}
        case _:
            headers |= {"Authorization": f"Bearer {gateway.key}"}
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        broken = False
        try:
            said = response.read()
        except http.client.IncompleteRead as error:
            said, broken = error.partial, True
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, said, broken)
    finally:
        connection.close()


def ask(gateway, source, model, prompt, stream):
    path, body = request(source, model, prompt, stream)
    answer = post(gateway, source, path, json.dumps(body).encode())
    if answer.status != 200:
        said(source, json.loads(answer.body), answer)
    elif stream:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers
        for frame in answer.body.decode().split("\n\n"):
            for line in frame.split("\n"):
                if line.startswith("data: "):
                    streamed(source, line.removeprefix("data: "), answer)
    else:
        whole(source, json.loads(answer.body), answer)
    return answer


def said(source, body, answer):
    """An error, which every dialect has as an object."""
    error = body["error"]
    answer.message = error["message"]
    match source:
        case "anthropic":
            assert body["type"] == "error", body
            answer.error = error["type"]
        case "gemini":
            if answer.status != 200:
                assert error["code"] == answer.status, body
            answer.error = error["status"]
        case _:
            assert set(error) == {"message", "type", "param", "code"}, body
            answer.error = error["type"]


def whole(source, body, answer):
    answer.ended = True
    match source:
        case "openai-chat":
            answer.text = body["choices"][0]["message"]["content"]
        case "openai-responses":
            answer.text = body["output"][0]["content"][0]["text"]
        case "anthropic":
            answer.text = body["content"][0]["text"]
        case "gemini":
            answer.text = body["candidates"][0]["content"]["parts"][0]["text"]


def streamed(source, data, answer):
    if data == "[DONE]":
        answer.ended = True
        return
    try:
        body = json.loads(data)
    except ValueError:
        answer.malformed += 1
        return None
    answer.events.append(body)
    if "error" in body and body["error"] and source != "openai-responses":
        assert not answer.ended, "an error after the end"
        return said(source, body, answer)
    match source:
        case "openai-chat":
            for choice in body["choices"]:
                answer.text += choice["delta"].get("content") or ""
        case "openai-responses":
            kind = body["type"]
            if kind == "response.output_text.delta":
                answer.text += body["delta"]
            elif kind == "error":
                answer.error, answer.message = "error", body["message"]
            elif kind == "response.failed":
                answer.error, answer.message = "failed", body["response"]["error"]["message"]
            answer.ended |= kind in ("response.completed", "response.incomplete")
        case "anthropic":
            if body["type"] == "content_block_delta":
                answer.text += body["delta"]["text"]
            answer.ended |= body["type"] == "message_stop"
        case "gemini":
            for candidate in body.get("candidates", []):
                for part in candidate.get("content", {}).get("parts", []):
                    answer.text += part.get("text", "")
                answer.ended |= "finishReason" in candidate
    return None
