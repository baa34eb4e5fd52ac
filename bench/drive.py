#!/usr/bin/env python3
"""Measures targets side by side: closed-loop load, CPU time from /proc, medians of interleaved rounds.

Every target is one line of targets.jsonl: {"name", "kind", "base", "cmd", ...}. The kinds are http (a
plain REST call), mcp (tools/call) and mcp500 (tools/list of 500 tools). All targets stay up, and their
order rotates, so that a drift of the machine meets them all. Standard library only.
"""
import argparse
import http.client
import json
import os
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.parse

LOAD, MOCK = "target/mock/release/load", "target/mock/release/mock"
MOCK_PORT = 9100
TICK = os.sysconf("SC_CLK_TCK")
READY_SECONDS = 180


# -- processes ------------------------------------------------------------------------------------

def family(pid):
    """A process and everything below it."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as children:
                    todo += map(int, children.read().split())
        except OSError:
            pass  # it has just ended
    return found


def cpu_seconds(pid):
    total = 0
    for member in family(pid):
        try:
            with open(f"/proc/{member}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / TICK


def memory_mib(pid, field):
    """VmRSS or VmHWM of a whole family."""
    total = 0
    for member in family(pid):
        try:
            with open(f"/proc/{member}/status") as status:
                lines = dict(line.split(":", 1) for line in status if ":" in line)
            total += int(lines.get(field, "0 kB").split()[0])
        except OSError:
            pass
    return total / 1024


def forget_peak(pid):
    for member in family(pid):
        try:
            with open(f"/proc/{member}/clear_refs", "w") as file:
                file.write("5")
        except OSError:
            pass


def settle(pid, seconds=15):
    """Waits until a target has worked off what earlier, cut-off requests left behind."""
    end = time.time() + seconds
    while time.time() < end:
        before = cpu_seconds(pid)
        time.sleep(0.15)
        if cpu_seconds(pid) - before <= 0.02:
            return


def start(target):
    with open(f"run/{target['kind']}-{target['name']}.log", "wb") as log:
        return subprocess.Popen(
            shlex.split(target["cmd"]), env={**os.environ, **target.get("env", {})},
            stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def stop(process):
    if process.poll() is not None:
        return
    members = family(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(8)
    except subprocess.TimeoutExpired:
        pass
    for member in members:
        try:
            os.kill(member, signal.SIGKILL)
        except OSError:
            pass
    process.wait()


# -- requests -------------------------------------------------------------------------------------

class Client:
    """One connection to a target."""

    def __init__(self, target):
        self.url = urllib.parse.urlparse(target["base"])
        self.connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=5)
        self.headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }

    def ask(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        answer = self.connection.getresponse()
        return answer, answer.read()

    def rpc(self, method, params=None, id=None):
        message = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        if id is not None:
            message["id"] = id
        answer, body = self.ask("POST", self.url.path, json.dumps(message), self.headers)
        session = answer.getheader("mcp-session-id")
        if session:
            self.headers["mcp-session-id"] = session
        return answer.status, body


def answers_right(target):
    """Whether one real request of the target's kind comes back right."""
    client = Client(target)
    try:
        if target["kind"] == "http":
            answer, body = client.ask("GET", "/echo/ready")
            return answer.status == 200 and b"nested" in body
        version = "2025-06-18"
        info = {"name": "bench", "version": "1"}
        hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": info}
        status, _ = client.rpc("initialize", hello, 0)
        client.headers["mcp-protocol-version"] = version
        client.rpc("notifications/initialized")
        if target["kind"] == "mcp500":
            listed, body = client.rpc("tools/list", {}, 1)
            return status == listed == 200 and b"res249" in body
        params = {"name": target["tool"], "arguments": target["args"]}
        called, body = client.rpc("tools/call", params, 1)
        return status == called == 200 and b"bridge forwards" in body
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.connection.close()


def seconds_until_ready(target, process):
    """From the start of a target to its first right answer; None when it never comes."""
    began = time.time()
    url = urllib.parse.urlparse(target["base"])
    while time.time() - began < READY_SECONDS and process.poll() is None:
        try:
            socket.create_connection((url.hostname, url.port), 0.2).close()
        except OSError:
            time.sleep(0.002)
            continue
        if answers_right(target):
            return time.time() - began
        time.sleep(0.005)
    return None


def upstream_calls():
    connection = http.client.HTTPConnection("127.0.0.1", MOCK_PORT, timeout=5)
    connection.request("GET", "/__stats")
    return sum(json.loads(connection.getresponse().read()).values())


