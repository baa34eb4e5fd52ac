#!/usr/bin/env python3
"""A catalog of many servers: what starting, resting and calling cost beside a catalog of one.

  bench/catalog.py [--servers 10000] [--binary bench/target/causeway/release/causeway]

The servers are published through the API, each with a document of its own. Standard library only.
"""
import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
KEY = "an-admin-key-for-the-bench"


class Server:
    def __init__(self, binary, data, *options):
        began = time.time()
        self.process = subprocess.Popen(
            [binary, "--json", "serve", "--listen", "127.0.0.1:0", "--no-demo", "--data", data,
             "--admin-key", KEY, *options],
            env={**os.environ, "CAUSEWAY__SERVER__LOG_LEVEL": "warn",
                 "CAUSEWAY__LIMITS__MANAGEMENT_REQUESTS_PER_SECOND": "0"},
            stdout=subprocess.PIPE, text=True)
        address = json.loads(self.process.stdout.readline())["listening"]
        self.connection = http.client.HTTPConnection(address, timeout=60)
        self.ask("GET", "/readyz")
        self.ready_seconds = time.time() - began

    def ask(self, method, path, body=None):
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json",
                   "accept": "application/json, text/event-stream"}
        self.connection.request(method, path, body and json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {text[:300]!r}")
        return text

    def list_tools(self, slug):
        return self.ask("POST", f"/mcp/{slug}", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            lines = dict(line.split(":", 1) for line in status if ":" in line)
        return int(lines["VmRSS"].split()[0]) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def document(number):
    operation = {"operationId": f"read_{number}", "parameters": [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]}
    return {"openapi": "3.1.0", "info": {"title": f"Service {number}", "version": "1"},
            "servers": [{"url": "https://api.example.com"}],
            "paths": {"/things/{id}": {"get": operation}}}


def milliseconds(work, times):
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken)


def measure(binary, count):
    with tempfile.TemporaryDirectory() as data:
        server = Server(binary, data)
        began = time.time()
        for number in range(count):
            server.ask("POST", "/api/v1/servers", {"slug": f"s{number}", "document": document(number)})
        publishing = time.time() - began
        server.stop()
        server = Server(binary, data)
        resident = server.resident_mib()
        slug = f"s{count // 2}"
        first = milliseconds(lambda: server.list_tools(slug), 1)
        warm = milliseconds(lambda: server.list_tools(slug), 2000)
        edit = milliseconds(lambda: server.ask(
            "PUT", f"/api/v1/servers/{slug}/document", document(time.time_ns())), 50)
        print(f"| {count:,} | {publishing / count * 1e3:.1f} | {server.ready_seconds * 1e3:,.0f} "
              f"| {resident:.1f} | {first:.1f} | {warm:.2f} | {edit:.1f} |", flush=True)
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, default=10_000)
    parser.add_argument("--binary", default=f"{HERE}/target/causeway/release/causeway")
    options = parser.parse_args()
    print("| servers | publish one, ms | start until ready, ms | idle RSS, MiB "
          "| first tools/list, ms | warm tools/list, ms | re-import, ms |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for count in (1, options.servers):
        measure(options.binary, count)


if __name__ == "__main__":
    main()
