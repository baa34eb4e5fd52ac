"""One process in which all providers listen on one socket: `/{dialect}/{mode}/...`. The mode `well` answers; every
other is a way to fail. Only as much of HTTP as it takes, so that every byte and every moment is ours."""

import json
import socket
import struct
import threading
import time
from dataclasses import dataclass

import scenes
from providers import Seen, Wrong, chat, cohere_chat, converse, expected, gemini, messages, responses

DIALECTS = {
    "openai-chat": chat,
    "openai-responses": responses,
    "anthropic": messages,
    "gemini": gemini,
    "bedrock": converse,
    "cohere": cohere_chat,
}
# Longer than the patience that models are given in failures.py.
STALL = 4


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes
    dialect: str
    mode: str
    # What was answered.
    status: int = 0
    answer: bytes = b""
    problem: str = ""


class Server:
    def __init__(self, reply=None):
        self.reply = reply or Reply
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.requests = []
        threading.Thread(target=self.accept, daemon=True).start()

    def base(self, dialect, mode="well"):
        """What a provider's own base URL is replaced by."""
        ending = {"openai-chat": "/v1", "openai-responses": "/v1", "anthropic": "/v1", "gemini": "/v1beta"}
        return f"http://{self.address}/{dialect}/{mode}{ending.get(dialect, '')}"

    def taken(self):
        requests, self.requests = self.requests, []
        return requests

    def accept(self):
        while True:
            connection, _ = self.socket.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        reader = connection.makefile("rb")
        try:
            while request := read(reader):
                self.requests.append(request)
                self.reply(connection, request).give()
        except (ConnectionError, Closed):
            pass
        finally:
            reader.close()
            connection.close()


class Closed(Exception):
    """The connection is to be closed now."""


def read(reader):
    line = reader.readline().decode().split()
    if not line:
        return None
    method, path, _ = line
    headers = {}
    while (line := reader.readline().decode("latin-1").strip()):
        name, value = line.split(":", 1)
        headers[name.lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", 0)))
    _, dialect, mode, _ = path.split("/", 3)
    return Request(method, path, headers, body, dialect, mode)


class Reply:
    """What is answered to one request."""

    def __init__(self, connection, request):
        self.connection, self.request = connection, request
        self.provider = DIALECTS[request.dialect]

    def give(self):
        provider, request = self.provider, self.request
        try:
            self.check_head()
            if b"[raw]" in request.body:
                seen, answer = self.unread()
            else:
                seen = provider.read(request.path, json.loads(request.body))
                prompt = "".join(one[2] for one in seen.said if one[:2] == ("user", "text"))
                if prompt.startswith("[loose]"):
                    answer = scenes.SCENES["text"].asks[0].answer
                else:
                    answer = expected.check(provider, scenes.found(prompt), seen)
        except Exception as error:  # noqa: BLE001 what a codec sends may fail in any way
            request.problem = f"{type(error).__name__}: {error}"
            return self.whole(400, provider.error(400, f"the mock: {request.problem}"))
        if request.mode != "well":
            return Failing(self.connection, request).fail(answer, seen)
        odd = self.odd if b"[raw]" in request.body else bytes
        if seen.stream:
            return self.stream((kind, odd(frame)) for kind, frame in provider.stream(answer, seen))
        return self.whole(200, odd(json.dumps(provider.whole(answer, seen), ensure_ascii=False, indent=1).encode()))

    def odd(self, said):
        """What no two libraries write alike, and nobody else reads."""
        frame = said.replace(b"{", rb'{  "x_odd" :[1.0e+2,"\u00e9\/", 10000000000000000000001 ],', 1)
        if self.provider is gemini:
            return frame.replace(b"\n\n", b"\r\n\r\n")
        return b": nothing to say\n\n" + frame if frame.startswith((b"data", b"event")) else frame

    def unread(self):
        """A request whose bytes somebody else looks at."""
        body, path = json.loads(self.request.body), self.request.path
        stream = body.get("stream", False) or "stream" in path.rpartition("/")[2].lower()
        return Seen(model=self.provider.MODEL, stream=stream), scenes.SCENES["text"].asks[0].answer

    def check_head(self):
        provider, request = self.provider, self.request
        if request.method != "POST" or not request.headers.get("content-type", "").startswith("application/json"):
            raise Wrong("a POST of JSON is wanted")
        if provider.said_key(request.headers) != provider.KEY:
            raise Wrong("the key is another")
        if provider is converse:
            url = f"http://{request.headers['host']}{request.path}"
            converse.check_signature(request.method, url, request.headers, request.body)
        if provider is messages and "anthropic-version" not in request.headers:
            raise Wrong("no anthropic-version")

    def head(self, status, fields):
        text = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.connection.sendall(text.encode() + b"\r\n")

    def whole(self, status, body, **fields):
        body = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False, indent=1).encode()
        self.request.status, self.request.answer = status, body
        fields = {name.replace("_", "-"): value for name, value in fields.items()}
        self.head(status, {"Content-Type": "application/json", **fields, "Content-Length": len(body)})
        self.connection.sendall(body)

    @property
    def media(self):
        return "application/vnd.amazon.eventstream" if self.provider is converse else "text/event-stream"

    def begin_stream(self, media=None):
        self.request.status = 200
        self.head(200, {"Content-Type": media or self.media, "Transfer-Encoding": "chunked"})

    def chunk(self, data):
        self.request.answer += data
        self.connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def end_stream(self):
        self.connection.sendall(b"0\r\n\r\n")

    def stream(self, frames):
        self.begin_stream()
        for _, frame in frames:
            # Cut where nobody expects it.
            middle = len(frame) // 3
            self.chunk(frame[:middle])
            self.chunk(frame[middle:])
        self.end_stream()


