#!/usr/bin/env python3
"""Models, providers and limits change while they are used: nobody who calls is disturbed, and the next request sees it.

  bench/edits.py [--binary bench/target/causeway/release/causeway] [--mock bench/target/mock/release] [--edits 500]

500 edits through the API, one after the other, while 512 streams run and 200 calls a second are made of the model and
the provider that change. No call may fail, no stream may end early or lose a piece, and from the answer to an edit until
a request shows it is answered may take 50 ms at most (p99). Needs bench/mock built. Standard library only.
"""
import argparse
import http.client
import json
import subprocess
import tempfile
import threading
import time

import drive
from gateway import CHAT, MOCK, Gateway, Mock, ask, load_of, options_of, percentile, question

STREAMS, STREAM_PACE_MS, CALLS_PER_SECOND, CALLERS = 512, 100, 200, 4
EFFECTIVE_MS_MAX = 50
# Between the beginnings of two edits.
EDIT_EVERY_S = 0.08
PATIENCE_S = 5
REFUSING = [{"unit": "tokens", "amount": 1, "window": "day", "scope": "server"}]


class Caller:
    """Asks models on a connection of its own."""

    def __init__(self, gateway):
        self.connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        self.headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}

    def call(self, model):
        """The status of an answer, and whose it is."""
        body = question(model).replace(" risk.", " risk. [mock k=1]")
        self.connection.request("POST", "/v1/chat/completions", body, self.headers)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("x-causeway-target")


def edits(gateway, caller):
    """Without end: what is done, and what shows that it is."""
    n = 0
    while True:
        n += 1
        key, path = f"sk-changed-{n}-of-openai", ("/v1", "/v1/openai")[n % 2]
        at_mock = lambda: caller.call(CHAT)[0] == 200 and ask(drive.MOCK_PORT, "GET", "/__key")
        yield (f"target of {CHAT}", lambda: gateway.model(CHAT, "openai", model=f"gpt-{n}"),
               lambda: caller.call(CHAT) == (200, f"openai/gpt-{n}"))
        yield ("key of a provider", lambda: gateway.ask("PUT", "/api/v1/providers/openai/keys/main", {"value": key}),
               lambda: at_mock().endswith(f" Bearer {key}"))
        yield ("address of a provider", lambda: gateway.ask("PUT", "/api/v1/providers/openai", {
            "kind": "openai", "parameters": {"base_url": MOCK + path}}),
            lambda: at_mock().startswith(f"{path}/chat/completions "))
        yield ("limit set", lambda: gateway.model("limited", "openai", model=CHAT, limits=REFUSING),
               lambda: caller.call("limited")[0] == 429)
        yield ("limit lifted", lambda: gateway.model("limited", "openai", model=CHAT),
               lambda: caller.call("limited")[0] == 200)
        yield ("model added", lambda: gateway.model(f"new-{n}", "openai", model=CHAT),
               lambda: caller.call(f"new-{n}")[0] == 200)
        yield ("model removed", lambda: gateway.ask("DELETE", f"/api/v1/models/new-{n}"),
               lambda: caller.call(f"new-{n}")[0] == 404)
        yield ("limit of a key's consumer", lambda: gateway.ask("PATCH", "/api/v1/consumers/other", {"limits": REFUSING}),
               lambda: gateway.other.call(CHAT)[0] == 429)
        yield ("that one lifted", lambda: gateway.ask("PATCH", "/api/v1/consumers/other", {"limits": []}),
               lambda: gateway.other.call(CHAT)[0] == 200)


class Running(threading.Thread):
    """A load client beside the edits."""

    def __init__(self, arguments):
        super().__init__()
        self.arguments, self.result = arguments, None
        self.start()

    def run(self):
        done = subprocess.run([drive.LOAD, *map(str, self.arguments)], capture_output=True, text=True)
        self.result = json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr[-300:]}


def make(gateway, options):
    """Makes the edits: milliseconds until each was answered and until it showed, and how many the first request showed."""
    answered, effective, at_once, slowest = [], [], 0, (0, "")
    for number, (name, edit, shows) in enumerate(edits(gateway, Caller(gateway))):
        if number == options.edits:
            break
        began = time.perf_counter()
        edit()
        acknowledged = time.perf_counter()
        tries = 1
        while not shows():
            tries += 1
            if time.perf_counter() - acknowledged > PATIENCE_S:
                raise SystemExit(f"edit {number}, {name}, does not show")
        done = time.perf_counter()
        answered.append((acknowledged - began) * 1e3)
        effective.append((done - acknowledged) * 1e3)
        at_once += tries == 1
        slowest = max(slowest, (effective[-1], name))
        time.sleep(max(0, began + EDIT_EVERY_S - time.perf_counter()))
    return answered, effective, at_once, slowest


