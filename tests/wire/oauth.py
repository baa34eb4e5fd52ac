"""Tokens for upstream APIs, got by the real binary from an authorization server that is not ours: client
credentials, a connection by code with PKCE, OpenID Connect, refresh, and the end of each."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar

import documents
from authority import Authority, Client

CAUSEWAY = os.environ.get("CAUSEWAY_BIN") or os.path.join(
    os.environ.get("CARGO_TARGET_DIR", documents.ROOT / "target"), "debug", "causeway"
)
ADMIN = "an admin key of the oauth tests"
# No space in it: authlib reads `+` in a header as itself, RFC 6749 section 2.3.1 as a space.
SECRET = "a-s3cret/with+signs"


def document(authority, scheme):
    return {
        "openapi": "3.1.0", "info": {"title": "Echo", "version": "1"}, "servers": [{"url": authority.origin}],
        "components": {"securitySchemes": {"oauth": scheme}},
        "paths": {"/echo": {"get": {
            "operationId": "echo", "security": [{"oauth": ["read"]}], "responses": {"200": {"description": "ok"}},
        }}},
    }


def csrf(page):
    """The token of the first form of a page."""
    return re.search(r'name="csrf" value="([^"]+)"', page)[1]


class Server:
    """`causeway serve`, its API, and a browser that is signed in."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.log = open(os.path.join(self.folder.name, "log"), "w+")
        self.process = subprocess.Popen(
            [CAUSEWAY, "serve", "--listen", "127.0.0.1:0", "--data", self.folder.name + "/data", "--admin-key", ADMIN,
             "--allow-upstream", "127.0.0.0/8", "--no-demo", "--json"],
            stdout=subprocess.PIPE, stderr=self.log, text=True, env={**os.environ, "RUST_LOG": "trace", "CAUSEWAY__LIMITS__MANAGEMENT_REQUESTS_PER_SECOND": "0"},
        )
        self.url = json.loads(self.process.stdout.readline())["url"].rstrip("/")
        self.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.sign_in()

    def sign_in(self):
        page, _ = self.visit("/login")
        self.visit("/login", {"csrf": csrf(page), "key": ADMIN, "next": "/"})

    def api(self, method, path, body=None, expect=200):
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.url + "/api/v1" + path, data, method=method)
        asked.add_header("X-API-Key", ADMIN)
        asked.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        assert status == expect, (method, path, status, text)
        return json.loads(text) if text else None

    def visit(self, address, form=None, expect=200):
        data = form and urllib.parse.urlencode(form).encode()
        address = address if address.startswith("http") else self.url + address
        try:
            with self.browser.open(address, data, timeout=60) as answer:
                status, text, at = answer.status, answer.read().decode(), answer.url
        except urllib.error.HTTPError as error:
            status, text, at = error.code, error.read().decode(), error.url
        assert status == expect, (address, status, text)
        return text, at

    def publish(self, slug, text):
        self.api("POST", "/servers", {"slug": slug, "document": json.dumps(text)}, 201)

    def call(self, slug):
        answer = self.api("POST", f"/servers/{slug}/tools/echo/call", {"arguments": {}})
        return answer["result"]["content"][0]["text"], not answer["result"]["isError"]

    def row(self, slug):
        return self.api("GET", f"/servers/{slug}/credentials")["credentials"][0]["oauth"]

    def enter(self, slug, authority, client, expect=200):
        body = {"client": client, "origins": [authority.origin], "tokenOrigins": [authority.origin]}
        return self.api("PUT", f"/servers/{slug}/credentials/oauth", body, expect)

    def form(self, slug, **fields):
        page, _ = self.visit(f"/servers/{slug}/settings")
        return self.visit(f"/servers/{slug}/settings/credentials", {"csrf": csrf(page), "scheme": "oauth", **fields})

    def connect(self, slug):
        """Presses Connect, follows the link, and comes back."""
        page, _ = self.form(slug, do="connect")
        link = re.search(r'class="button" href="([^"]+)"', page)[1].replace("&amp;", "&").replace("&#38;", "&")
        text, at = self.visit(link)
        assert at.startswith(self.url) and "done=connected" in at, (at, text)
        return link

    def close(self, secrets):
        self.process.terminate()
        self.process.wait()
        self.log.seek(0)
        log = self.log.read()
        assert log, "nothing was logged"
        for secret in secrets:
            assert secret and secret not in log, "the log shows a secret"


def secrets(authority):
    found = [SECRET, urllib.parse.quote_plus(SECRET)]
    for token in authority.tokens:
        found += [token.fields[name] for name in ("access_token", "refresh_token") if token.fields.get(name)]
    return found


def masked(text, authority):
    for secret in secrets(authority):
        assert secret not in text, text
    assert "[masked]" in text, text


def client_credentials(server):
    for method in ("basic", "post"):
        authority = Authority()
        authority.clients["machine"] = Client("machine", SECRET, ["client_credentials"])
        slug = f"machine-{method}"
        flows = {"clientCredentials": {"tokenUrl": authority.origin + "/token", "scopes": {"read": ""}}}
        server.publish(slug, document(authority, {"type": "oauth2", "flows": flows}))
        client = {"id": "machine", "secret": SECRET, "authentication": method}
        body = {"client": client, "origins": [authority.origin], "tokenOrigins": ["https://elsewhere.example"]}
        server.api("PUT", f"/servers/{slug}/credentials/oauth", body, 409)
        server.enter(slug, authority, client)
        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda _: server.call(slug), range(50)))
        for text, good in answers:
            assert good and '"scope":"read"' in text.replace(" ", ""), text
            masked(text, authority)
        assert len(authority.asked("client_credentials")) == 1, authority.requests
        server.enter(slug, authority, {**client, "secret": "wrong"})
        text, good = server.call(slug)
        assert not good and "invalid_client" in text and SECRET not in text, text
        yield authority


