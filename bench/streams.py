#!/usr/bin/env python3
"""Streams of models through Causeway: many at once, callers that leave, and memory over many calls.

  bench/streams.py [--binary bench/target/causeway/release/causeway] [--mock bench/target/mock/release] [--short]

  paced    512 streams of 20 ms a piece, beside the same ones from the provider itself: none of their pieces is lost or
           out of order, and how late they are
  leaving  512 callers leave in the middle of their answers: the provider's connections close, and whatever was held
           for them is free, within a second
  memory   200,000 calls over 32 connections, one in ten of them a stream: how much memory they leave taken

Fails where something is lost, late or kept. Needs bench/mock built. Standard library only.
"""
import argparse
import os
import socket
import statistics
import tempfile
import time

import drive
from gateway import CHAT, Gateway, Mock, load_of, options_of, question

STREAMS, PIECES, PACE_MS = 512, 64, 20
# A piece that comes later than ten of its paces is a stall.
LATE_MS = 10 * PACE_MS
FREE_WITHIN_S = 1.0
CALLS, CONNECTIONS, GROWTH_MIB_MAX = 200_000, 32, 8


class Failures(list):
    def expect(self, good, text):
        print(f"{'ok    ' if good else 'FAILED'} {text}", flush=True)
        if not good:
            self.append(text)


def paced(gateway, failures, options):
    """Every stream ends with all of its pieces."""
    print(f"\n## {STREAMS} paced streams\n")
    pieces = PIECES // 2 if options.short else PIECES
    rounds = 1 if options.short else options.rounds
    measured = {"direct": [], "causeway": []}
    for number in range(rounds):
        for name in ("direct", "causeway") if number % 2 == 0 else ("causeway", "direct"):
            base, headers = (gateway.base(), [f"authorization: Bearer {gateway.key}"]) if name == "causeway" else (
                f"http://127.0.0.1:{drive.MOCK_PORT}", [])
            body = question(CHAT, f"n={pieces} i={PACE_MS}")
            run = drive.load(load_of(
                "stream", f"{base}/v1/chat/completions", headers, body, STREAMS, "--answers", 2, "--pieces", pieces,
                "--warm", 0, "--secs", 50, "--timeout", 45, "--stagger", 1, "--expect", "[DONE]",
                "--pids", gateway.pid))
            measured[name].append(run)
            late, gap = run["fwd_us"], run["gap_us"]
            print(f"{name:8} {run['ok']} streams, {run['chunks']} pieces, {run['lost']} lost, {run['err']} errors "
                  f"{run['first_err'][:200]}; late by {late['p50'] / 1e3:.2f} ms, p99 {late['p99'] / 1e3:.2f}, p99.9 "
                  f"{late['p999'] / 1e3:.2f}, most {late['max'] / 1e3:.2f}; longest pause {gap['max'] / 1e3:.1f} ms; "
                  f"first piece {run['first_us']['p50'] / 1e3:.2f} ms", flush=True)
    runs = measured["causeway"]
    whole = all(run["ok"] == 2 * STREAMS and run["err"] == run["lost"] == 0 for run in runs)
    failures.expect(whole, "no piece of a stream is lost, out of order or told twice")
    latest = max(run["fwd_us"]["max"] for run in runs) / 1e3
    failures.expect(latest < LATE_MS, f"no piece is later than {LATE_MS} ms: the latest {latest:.1f} ms")
    for share in ("p50", "p99", "p999"):
        of = lambda name: statistics.median(run["fwd_us"][share] for run in measured[name]) / 1e3
        print(f"       {share}: {of('causeway'):.2f} ms late, {of('direct'):.2f} ms from the provider itself")


