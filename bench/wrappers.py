#!/usr/bin/env python3
"""What a key, limits and the ledger cost a tool call: CPU of the server for 1,000 calls, side by side.

  bench/wrappers.py [--binary bench/target/causeway/release/causeway] [--rounds 7]

Four ways to make the same call, in turn, in an order that rotates:

  bare    `causeway run`: no key, no limit, and no database, so that there is no ledger either
  ledger  an open server of `causeway serve`: no key, no limit, the ledger on
  key     a server for keys of the same process, no limit
  whole   a server for keys of the same process, with a rate for each key and a quota a month

CPU is user and system time of the whole process from /proc, from before the first call until what the calls
left behind, rows of the ledger above all, is written. The target is `whole` at most 10 % above `bare`, by the
median of the ratios of each round. Needs bench/mock built (bench/compare does). Standard library only.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import drive
from catalog import KEY, Server

HERE = os.path.dirname(os.path.abspath(__file__))
OPERATION = {"operationId": "get_res000", "summary": "Read one", "parameters": [
    {"name": "item_id", "in": "path", "required": True, "schema": {"type": "string"}},
    {"name": "q", "in": "query", "schema": {"type": "string", "maxLength": 100}}]}
DOCUMENT = {"openapi": "3.0.3", "info": {"title": "Bench", "version": "1"},
            "servers": [{"url": f"http://127.0.0.1:{drive.MOCK_PORT}"}],
            "paths": {"/echo/res000/{item_id}": {"get": OPERATION}}}
# So much that nothing is refused.
LIMITS = [{"unit": "requests", "amount": 100_000_000, "window": "minute", "scope": "key"},
          {"unit": "requests", "amount": 1_000_000_000, "window": "month", "scope": "consumer"}]
BARE_PORT = 4090


def bring_up(options, data):
    """The processes, and each way's URL, header and process."""
    document = os.path.join(data, "bench.json")
    with open(document, "w") as file:
        json.dump(DOCUMENT, file)
    allow = ["--allow-upstream", f"127.0.0.1:{drive.MOCK_PORT}"]
    quiet = {**os.environ, "CAUSEWAY__SERVER__LOG_LEVEL": "warn"}
    bare = subprocess.Popen([options.binary, "run", document, "--listen", f"127.0.0.1:{BARE_PORT}", *allow],
                            env=quiet, stdout=subprocess.DEVNULL)
    served = Server(options.binary, os.path.join(data, "served"), *allow)
    base = f"http://{served.connection.host}:{served.connection.port}/mcp"
    for slug, access, limits in (("open", "open", []), ("key", "key", []), ("whole", "key", LIMITS)):
        served.ask("POST", "/api/v1/servers", {"slug": slug, "document": DOCUMENT, "access": access})
        if limits:
            served.ask("PATCH", f"/api/v1/servers/{slug}", {"limits": limits})
    key = json.loads(served.ask("POST", "/api/v1/keys", {"name": "bench"}))["key"]
    header = ["--header", f"authorization: Bearer {key}"]
    ways = {
        "bare": (f"http://127.0.0.1:{BARE_PORT}/mcp", [], bare.pid),
        "ledger": (f"{base}/open", [], served.process.pid),
        "key": (f"{base}/key", header, served.process.pid),
        "whole": (f"{base}/whole", header, served.process.pid),
    }
    return bare, served, ways


def microseconds(way, options):
    """CPU of one call of a way, and how many went well."""
    url, header, pid = way
    params = json.dumps({"name": "get_res000", "arguments": {"item_id": "42", "q": "abc"}})
    before = drive.cpu_seconds(pid)
    run = drive.load(["mcp", "--url", url, "--mode", options.mode, "--params", params, "--name", "get_res000",
                      "--conns", options.connections, "--expect", "bridge forwards", "--warm", 0,
                      "--secs", options.secs, *header])
    if run["err"]:
        sys.exit(f"{url}: {run['err']} failed: {run['first_err']}")
    # The ledger is written a moment later.
    time.sleep(0.5)
    drive.settle(pid)
    return (drive.cpu_seconds(pid) - before) / run["ok"] * 1e6, run["ok"]


def lost(served):
    text = urllib.request.urlopen(urllib.request.Request(
        f"http://{served.connection.host}:{served.connection.port}/metrics",
        headers={"authorization": f"Bearer {KEY}"})).read().decode()
    found = [line for line in text.splitlines() if line.startswith("causeway_ledger_entries_lost_total")]
    return sum(float(line.split()[-1]) for line in found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=f"{HERE}/target/causeway/release/causeway")
    parser.add_argument("--mock", default=f"{HERE}/target/mock/release")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--secs", type=float, default=3, help="seconds of calls for each figure")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--mode", default="stateless", choices=("stateless", "modern"))
    options = parser.parse_args()
    drive.LOAD = os.path.join(options.mock, "load")
    mock = subprocess.Popen([os.path.join(options.mock, "mock")], env={**os.environ, "MOCK_THREADS": "2"})
    processes = [mock]
    try:
        with tempfile.TemporaryDirectory() as data:
            bare, served, ways = bring_up(options, data)
            processes += [bare, served.process]
            time.sleep(1)
            compare(options, served, ways)
    finally:
        for process in reversed(processes):
            drive.stop(process)


def compare(options, served, ways):
    short = argparse.Namespace(**{**vars(options), "secs": 1})
    for way in ways.values():
        microseconds(way, short)
    measured, kept = {name: [] for name in ways}, 0
    names = list(ways)
    for number in range(options.rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            cost, calls = microseconds(ways[name], options)
            measured[name].append(cost)
            print(f"{number} {name:7} {cost:7.1f} us of CPU a call, {calls} calls", flush=True)
            if name != "bare":
                kept += calls
    gone = lost(served)
    print(f"\n{kept} calls were for the ledger; {gone:.0f} of its entries were lost\n")
    print("| call | CPU for 1,000 calls, s | of `bare`, median (least to most) |\n|---|--:|--:|")
    for name, costs in measured.items():
        ratios = [cost / bare for cost, bare in zip(costs, measured["bare"])]
        print(f"| {name} | {statistics.median(costs) / 1e3:.4f} | {statistics.median(ratios):.2f} "
              f"({min(ratios):.2f} to {max(ratios):.2f}) |")


if __name__ == "__main__":
    main()