def one_document():
    """`causeway stdio` and its like take a client on the command line."""
    authority = Authority()
    authority.clients["machine"] = Client("machine", SECRET, ["client_credentials"])
    flows = {"clientCredentials": {"tokenUrl": "/token", "scopes": {"read": ""}}}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document(authority, {"type": "oauth2", "flows": flows}), file)
        file.flush()
        process = subprocess.Popen(
            [CAUSEWAY, "stdio", file.name, "--allow-upstream", "127.0.0.0/8", "--credential", f"oauth=client:machine:{SECRET}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

        def say(message):
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            process.stdin.flush()
            while "id" in message:
                answer = json.loads(process.stdout.readline())
                if answer.get("id") == message["id"]:
                    return answer

        say({"id": 1, "method": "initialize", "params": hello})
        say({"method": "notifications/initialized"})
        answer = say({"id": 2, "method": "tools/call", "params": {"name": "echo", "arguments": {}}})
        process.stdin.close()
        process.wait(timeout=30)
    assert not answer["result"].get("isError"), answer
    masked(json.dumps(answer), authority)
    assert len(authority.requests) == 1, authority.requests


def connection(server, openid):
    authority = Authority(life=15)
    callback = server.url + "/oauth/callback"
    authority.clients["web"] = Client("web", SECRET, ["authorization_code", "refresh_token"], [callback])
    slug = "openid" if openid else "code"
    if openid:
        scheme = {"type": "openIdConnect", "openIdConnectUrl": authority.origin + "/.well-known/openid-configuration"}
    else:
        flow = {"authorizationUrl": authority.origin + "/authorize", "tokenUrl": authority.origin + "/token", "scopes": {}}
        scheme = {"type": "oauth2", "flows": {"authorizationCode": flow}}
    server.publish(slug, document(authority, scheme))
    listed = server.api("GET", f"/servers/{slug}/credentials")
    assert listed["redirectUri"] == callback, listed
    client = {"id": "web", "secret": SECRET, "grant": "authorizationCode"}
    if not openid:
        client["revocationUrl"] = authority.origin + "/revoke"
    else:
        authority.issuer_lie = "https://evil.example"
        server.enter(slug, authority, client, 422)
        authority.issuer_lie = None
        # The wrong description is remembered for ten seconds.
        time.sleep(11)
    server.enter(slug, authority, client)
    assert server.row(slug)["client"]["needsConnection"], server.row(slug)
    text, good = server.call(slug)
    assert not good and "has to connect it" in text, text
    link = server.connect(slug)
    sent = urllib.parse.parse_qs(urllib.parse.urlparse(link).query)
    assert sent["code_challenge_method"] == ["S256"] and len(sent["state"][0]) >= 32, sent
    assert ("nonce" in sent) == openid, sent
    assert server.row(slug)["client"]["connected"]
    # A state is taken once, is ours, and belongs to the session that began.
    for state in (sent["state"][0], "made-up", ""):
        server.visit(f"/oauth/callback?code=x&state={state}", expect=403)
    text, good = server.call(slug)
    assert good and '"user":"ada"' in text.replace(" ", ""), text
    masked(text, authority)
    # It ends mid-use: one of fifty calls renews it.
    time.sleep(16)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: server.call(slug), range(50)))
    assert all(good for _, good in answers), answers
    assert len(authority.asked("refresh_token")) == 1, authority.requests
    # Revoked at the server while it lasts, and with it the refresh token.
    for token in authority.tokens:
        token.revoked = True
    time.sleep(15)
    text, good = server.call(slug)
    assert not good and "has to connect it" in text, text
    assert server.row(slug)["client"]["needsConnection"]
    server.connect(slug)
    assert server.call(slug)[1]
    server.api("DELETE", f"/servers/{slug}/credentials/oauth/connection", expect=204)
    assert len(authority.revocations) == 1, "the refresh token was not revoked"
    assert not server.call(slug)[1]
    return authority


def another_session(server):
    """Who did not begin does not end: the answer for one session is refused in another."""
    authority = Authority()
    authority.clients["web"] = Client("web", SECRET, ["authorization_code"], [server.url + "/oauth/callback"])
    flow = {"authorizationUrl": authority.origin + "/authorize", "tokenUrl": authority.origin + "/token", "scopes": {}}
    server.publish("session", document(authority, {"type": "oauth2", "flows": {"authorizationCode": flow}}))
    server.enter("session", authority, {"id": "web", "secret": SECRET, "grant": "authorizationCode"})
    page, _ = server.form("session", do="connect")
    link = re.search(r'class="button" href="([^"]+)"', page)[1].replace("&amp;", "&").replace("&#38;", "&")
    mine = server.browser
    server.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    text, at = server.visit(link)
    assert "/login" in at, "a visitor is asked to sign in"
    server.sign_in()
    server.visit(link, expect=403)
    server.browser = mine
    assert server.row("session")["client"]["needsConnection"]
    # Begun with the key, any session of the admin may end it.
    begun = server.api("POST", "/servers/session/credentials/oauth/connect")
    _, at = server.visit(begun["authorizationUrl"])
    assert "done=connected" in at, at
    return authority


def main():
    server = Server()
    authorities = []
    try:
        authorities += client_credentials(server)
        one_document()
        authorities.append(another_session(server))
        authorities += [connection(server, openid) for openid in (False, True)]
    finally:
        server.close([secret for authority in authorities for secret in secrets(authority)] or [SECRET])
    print("authlib: client credentials, code with PKCE, OpenID Connect, refresh, revocation: ok")


if __name__ == "__main__":
    sys.exit(main())