def leaving(gateway, mock, failures, options):
    """Whoever leaves takes everything along."""
    print(f"\n## {STREAMS} callers that leave\n")
    # A limit of what runs at once says what is held: where anything of those who left is, the next are refused.
    limits = [{"unit": "concurrency", "amount": STREAMS, "scope": "server"}]
    gateway.model("crowded", "openai", model=CHAT, limits=limits)
    taken = []
    for number in range(1 if options.short else options.rounds):
        before = open_files(gateway.pid)
        callers = [begin(gateway, "crowded") for _ in range(STREAMS)]
        for caller in callers:
            caller.recv(4096)
        end = time.time() + 10
        while mock.open_streams() < STREAMS and time.time() < end:
            time.sleep(0.01)
        held, gauges = mock.open_streams(), in_flight(gateway)
        beyond = begin(gateway, "crowded")
        failures.expect(b" 429 " in beyond.recv(4096)[:20], "one more is refused while they run")
        beyond.close()
        began = time.perf_counter()
        for caller in callers:
            caller.close()
        left = time.perf_counter()
        while mock.open_streams() and time.perf_counter() - left < 10:
            time.sleep(0.002)
        took = time.perf_counter() - left
        taken.append(took)
        print(f"{number} {held} streams open at the provider, and none {took * 1e3:.0f} ms after the last caller left "
              f"(closing them took {(left - began) * 1e3:.0f} ms)", flush=True)
        failures.expect(held == STREAMS, f"all {STREAMS} streams were open")
        after = {name: gateway.gauge(name) for name in gauges}
        if gauges:
            failures.expect(not any(after.values()), f"gauges before {gauges}, then {after}")
        again = [begin(gateway, "crowded") for _ in range(STREAMS)]
        refused = sum(b" 200 " not in caller.recv(4096)[:20] for caller in again)
        failures.expect(refused == 0, f"of the next {STREAMS} callers {refused} are refused")
        for caller in again:
            caller.close()
        time.sleep(1)
        kept = open_files(gateway.pid) - before
        failures.expect(kept < 16, f"{kept} more open files than before")
    failures.expect(max(taken) < FREE_WITHIN_S, f"the provider's streams are closed within {max(taken) * 1e3:.0f} ms")


def begin(gateway, model):
    """A caller that has sent its request, and read nothing yet."""
    body = question(model, "n=100000 i=50").encode()
    caller = socket.create_connection(("127.0.0.1", gateway.port), 10)
    head = (f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {gateway.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n")
    caller.sendall(head.encode() + body)
    return caller


def in_flight(gateway):
    """The gauges of what runs, as far as there are any."""
    lines = gateway.ask("GET", "/metrics").decode().splitlines()
    names = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    return {name: gateway.gauge(name) for name in sorted(names) if name.endswith("_in_flight")}


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory(gateway, failures, options):
    """Memory after the first tenth of the calls, and at the end."""
    calls = CALLS // 10 if options.short else CALLS
    print(f"\n## Memory over {calls:,} calls\n")
    headers = [f"authorization: Bearer {gateway.key}"]
    done, samples, share = 0, [], 0.2 if options.short else 1
    while done < calls:
        for kind, stream, expected, seconds in (("rps", None, "bridge forwards", 2), ("stream", "n=8 i=0", "[DONE]", 0.4)):
            run = drive.load(load_of(kind, f"{gateway.base()}/v1/chat/completions", headers, question(CHAT, stream),
                                     CONNECTIONS, "--warm", 0, "--secs", share * seconds, "--expect", expected))
            done += run["ok_total"]
            if run["err"]:
                failures.expect(False, f"{run['err']} calls failed: {run['first_err'][:200]}")
                return
        samples.append((done, gateway.resident_mib()))
    drive.settle(gateway.pid)
    time.sleep(3)
    samples.append((done, gateway.resident_mib()))
    step = max(1, len(samples) // 10)
    for count, mib in samples[::step] + samples[-1:]:
        print(f"{count:>9,} calls: {mib:6.1f} MiB")
    settled = [mib for count, mib in samples if count >= calls / 10]
    early, late = statistics.median(settled[:len(settled) // 4 + 1]), statistics.median(settled[-(len(settled) // 4 + 1):])
    failures.expect(late - early < GROWTH_MIB_MAX,
                    f"{late - early:+.1f} MiB from the first quarter ({early:.1f}) to the last ({late:.1f}); "
                    f"at rest {gateway.resting_mib:.1f}, most {drive.memory_mib(gateway.pid, 'VmHWM'):.1f}")
    lost = gateway.gauge("causeway_ledger_entries_lost_total")
    failures.expect(not lost, f"{lost:.0f} entries of the ledger lost")


def main():
    parser = options_of(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    parser.add_argument("--part", default="", choices=("", "paced", "leaving", "memory"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="one round, a tenth of the calls")
    options = parser.parse_args()
    drive.take_priority()
    mock, failures = Mock(options.mock), Failures()
    try:
        with tempfile.TemporaryDirectory() as data:
            gateway = Gateway(options.binary, data)
            try:
                wanted = lambda part: options.part in ("", part)
                if wanted("paced"):
                    paced(gateway, failures, options)
                if wanted("leaving"):
                    leaving(gateway, mock, failures, options)
                if wanted("memory"):
                    memory(gateway, failures, options)
            finally:
                gateway.stop()
    finally:
        mock.stop()
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
