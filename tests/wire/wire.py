"""Every operation of every document, called through the real binary against a recording upstream; the
recorded request is read back by openapi-core and compared with the arguments.

What the document or the reader is at fault for stands in known.txt with the reason, and is compared
exactly: a line that does not fail any more is an error too. `wire.py NAME...` takes only documents
whose file name contains one of the names, and compares nothing.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import documents
import expected
from arguments import KINDS, Generator
from reader import read
from upstream import Recorder

CAUSEWAY = os.environ.get("CAUSEWAY_BIN") or os.path.join(
    os.environ.get("CARGO_TARGET_DIR", documents.ROOT / "target"), "debug", "causeway"
)
BASE = "/base"


class Client:
    """As much of MCP as it takes."""

    def __init__(self, url):
        self.url = url

    def ask(self, method, params):
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
        }
        request = urllib.request.Request(self.url, json.dumps(message).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read().decode()
        if text.startswith(("event:", "data:", "id:")):
            text = next(line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip())
        return json.loads(text)

    def tools(self):
        tools, cursor = [], None
        while True:
            page = self.ask("tools/list", {"cursor": cursor} if cursor else {})["result"]
            tools += page["tools"]
            cursor = page.get("nextCursor")
            if not cursor:
                return {tool["name"]: tool for tool in tools}


def secrets(document):
    """A credential for every scheme, so that no call is refused for the lack of one."""
    schemes = document.get("securityDefinitions") or (document.get("components") or {}).get("securitySchemes") or {}
    for name, scheme in schemes.items():
        scheme = documents.resolve(document, scheme)
        basic = scheme.get("type") == "basic" or str(scheme.get("scheme")).lower() == "basic"
        yield f"{name}={'user:word' if basic else 'secret'}"


def served(path, document, upstream, work):
    """The running binary, and a client of it."""
    command = [CAUSEWAY, "run", str(path), "--listen", "127.0.0.1:0", "--json"]
    # Whole schemas: what a shorter one leaves out would never be sent.
    command += ["--tools", "all", "--profile", "full"]
    command += ["--upstream", f"http://{upstream.address}{BASE}", "--allow-upstream", upstream.address]
    given = list(secrets(document))
    while True:
        ready = open(os.path.join(work, "ready"), "w+")
        more = [word for secret in given for word in ("--credential", secret)]
        # A file is never full: a process whose log nobody reads would stop at some line of it.
        log = open(os.path.join(work, "log"), "w+")
        server = subprocess.Popen(command + more, stdout=ready, stderr=log)
        while not os.path.getsize(ready.name) and server.poll() is None:
            time.sleep(0.02)
        if server.poll() is None:
            ready.seek(0)
            return server, Client(json.loads(ready.readline())["url"])
        log.seek(0)
        error = log.read().strip()
        # A scheme that cannot be understood or attached gets no credential.
        known = re.search(r"which are: ([^\"]*)", error)
        bad = re.search(r"--credential ([^:\"]*):", error)
        names = known[1].split(", ") if known else [s.split("=")[0] for s in given if not bad or s.split("=")[0] != bad[1]]
        fewer = [secret for secret in given if secret.split("=")[0] in names]
        if len(fewer) == len(given):
            raise RuntimeError(error)
        given = fewer


def check(path):
    """The report on one document: counts, and the calls that failed with their reasons."""
    name = path.name
    report = {"document": name, "operations": 0, "tools": 0, "lost": 0, "calls": 0, "failed": [], "skipped": 0}
    done = subprocess.run([CAUSEWAY, "check", str(path), "--json"], capture_output=True, text=True)
    found = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    if done.returncode == 2:
        report["refused"] = found.get("error", "unreadable")
        return report
    try:
        document = documents.load(path)
    except Exception as error:
        report["failed"].append(("-", "-", f"not read by PyYAML: {type(error).__name__}"))
        return report
    listed, count = documents.operations(document)
    report.update(operations=count, tools=len(found["tools"]), lost=found["lost"])
    if report["tools"] + report["lost"] != report["operations"]:
        report["failed"].append(("-", "-", f"{count} operations are {found['lost']} lost and {report['tools']} tools"))
    modern = document
    if "swagger" in document:
        try:
            modern = documents.as_3_0(document)
        except ValueError as error:
            report["failed"].append(("-", "-", f"not converted by swagger2openapi: {error}"))
            return report
        listed, _ = documents.operations(modern)
    upstream = Recorder()
    with tempfile.TemporaryDirectory() as work:
        try:
            server, client = served(path, document, upstream, work)
        except RuntimeError as error:
            report["failed"].append(("-", "-", f"not served: {error}"))
            return report
        try:
            tools = client.tools()
            for entry in found["tools"]:
                of = listed.get(entry["operation"])
                if of is None:
                    report["failed"].append((entry["operation"], "-", "is no operation of the document"))
                    continue
                calls(report, client, upstream, modern, entry["operation"], tools[entry["name"]], of)
        finally:
            server.terminate()
            server.wait()
    return report


def calls(report, client, upstream, document, key, tool, of):
    path, method, item, operation = of
    operation = documents.resolve(document, operation)
    declared = documents.parameters(document, item, operation)
    server = f"http://{upstream.address}{BASE}"
    mini = documents.alone(document, server, path, method, operation, declared)
    places = placed(tool["inputSchema"], declared)
    where = {argument: parameter["in"] for argument, parameter in places.items()}
    in_path = {parameter["name"] for parameter in places.values() if parameter["in"] == "path"}
    if not set(documents.pattern(path)[1]) <= in_path:
        # An argument that has another name than its parameter may be of the path.
        where = {**dict.fromkeys(tool["inputSchema"].get("properties", {}), "path"), **where}
    tried, seen = [], []
    for kind in KINDS:
        arguments = Generator(tool["inputSchema"], kind, where).arguments()
        if arguments is None:
            report["skipped"] += 1
            continue
        if arguments in tried:
            continue
        tried.append(arguments)
        report["calls"] += 1
        upstream.taken()
        answer = client.ask("tools/call", {"name": tool["name"], "arguments": arguments})
        requests = upstream.taken()
        if len(requests) != 1:
            text = json.dumps(answer.get("result", answer.get("error")))[:300]
            report["failed"].append((key, kind, f"{len(requests)} requests: {text}"))
            continue
        seen.append((arguments, requests[0]))
        for fault in read(mini, requests[0], BASE, path, declared, places, arguments):
            report["failed"].append((key, kind, fault))
    if not seen:
        return
    # What was given most shows what is lost.
    arguments, request = max(seen, key=lambda known: len(known[0]))
    unsent = [(p["name"], p["in"]) for argument, p in places.items() if argument not in arguments]
    for fault in expected.of_request(document, key, path, declared, request, unsent):
        report["failed"].append((key, "-", fault))
    sent = {expected.essence(request) for _, request in seen}
    for fault in expected.of_body(document, operation, tool, sent):
        report["failed"].append((key, "-", fault))


def placed(schema, declared):
    """The parameter that each argument is, as far as the names tell."""
    names = Counter(parameter["name"] for parameter in declared)
    found = {}
    for parameter in declared:
        suffix = parameter["in"].removesuffix("string")
        for argument in (parameter["name"], f"{parameter['name']}_{suffix}"):
            if argument in schema.get("properties", {}) and argument not in found:
                if names[parameter["name"]] == 1 or argument != parameter["name"]:
                    found[argument] = parameter
                    break
    return found


def main():
    only = sys.argv[1:]
    paths = [p for p in documents.paths() if not only or any(word in p.name for word in only)]
    failures = []
    totals = Counter()
    print(f"{'document':<72} {'operations':>10} {'tools':>6} {'lost':>5} {'calls':>6} {'skipped':>7} {'failed':>6}")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for report in pool.map(check, paths):
            numbers = {key: report[key] for key in ("operations", "tools", "lost", "calls", "skipped")}
            numbers["failed"] = len(report["failed"])
            totals.update(numbers)
            row = " ".join(f"{numbers[key]:>{width}}" for key, width in zip(numbers, (10, 6, 5, 6, 7, 6)))
            print(f"{report['document']:<72} {row}{'  refused' if 'refused' in report else ''}", flush=True)
            failures += [f"{report['document']} | {' | '.join(failed)}" for failed in report["failed"]]
    print(f"{'all':<72} " + " ".join(f"{totals[key]:>{width}}" for key, width in zip(numbers, (10, 6, 5, 6, 7, 6))))
    if only or "--show" in os.environ.get("WIRE", ""):
        print("\n".join(failures))
        return 0
    return compare(failures, {path.name for path in paths})


def compare(failures, names):
    """Exactly what known.txt lists: how many failures each line stands for, and `*` for any text."""
    wrong = []
    left = list(failures)
    for line in (documents.HERE / "known.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        count, pattern = line.split(" | ", 1)
        name = pattern.split(" | ")[0]
        if name != "*" and name not in names:
            continue
        regex = re.compile(".*".join(map(re.escape, pattern.split("*"))))
        matched = [failure for failure in left if regex.fullmatch(failure)]
        left = [failure for failure in left if not regex.fullmatch(failure)]
        if len(matched) != int(count):
            wrong.append(f"known.txt says {count}, it is {len(matched)}: {pattern}")
    wrong += [f"failed: {failure}" for failure in left]
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
