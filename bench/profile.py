#!/usr/bin/env python3
"""Where the CPU of calls of models goes: `perf` on a Causeway under load, the costliest functions by themselves and with
what they call.

  bench/profile.py [--binary ...] [--mock ...] [--case chat|limited|stream|full|translated|across] [--secs 8] [--calls 16]

Wants a binary with symbols (`CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only`) and perf.
Prints system calls for each call, too. Needs bench/mock built. Standard library only.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import tempfile
import time

import drive
from gateway import CHAT, LIMITED, MESSAGES, Gateway, Mock, load_of, options_of, question

# What is asked for, of which path, and what the mock is told of the stream.
CASES = {
    "chat": (CHAT, "/v1/chat/completions", None),
    "limited": (LIMITED, "/v1/chat/completions", None),
    "stream": (CHAT, "/v1/chat/completions", "n=60 i=20"),
    "full": (CHAT, "/v1/chat/completions", "n=200 i=0"),
    "translated": (MESSAGES, "/v1/chat/completions", None),
    "across": (MESSAGES, "/v1/chat/completions", "n=60 i=20"),
}
OURS = re.compile(r"causeway::")


def under_load(gateway, options, command):
    """Runs a command beside a load, and gives what it printed and what the load came to."""
    model, path, stream = CASES[options.case]
    arguments = load_of("stream" if stream else "rps", gateway.base() + path, [f"authorization: Bearer {gateway.key}"],
                        question(model, stream), options.calls, "--warm", 1, "--secs", options.secs + 1,
                        "--pids", gateway.pid)
    load = subprocess.Popen([drive.LOAD, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    time.sleep(1.5)
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout + done.stderr, json.loads(load.communicate()[0])


def units(run):
    """How many calls, or pieces of streams, a second."""
    return run["chunks_per_s"] or run["rps"]


def system_calls(gateway, options):
    text, run = under_load(gateway, options, ["perf", "trace", "-s", "-p", str(gateway.pid), "--", "sleep", "2"])
    counts = collections.Counter()
    for line in text.splitlines():
        found = re.match(r"\s+([a-z_0-9]+)\s+(\d+)\s+\d+\s+[\d.]+", line)
        if found:
            counts[found[1]] += int(found[2])
    all_units = units(run) * 2
    print("system calls for each: " + ", ".join(
        f"{name} {count / all_units:.2f}" for name, count in counts.most_common(10) if count / all_units > 0.01))


def report(file, *options):
    done = subprocess.run(["perf", "report", "-i", file, "--stdio", "-g", "none", "--no-inline", "--percent-limit", "0.3",
                           "--sort", "symbol", *options], capture_output=True, text=True)
    return [line.strip() for line in done.stdout.splitlines() if line.strip() and not line.startswith("#")]


def shares(file):
    """Self time by whose code it is."""
    done = subprocess.run(["perf", "report", "-i", file, "--stdio", "-g", "none", "--no-inline", "--no-children", "--sort",
                           "comm,dso"], capture_output=True, text=True)
    return [line.strip() for line in done.stdout.splitlines() if line.strip() and not line.startswith("#")][:8]


def profile(gateway, options, folder):
    file = os.path.join(folder, "perf.data")
    command = ["perf", "record", "-q", "-F", str(options.rate), "--call-graph", f"dwarf,{options.stack}", "-o", file,
               "-p", str(gateway.pid), "--", "sleep", str(options.secs)]
    _, run = under_load(gateway, options, command)
    cost = run["target_cpu_s"] / max(1, run["chunks"] or run["ok"]) * 1e6
    print(f"{options.case}: {units(run):.0f}/s, {cost:.1f} us of CPU each with perf, {run['err']} errors\n")
    print("by thread and library:\n  " + "\n  ".join(shares(file)))
    print("\nby themselves:\n  " + "\n  ".join(line[:150] for line in report(file, "--no-children")[:options.lines]))
    whole = [line[:170] for line in report(file, "--children") if OURS.search(line)]
    print("\nours, with what they call:\n  " + "\n  ".join(whole[:options.lines * 2]))


def main():
    parser = options_of(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    parser.add_argument("--case", default="chat", choices=CASES)
    parser.add_argument("--calls", type=int, default=16, help="connections")
    parser.add_argument("--secs", type=float, default=8)
    parser.add_argument("--rate", type=int, default=499, help="samples a second")
    parser.add_argument("--stack", type=int, default=16384, help="bytes of stack in each sample")
    parser.add_argument("--lines", type=int, default=40)
    options = parser.parse_args()
    drive.take_priority()
    mock = Mock(options.mock)
    try:
        with tempfile.TemporaryDirectory() as data:
            gateway = Gateway(options.binary, os.path.join(data, "served"))
            try:
                system_calls(gateway, options)
                profile(gateway, options, data)
            finally:
                gateway.stop()
    finally:
        mock.stop()


if __name__ == "__main__":
    main()
