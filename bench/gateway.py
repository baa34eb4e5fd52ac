"""A Causeway with models behind it, and the mock provider it asks: what the benches of models share.

Keys, prices and the ledger are on: callers have a key of their own, the providers' keys are sealed, and the models have
published prices. Standard library only.
"""
import http.client
import json
import os
import subprocess
import time

import drive
from catalog import KEY, Server

HERE = os.path.dirname(os.path.abspath(__file__))
MOCK = f"http://127.0.0.1:{drive.MOCK_PORT}"
# Names that have a price: the mock answers whatever it is asked for.
CHAT, MESSAGES = "gpt-4o-mini", "claude-haiku-4-5"
# The first with limits of its own, so high that they refuse nothing.
LIMITED = "limited"
LIMITS = [{"unit": "requests", "amount": 1_000_000_000, "window": "minute", "scope": "key"},
          {"unit": "tokens", "amount": 1_000_000_000, "window": "month", "scope": "consumer"}]
ALLOWED = ("--allow-upstream", f"127.0.0.1:{drive.MOCK_PORT}")
PROMPT = "Explain in two sentences what an API bridge does and name one risk."


class Mock:
    """The upstream of every target, which counts what reaches it."""

    def __init__(self, folder):
        drive.LOAD = os.path.join(folder, "load")
        self.process = subprocess.Popen(
            [os.path.join(folder, "mock")], env={**os.environ, "MOCK_THREADS": "2"})
        self.pid = self.process.pid
        for _ in range(500):
            try:
                self.open_streams()
                return
            except OSError:
                time.sleep(0.01)
        raise SystemExit("the mock does not start; is its port taken?")

    def open_streams(self):
        return ask(drive.MOCK_PORT, "GET", "/__open")

    def stop(self):
        drive.stop(self.process)


class Gateway(Server):
    """`causeway serve` with two providers, some models and a key. `resting_mib` is what it takes once it has started
    with one provider and ten models, before anybody asks anything.
    """

    def __init__(self, binary, data):
        start = super().__init__
        self.asked_at = 0.0
        start(binary, data, *ALLOWED)
        self.provider("openai", "openai", f"{MOCK}/v1")
        self.model(CHAT, "openai")
        for number in range(1, 10):
            self.model(f"another-{number}", "openai", model=CHAT)
        self.stop()
        start(binary, data, *ALLOWED)
        self.port, self.pid = self.connection.port, self.process.pid
        time.sleep(2)
        self.resting_mib = self.resident_mib()
        self.provider("anthropic", "anthropic", f"{MOCK}/v1")
        self.model(MESSAGES, "anthropic")
        self.model(LIMITED, "openai", model=CHAT, limits=LIMITS)
        self.key = json.loads(self.ask("POST", "/api/v1/keys", {"name": "bench"}))["key"]

    def ask(self, method, path, body=None):
        if time.time() - self.asked_at > 2:
            # The other side closes what is not used.
            self.connection.close()
        self.asked_at = time.time()
        return super().ask(method, path, body)

    def provider(self, name, kind, base_url):
        self.ask("PUT", f"/api/v1/providers/{name}", {"kind": kind, "parameters": {"base_url": base_url}})
        self.ask("PUT", f"/api/v1/providers/{name}/keys/main", {"value": f"sk-of-{name}-for-the-bench"})

    def model(self, name, provider, model=None, limits=None, **settings):
        target = {"provider": provider, **({"model": model} if model else {})}
        body = {"targets": [target], **({"limits": limits} if limits else {}), **settings}
        self.ask("PUT", f"/api/v1/models/{name}", body)

    def gauge(self, name):
        """The sum of a metric's samples; `None` where there is none."""
        lines = self.ask("GET", "/metrics").decode().splitlines()
        found = [line for line in lines if line.startswith((name + " ", name + "{"))]
        return sum(float(line.split()[-1]) for line in found) if found else None

    def base(self):
        return f"http://127.0.0.1:{self.port}"


def ask(port, method, path, body=None, headers=None):
    """One request on a connection of its own: the JSON that comes back."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body and json.dumps(body), headers or {})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def question(model, stream=None):
    """A request as the clients of both protocols send it; `stream` is what the mock is told of one."""
    text = PROMPT + (f" [mock {stream}]" if stream else "")
    body = {"model": model, "max_tokens": 256, "temperature": 0.2,
            "messages": [{"role": "user", "content": text}]}
    if stream:
        body["stream"] = True
    return json.dumps(body)


def load_of(kind, url, headers, body, connections, *more):
    """Arguments of the load client."""
    told = [part for line in ("content-type: application/json", *headers) for part in ("--header", line)]
    return [kind, "--url", url, "--body", body, "--conns", connections, *told, *more]


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def options_of(parser):
    """What every bench of models is told."""
    parser.add_argument("--binary", default=f"{HERE}/target/causeway/release/causeway")
    parser.add_argument("--mock", default=f"{HERE}/target/mock/release", help="where mock and load are")
    return parser


__all__ = ["CHAT", "HERE", "KEY", "LIMITED", "LIMITS", "MESSAGES", "MOCK", "Gateway", "Mock", "ask", "load_of",
           "options_of", "percentile", "question"]