def measure(gateway, mock, options):
    gateway.ask("PATCH", "/api/v1/consumers/other", {"limits": []})
    seconds = options.edits * EDIT_EVERY_S * 1.25 + 10
    pieces = int(seconds * 1000 / STREAM_PACE_MS)
    url, headers = f"{gateway.base()}/v1/chat/completions", [f"authorization: Bearer {gateway.key}"]
    streams = Running(load_of(
        "stream", url, headers, question(CHAT, f"n={pieces} i={STREAM_PACE_MS}"), options.streams, "--answers", 1,
        "--pieces", pieces, "--warm", 0, "--secs", 3 * seconds + 60, "--timeout", 3 * seconds + 60, "--stagger", 2,
        "--expect", "[DONE]"))
    end = time.time() + 30
    while mock.open_streams() < options.streams and time.time() < end:
        time.sleep(0.05)
    calls = Running(load_of(
        "rps", url, headers, question(CHAT), CALLERS, "--every", CALLERS * 1000 // CALLS_PER_SECOND, "--warm", 0,
        "--secs", options.edits * EDIT_EVERY_S, "--expect", "bridge forwards"))
    began, running = time.time(), mock.open_streams()
    answered, effective, at_once, slowest = make(gateway, options)
    took, still = time.time() - began, mock.open_streams()
    calls.join()
    streams.join()
    print(f"{options.edits} edits in {took:.0f} s; {running} streams when they began, {still} when they ended")
    for name, values in (("edit until it is answered", answered), ("from then until a request that shows it is answered", effective)):
        print(f"{name}: p50 {percentile(values, 0.5):.1f} ms, p99 {percentile(values, 0.99):.1f}, most {max(values):.1f}")
    print(f"the first request showed {at_once} of {len(effective)}; slowest: {slowest[1]}")
    return judged(gateway, options, (streams.result, calls.result), (effective, at_once, still))


def judged(gateway, options, loads, edited):
    (streams, calls), (effective, at_once, still) = loads, edited
    print(f"streams: {streams.get('ok')} whole, {streams.get('err')} failed, {streams.get('lost')} pieces lost "
          f"{streams.get('first_err')}{streams.get('failed', '')}; late by {streams['fwd_us']['p50'] / 1e3:.1f} ms, p99 "
          f"{streams['fwd_us']['p99'] / 1e3:.1f}, most {streams['fwd_us']['max'] / 1e3:.1f}")
    print(f"calls: {calls.get('ok')} good, {calls.get('rps', 0):.0f}/s, {calls.get('err')} failed {calls.get('first_err')}; "
          f"p50 {calls['lat_us']['p50'] / 1e3:.2f} ms, p99 {calls['lat_us']['p99'] / 1e3:.2f}")
    lost = gateway.gauge("causeway_ledger_entries_lost_total")
    good = True
    for held, text in (
            (streams["ok"] == options.streams and streams["err"] == streams["lost"] == 0, "every stream came whole"),
            (still == options.streams, "all of them ran while there were edits"),
            (calls["err"] == 0 and calls["ok"] > 0, "every call was answered"),
            (at_once == len(effective), "the first request after an edit shows it"),
            (percentile(effective, 0.99) < EFFECTIVE_MS_MAX, f"effective p99 under {EFFECTIVE_MS_MAX} ms"),
            (not lost, "no entry of the ledger lost")):
        print(f"{'ok    ' if held else 'FAILED'} {text}")
        good &= held
    return good


def main():
    parser = options_of(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    parser.add_argument("--edits", type=int, default=500)
    parser.add_argument("--streams", type=int, default=STREAMS)
    options = parser.parse_args()
    drive.take_priority()
    mock, good = Mock(options.mock), False
    try:
        with tempfile.TemporaryDirectory() as data:
            gateway = Gateway(options.binary, data)
            try:
                made = json.loads(gateway.ask("POST", "/api/v1/keys", {"name": "other"}))
                gateway.other = Caller(gateway)
                gateway.other.headers["authorization"] = f"Bearer {made['key']}"
                good = measure(gateway, mock, options)
            finally:
                gateway.stop()
    finally:
        mock.stop()
    raise SystemExit(not good)


if __name__ == "__main__":
    main()
