#!/usr/bin/env python3
"""Every page over a catalog of 10,000 servers: how long it takes and what it weighs.

  bench/pages.py [--servers 10000] [--binary bench/target/causeway/release/causeway]

Publishes the servers through the API, signs in with the admin key and asks for every GET row of the table of pages
(src/market/gate.rs) over one connection to this machine. A page is to take less than 10 ms, by the median, and to
weigh less than 100 kB with its styles and scripts, all compressed. Standard library only.
"""
import argparse
import gzip
import http.client
import json
import os
import re
import statistics
import sys
import tempfile
import time
import urllib.parse

import drive
from catalog import KEY, Server

HERE = os.path.dirname(os.path.abspath(__file__))
MILLISECONDS_MAX = 10
BYTES_MAX = 100_000
VERBS = ("list", "get", "create", "update", "delete", "search", "export", "cancel")
THINGS = ("pet", "order", "invoice", "customer", "payment", "refund", "shipment", "ticket", "user", "group",
          "project", "branch", "build", "release", "metric", "alert", "message", "channel", "event", "file",
          "report", "product", "price", "订单", "客户", "库存")
# What stands for the names in braces. A token nobody was given shows the page that says so.
NAMES = {"name": "consumer-7", "token": "0" * 64}


def document(number, operations):
    paths = {}
    for at in range(operations):
        verb, thing = VERBS[(number + at) % len(VERBS)], THINGS[(number * 7 + at) % len(THINGS)]
        paths[f"/{thing}/{at}/{{id}}"] = {"get": {
            "operationId": f"{verb}_{thing}_{number}_{at}", "summary": f"{verb} one {thing}", "tags": [thing],
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {"200": {"description": "ok"}}}}
    thing = THINGS[number % len(THINGS)]
    return {"openapi": "3.1.0", "servers": [{"url": "https://api.example.com"}], "paths": paths,
            "info": {"title": f"{thing} service {number}", "version": "1",
                     "description": f"Everything about {thing}, for those who have many of them. " * 3}}


def fill(server, options):
    """Servers, keys of many consumers, and some calls that fail, so that there is something to show."""
    for number in range(options.servers):
        server.ask("POST", "/api/v1/servers", {
            "slug": f"s{number}", "document": document(number, 3), "category": f"Category {number % 200}",
            "tags": [f"tag-{number % 2000}", THINGS[number % len(THINGS)], f"of-{number}"]})
    server.ask("POST", "/api/v1/servers", {"slug": "large", "document": document(10**6, 500)})
    for number in range(options.consumers):
        server.ask("POST", "/api/v1/keys", {"name": f"consumer-{number}", "servers": [f"s{number}"]})
    for number in range(min(300, options.servers)):
        tool = list_of_tools(server, f"s{number}")[0]
        server.ask("POST", f"/api/v1/servers/s{number}/tools/{tool}/call", {"arguments": {"id": "1"}})


def list_of_tools(server, slug):
    return [tool["name"] for tool in json.loads(server.ask("GET", f"/api/v1/servers/{slug}/tools"))["tools"]]


class Browser:
    """One connection with cookies, as somebody who signed in with the admin key."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection(server.connection.host, server.connection.port, timeout=60)
        self.cookies = {}
        form = self.get("/login")[1].decode()
        token = re.search(r'name="csrf" value="([^"]+)"', form)[1]
        status, _ = self.ask("POST", "/login", urllib.parse.urlencode({"csrf": token, "key": KEY}))
        if status != 303:
            sys.exit(f"signing in: {status}")

    def ask(self, method, path, body=None):
        headers = {"accept": "text/html", "accept-encoding": "gzip, br"}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body:
            headers["content-type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, urllib.parse.quote(path, safe="/?=&%+"), body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        for cookie in answer.headers.get_all("set-cookie") or []:
            name, value = cookie.split(";")[0].split("=", 1)
            self.cookies[name] = value
        self.encoding = answer.getheader("content-encoding")
        return answer.status, text

    def get(self, path):
        return self.ask("GET", path)


def addresses(server, options):
    NAMES["slug"] = f"s{options.servers // 2}"
    with open(os.path.join(HERE, "../src/market/gate.rs")) as gate:
        table = gate.read().split("pub const PAGES")[1].split("];")[0]
    rows = re.findall(r'"GET",\s*"([^"]+)"', table)
    NAMES["tool"] = list_of_tools(server, NAMES["slug"])[0]
    NAMES["id"] = json.loads(server.ask("POST", "/api/v1/imports", {
        "items": [{"name": "imported", "document": document(10**6 + 1, 3)}]}))["id"]
    for row in rows:
        if row == "/assets/{name}":
            continue
        if row == "/docs/{name}":
            yield "/docs/openapi"
            continue
        yield re.sub(r"\{(\w+)\}", lambda found: NAMES[found[1]], row)
    yield from ("/?q=a", "/?q=pay", "/?q=create%20order", "/?q=%E5%AE%A2", "/?category=Category%207",
                "/?tag=pet&sort=newest", "/?page=400", "/servers/large", "/servers/large/tools",
                "/servers/large/report", "/servers/large/connect", "/servers/large/settings",
                "/servers/large/review", "/servers/s1/settings", "/usage?by=tool")


def weight(browser, html, assets):
    """Of a page and of what it names, all compressed."""
    total = len(gzip.compress(html, 6))
    text = html.decode(errors="replace")
    for path in set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', text)):
        path = path.replace("&amp;", "&")
        if path not in assets:
            _, body = browser.get(path)
            assets[path] = len(body if browser.encoding else gzip.compress(body, 6))
        total += assets[path]
    return total


def measure(server, options):
    browser, assets, slow, heavy = Browser(server), {}, [], []
    print("| page | status | median, ms | fastest, ms | CPU, ms | HTML, kB | compressed with assets, kB |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for path in addresses(server, options):
        for _ in range(3):
            status, html = browser.get(path)
        taken, before = [], drive.cpu_seconds(server.process.pid)
        for _ in range(options.times):
            began = time.perf_counter()
            browser.get(path)
            taken.append((time.perf_counter() - began) * 1e3)
        cpu = (drive.cpu_seconds(server.process.pid) - before) / options.times * 1e3
        median, bytes_all = statistics.median(taken), weight(browser, html, assets)
        slow += [path] * (median >= MILLISECONDS_MAX)
        heavy += [path] * (bytes_all >= BYTES_MAX)
        print(f"| `{path}` | {status} | {median:.1f} | {min(taken):.1f} | {cpu:.1f} | {len(html) / 1e3:.0f} "
              f"| {bytes_all / 1e3:.0f} |", flush=True)
    print(f"\n{MILLISECONDS_MAX} ms or more: {' '.join(slow) or 'none'}")
    print(f"{BYTES_MAX} bytes or more: {' '.join(heavy) or 'none'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, default=10_000)
    parser.add_argument("--consumers", type=int, default=300)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--binary", default=f"{HERE}/target/causeway/release/causeway")
    parser.add_argument("--data", help="a directory that a run before has filled, or is to be filled")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = options.data or temporary
        filled = os.path.exists(os.path.join(data, "filled"))
        server = Server(options.binary, data)
        try:
            if not filled:
                fill(server, options)
                open(os.path.join(data, "filled"), "w").close()
            measure(server, options)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