class Failing(Reply):
    """The ways to fail."""

    def fail(self, answer, seen):
        mode = self.request.mode
        if mode.isdigit():
            status = int(mode)
            fields = {"Retry-After": "7"} if status == 429 else {}
            return self.whole(status, self.provider.error(status, f"the provider says {status}"), **fields)
        getattr(self, mode.replace("-", "_"))(answer, seen)

    def too_long(self, answer, seen):
        self.whole(400, self.provider.error(400, self.provider.TOO_LONG))

    def slow_headers(self, answer, seen):
        time.sleep(STALL)
        raise Closed

    def wrong_type(self, answer, seen):
        self.whole(200, b"<html><body>Please sign in</body></html>", Content_Type="text/html")

    def reset(self, answer, seen):
        self.abort()

    def abort(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Closing the last handle of it sends the reset.
        self.connection.close()
        raise Closed

    def some(self, answer, seen, tokens):
        """The frames before the first token, or up to it."""
        if not seen.stream:
            return self.half(answer, seen)
        self.begin_stream()
        for kind, frame in self.provider.stream(answer, seen):
            if kind != "start":
                tokens -= 1
            if tokens < 0:
                return None
            self.chunk(frame)

    def half(self, answer, seen):
        """Of an answer that is promised whole."""
        body = json.dumps(self.provider.whole(answer, seen)).encode()
        self.head(200, {"Content-Type": "application/json", "Content-Length": len(body)})
        self.connection.sendall(body[: len(body) // 2])

    def stall_before(self, answer, seen):
        self.some(answer, seen, 0)
        time.sleep(STALL)
        raise Closed

    def stall_after(self, answer, seen):
        self.some(answer, seen, 1)
        time.sleep(STALL)
        raise Closed

    def truncated_before(self, answer, seen):
        self.some(answer, seen, 0)
        self.end_early(seen)

    def truncated_after(self, answer, seen):
        self.some(answer, seen, 1)
        self.end_early(seen)

    def truncated_within(self, answer, seen):
        """In the middle of a frame."""
        self.some(answer, seen, 1)
        if seen.stream:
            frames = [frame for kind, frame in self.provider.stream(answer, seen) if kind == "content"]
            self.chunk(frames[1][: len(frames[1]) // 2])
        self.end_early(seen)

    def end_early(self, seen):
        if not seen.stream:
            raise Closed
        self.end_stream()

    def reset_after(self, answer, seen):
        self.some(answer, seen, 1)
        time.sleep(0.05)
        self.abort()

    def malformed(self, seen):
        if not seen.stream:
            return self.whole(200, b'{"choices": [{"mess')
        broken = b"\0\0\0\x20\0\0\0\x10\xff\xff\xff\xff" + b"x" * 20
        self.chunk(broken if self.provider is converse else b'data: {"choices": [{"delt\n\n')
        self.end_stream()
        return None

    def malformed_before(self, answer, seen):
        if seen.stream:
            self.some(answer, seen, 0)
        self.malformed(seen)

    def malformed_after(self, answer, seen):
        if seen.stream:
            self.some(answer, seen, 1)
        self.malformed(seen)

    def error_event(self, seen):
        if not seen.stream:
            return self.whole(500, self.provider.error(500, "The server had an error"))
        self.chunk(self.provider.error_event())
        self.end_stream()
        return None

    def error_before(self, answer, seen):
        if seen.stream:
            self.some(answer, seen, 0)
        self.error_event(seen)

    def error_after(self, answer, seen):
        if seen.stream:
            self.some(answer, seen, 1)
        self.error_event(seen)
