"""Causeway as its operator sets it up: a provider per dialect and way to fail, and the models that lead to them."""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

from server import DIALECTS

# Providers of the compiled-in list, with another base URL. OpenAI's speaks both of its dialects; here each is alone.
KINDS = {"anthropic": "anthropic", "gemini": "gemini", "bedrock": "bedrock", "cohere": "cohere"}


class Gateway:
    def __init__(self, url, key, admin):
        self.url, self.key, self.admin = url, key, admin

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.admin}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            if error.code == 429:
                time.sleep(int(error.headers["Retry-After"]))
                return self.call(method, path, body)
            raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()}") from None

    def provider(self, name, dialect, server, mode="well"):
        settings = {"kind": KINDS.get(dialect, name), "parameters": {"base_url": server.base(dialect, mode)}, "allowUpstream": [server.address]}
        if dialect == "bedrock":
            settings["parameters"]["region"] = DIALECTS[dialect].REGION
        if dialect not in KINDS:
            settings["definition"] = {
                "id": name,
                "name": "Of one dialect",
                "dialect": dialect,
                "base_url": "{base_url}",
                "capabilities": ["chat"],
                "auth": "bearer",
                "parameters": [{"name": "base_url", "help": "Where it is"}],
                "docs": "https://platform.openai.com/docs/api-reference",
            }
        self.call("PUT", f"/providers/{name}", settings)
        self.new_key(name, dialect)

    def new_key(self, name, dialect):
        """What was known of how it fares is forgotten with the old one."""
        self.call("PUT", f"/providers/{name}/keys/first", {"value": DIALECTS[dialect].KEY})

    def model(self, name, targets, **settings):
        self.call("PUT", f"/models/{urllib.parse.quote(name, safe='')}", {"targets": targets, **settings})


def from_environment():
    return Gateway(os.environ["CAUSEWAY_URL"], os.environ["CAUSEWAY_KEY"], os.environ["CAUSEWAY_ADMIN_KEY"])


def renewed():
    """New keys are known."""
    settle()


def settle():
    """A change is effective within a second."""
    time.sleep(1)