def load(arguments):
    done = subprocess.run([LOAD, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(f"the load client failed: {done.stderr[-300:]}")
    return json.loads(done.stdout)


# -- scenarios ------------------------------------------------------------------------------------

def http_get(target, connections):
    return ["rps", "--url", target["base"] + "/echo/res000/42?q=abc", "--method", "GET",
            "--conns", connections, "--expect", "nested"]


def tools_call(target, connections, mode):
    params = json.dumps({"name": target["tool"], "arguments": target["args"]})
    return ["mcp", "--url", target["base"], "--mode", mode, "--params", params,
            "--name", target["tool"], "--conns", connections, "--expect", "bridge forwards"]


def tools_list(target, connections, mode):
    return ["mcp", "--url", target["base"], "--mode", mode, "--rpc", "tools/list",
            "--params", "{}", "--conns", connections, "--expect", "res249"]


def scenarios():
    """Name, kind of target, and what makes the load client's arguments of a target."""
    for n in (1, 16, 64):
        yield f"http GET c{n}", "http", lambda t, n=n: http_get(t, n)
    for mode in ("stateless", "modern"):
        for n in (1, 16, 64):
            yield f"tools/call {mode} c{n}", "mcp", lambda t, n=n, m=mode: tools_call(t, n, m)
    for mode in ("stateless", "modern"):
        for n in (1, 8):
            yield (f"tools/list 500 {mode} c{n}", "mcp500",
                   lambda t, n=n, m=mode: tools_list(t, n, m))


# -- measuring ------------------------------------------------------------------------------------

def bring_up(target, times):
    """Starts a target a few times and leaves it running: the process and what starting costs."""
    seconds, resident = [], []
    for _ in range(times):
        process = start(target)
        ready = seconds_until_ready(target, process)
        time.sleep(1)
        # Another process on its port may have answered in its place.
        if ready is None or process.poll() is not None:
            stop(process)
            sys.exit(f"{target['kind']} {target['name']} does not get ready; see run/*.log")
        seconds.append(ready)
        resident.append(memory_mib(process.pid, "VmRSS"))
        if len(seconds) < times:
            stop(process)
    cold = {"cold_start_s": statistics.median(seconds), "idle_rss_mib": statistics.median(resident)}
    return process, cold


def measure(target, pid, mock, arguments, options):
    settle(pid)
    forget_peak(pid)
    before = upstream_calls()
    pids = ",".join(map(str, family(pid)))
    run = load([*arguments, "--secs", options.secs, "--warm", options.warm,
                "--pids", pids, "--mock-pid", mock.pid])
    good = max(1, run["ok"])
    run["cpu_us"] = run.get("target_cpu_s", 0) / good * 1e6
    run["peak_rss_mib"] = memory_mib(pid, "VmHWM")
    # One of the calls asked for the count itself.
    run["upstream_calls"] = upstream_calls() - before - 1
    return run


def rounds(targets, processes, mock, options):
    chosen = [s for s in scenarios() if options.scenario in s[0]]
    for number in range(options.rounds):
        for name, kind, arguments in chosen:
            of_kind = [t for t in targets if t["kind"] == kind]
            turn = number % max(1, len(of_kind))
            for target in of_kind[turn:] + of_kind[:turn]:
                process = processes.get((kind, target["name"]), mock)
                run = measure(target, process.pid, mock, arguments(target), options)
                run |= {"scenario": name, "target": target["name"]}
                print(f"{number} {name:26} {target['name']:14} {run['rps']:9.0f}/s"
                      f" {run['cpu_us']:9.1f} us CPU, {run['err']} errors", flush=True)
                yield run


def table(cold, runs, options):
    lines = [f"Medians of {options.rounds} interleaved rounds of {options.secs} s on "
             f"{os.cpu_count()} cores, shared by load client, upstream and target.", "",
             "| target | cold start, ms | idle RSS, MiB |", "|---|--:|--:|"]
    for name, values in cold.items():
        lines.append(f"| {name} | {values['cold_start_s'] * 1e3:,.0f} "
                     f"| {values['idle_rss_mib']:.1f} |")
    groups = {}
    for run in runs:
        groups.setdefault((run["scenario"], run["target"]), []).append(run)
    lines += ["", "| scenario | target | requests/s | p50, ms | p99, ms | CPU, us each "
              "| peak RSS, MiB | errors |", "|---|---|--:|--:|--:|--:|--:|--:|"]
    for (scenario, target), group in groups.items():
        def median(value):
            return statistics.median(value(run) for run in group)
        lines.append(
            f"| {scenario} | {target} | {median(lambda r: r['rps']):,.0f} "
            f"| {median(lambda r: r['lat_us']['p50']) / 1e3:,.2f} "
            f"| {median(lambda r: r['lat_us']['p99']) / 1e3:,.2f} "
            f"| {median(lambda r: r['cpu_us']):,.0f} "
            f"| {median(lambda r: r['peak_rss_mib']):,.0f} | {sum(r['err'] for r in group)} |")
    return "\n".join(lines) + "\n"


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="names of targets, comma-separated")
    parser.add_argument("--scenario", default="", help="only scenarios whose name contains this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--secs", type=float, default=3, help="seconds measured in each run")
    parser.add_argument("--warm", type=float, default=1, help="seconds of load before")
    parser.add_argument("--cold", type=int, default=3, help="cold starts of each target")
    return parser.parse_args()


def take_priority():
    """A scheduling group of its own, before other work on the same machine."""
    try:
        os.setsid()
        with open("/proc/self/autogroup", "w") as group:
            group.write("-12")
    except OSError:
        pass  # not permitted here; the ratios still hold


def main():
    options = parse_options()
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    os.makedirs("run", exist_ok=True)
    take_priority()
    with open("targets.jsonl") as file:
        targets = [json.loads(line) for line in file if line.startswith("{")]
    kinds = {kind for name, kind, _ in scenarios() if options.scenario in name}
    only = set(filter(None, options.only.split(",")))
    targets = [t for t in targets if t["kind"] in kinds and (not only or t["name"] in only)]
    mock = subprocess.Popen([MOCK], env={**os.environ, "MOCK_THREADS": "2"})
    processes, cold = {}, {}
    try:
        for target in targets:
            if "cmd" in target:
                process, costs = bring_up(target, options.cold)
                processes[target["kind"], target["name"]] = process
                cold[f"{target['name']} ({target['kind']})"] = costs
        runs = list(rounds(targets, processes, mock, options))
    finally:
        for process in processes.values():
            stop(process)
        stop(mock)
    report = table(cold, runs, options)
    with open("run/results.md", "w") as file:
        file.write(report)
    print(report)


if __name__ == "__main__":
    main()
