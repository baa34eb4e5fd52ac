#!/usr/bin/env python3
"""Calls of models through Causeway, beside the provider itself, nginx as a plain proxy, LiteLLM and Portkey.

  bench/llm.py [--binary bench/target/causeway/release/causeway] [--mock bench/target/mock/release]
               [--rivals bench/target] [--rounds 5] [--secs 3] [--only direct,nginx,causeway] [--case chat]

All targets stay up; each round runs each case against each target in turn, in an order that rotates. Ratios are of
one round, and medians are of rounds. CPU is user and system time of the target from /proc, with everything that it does
beside (Causeway writes its ledger). What each is asked to do:

  direct    the provider itself
  nginx     a plain reverse proxy, two workers: no keys, no accounts, no look at what passes
  causeway  a key of its own from its database, the provider's key from its vault, prices, the ledger on SQLite
  limits    the same, with a rate for each key and a month's quota of tokens
  litellm   a master key, one worker; no database, so that no account is kept
  portkey   passes on whatever key the caller sends; no keys, no accounts

LiteLLM comes from PyPI, Portkey from npm (hono held back: with newer ones its streams fail); both are installed where
they are missing. Needs bench/mock built. Standard library only.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import drive
from gateway import CHAT, HERE, LIMITED, MESSAGES, MOCK, Gateway, Mock, load_of, options_of, question

LITELLM = "1.108.7"
LITELLM_KEY = "sk-bench-5f0c9a7e2d41b86390ad"
PORTKEY = {"private": True, "dependencies": {"@portkey-ai/gateway": "1.15.2"},
           "overrides": {"hono": "4.9.7", "@hono/node-server": "1.13.5"}}
OPENAI_PATH, ANTHROPIC_PATH = "/v1/chat/completions", "/v1/messages"
# Pieces of a stream and milliseconds between them.
SHORT, PACED, DENSE, FULL = "n=4 i=0", "n=50 i=10", "n=60 i=20", "n=200 i=0"
# CPU is told in hundredths of a second: of less than this, nothing is said.
CPU_SECONDS_LEAST = 0.1


# -- cases ----------------------------------------------------------------------------------------

class Case:
    """`path` is the caller's protocol and `model` the provider's; `beside` is the case of nginx it is held against."""

    def __init__(self, name, path, model, connections, stream=None, beside=None):
        self.name, self.path, self.model = name, path, model
        self.connections, self.stream, self.beside = connections, stream, beside or name
        self.translates = (path == OPENAI_PATH) != (model == CHAT)

    def arguments(self, target):
        end = "[DONE]" if self.path == OPENAI_PATH else "message_stop"
        model = target.models.get(self.model, self.model)
        return load_of(
            "stream" if self.stream else "rps", target.base + self.path, target.headers(self.model),
            question(model, self.stream), self.connections, "--expect", end if self.stream else "bridge forwards",
            "--timeout", 20, "--stagger", 1 if self.connections > 32 else 0)


CASES = [
    Case("chat c1", OPENAI_PATH, CHAT, 1),
    Case("chat c16", OPENAI_PATH, CHAT, 16),
    Case("stream short c1", OPENAI_PATH, CHAT, 1, SHORT),
    Case("stream paced c1", OPENAI_PATH, CHAT, 1, PACED),
    Case("stream paced c64", OPENAI_PATH, CHAT, 64, DENSE),
    Case("stream full c16", OPENAI_PATH, CHAT, 16, FULL),
    Case("OpenAI to Anthropic c1", OPENAI_PATH, MESSAGES, 1, beside="chat c1"),
    Case("OpenAI to Anthropic c16", OPENAI_PATH, MESSAGES, 16, beside="chat c16"),
    Case("OpenAI to Anthropic stream c64", OPENAI_PATH, MESSAGES, 64, DENSE, "stream paced c64"),
    Case("Anthropic to OpenAI c1", ANTHROPIC_PATH, CHAT, 1, beside="chat c1"),
    Case("Anthropic to OpenAI c16", ANTHROPIC_PATH, CHAT, 16, beside="chat c16"),
    Case("Anthropic to OpenAI stream c64", ANTHROPIC_PATH, CHAT, 64, DENSE, "stream paced c64"),
]


# After so long a target is at rest: what its start took was given back by then.
RESTS_S = 15


# -- targets --------------------------------------------------------------------------------------

class Target:
    """Something that can be asked; one that translates nothing is asked only what it can pass on."""
    kind, models, translates = "llm", {}, False

    def __init__(self, name, base, pid):
        self.name, self.base, self.pid = name, base, pid
        self.resting_mib = drive.memory_mib(pid, "VmRSS")

    def headers(self, model):
        return ["authorization: Bearer sk-of-the-caller"]

    def can(self, case):
        return self.translates or not case.translates

    def stop(self):
        pass


class Started(Target):
    """A target with a command."""
    environment = {}

    def __init__(self, name, port, command):
        self.process = drive.start({"kind": "llm", "name": name, "cmd": command, "env": self.environment})
        super().__init__(name, f"http://127.0.0.1:{port}", self.process.pid)
        self.wait()
        time.sleep(RESTS_S)
        self.resting_mib = drive.memory_mib(self.pid, "VmRSS")

    def wait(self):
        asked = {"base": self.base + OPENAI_PATH, "kind": "llm"}
        drive.answers_right = self.answers
        if drive.seconds_until_ready(asked, self.process) is None:
            raise SystemExit(f"{self.name} does not get ready; see run/llm-{self.name}.log")

    def answers(self, asked):
        run = drive.load(CASES[0].arguments(self) + ["--secs", 5, "--warm", 0, "--answers", 1])
        return run["ok_total"] == 1

    def stop(self):
        drive.stop(self.process)


class Litellm(Started):
    translates = True
    environment = {"LITELLM_MASTER_KEY": LITELLM_KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                   "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION", "LITELLM_TELEMETRY": "False"}

    def headers(self, model):
        return [f"authorization: Bearer {LITELLM_KEY}"]


class Portkey(Started):
    translates = True

    def can(self, case):
        # It says: "messages is not supported by openai".
        return case.path == OPENAI_PATH

    def headers(self, model):
        provider = "openai" if model == CHAT else "anthropic"
        return [*super().headers(model), f"x-portkey-provider: {provider}", f"x-portkey-custom-host: {MOCK}/v1"]


class Causeway(Target):
    translates = True

    def __init__(self, gateway):
        super().__init__("causeway", gateway.base(), gateway.pid)
        self.gateway, self.resting_mib = gateway, gateway.resting_mib

    def headers(self, model):
        return [f"authorization: Bearer {self.gateway.key}"]

    def stop(self):
        self.gateway.stop()


class Limits(Causeway):
    """The same process, asked by another name."""
    models = {CHAT: LIMITED}

    def __init__(self, gateway):
        super().__init__(gateway)
        self.name = "limits"

    def can(self, case):
        return not case.translates

    def stop(self):
        pass


def bring_up(options, data, mock):
    only = set(filter(None, options.only.split(",")))
    wanted = lambda name: not only or name in only
    targets = []
    try:
        if wanted("direct"):
            targets.append(Target("direct", MOCK, mock.pid))
        if wanted("nginx"):
            targets.append(Started("nginx", 4010, "/usr/sbin/nginx -p . -c peers/nginx.conf -e stderr"))
        if wanted("causeway"):
            gateway = Gateway(options.binary, data)
            targets += [Causeway(gateway), *([Limits(gateway)] if wanted("limits") else [])]
        if wanted("litellm"):
            litellm = os.path.join(options.rivals, "litellm/bin/litellm")
            if not os.path.exists(litellm):
                install_litellm(os.path.join(options.rivals, "litellm"))
            command = f"{litellm} --config peers/litellm.yaml --host 127.0.0.1 --port 4020"
            targets.append(Litellm("litellm", 4020, command))
        if wanted("portkey"):
            folder = os.path.join(options.rivals, "portkey")
            server = os.path.join(folder, "node_modules/@portkey-ai/gateway/build/start-server.js")
            if not os.path.exists(server):
                install_portkey(folder)
            targets.append(Portkey("portkey", 4040, f"node {server} --port=4040 --headless"))
    except BaseException:
        for target in targets:
            target.stop()
        raise
    return targets


def install_litellm(folder):
    subprocess.run(["python3", "-m", "venv", folder], check=True)
    subprocess.run([f"{folder}/bin/pip", "install", "--quiet", f"litellm[proxy]=={LITELLM}"], check=True)


def install_portkey(folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "package.json"), "w") as file:
        json.dump(PORTKEY, file)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True)


# -- measuring ------------------------------------------------------------------------------------

def rounds(targets, mock, options):
    for number in range(options.rounds):
        for case in CASES:
            if options.case not in case.name:
                continue
            able = [target for target in targets if target.can(case)]
            turn = number % max(1, len(able))
            for target in able[turn:] + able[:turn]:
                yield measured(number, case, target, mock, options)


def measured(number, case, target, mock, options):
    chosen = argparse.Namespace(secs=options.secs, warm=options.warm)
    if case.stream and case.connections > 1:
        # Streams are to end, too, and 64 of them begin over a second.
        chosen.secs, chosen.warm = max(chosen.secs, 5), max(chosen.warm, 2)
    run = drive.measure({"kind": "llm"}, target.pid, mock, case.arguments(target), chosen)
    run |= {"round": number, "case": case.name, "target": target.name}
    if case.stream:
        run["cpu_us"] = run["target_cpu_s"] / max(1, run["chunks"]) * 1e6
        run["latency"] = run["first_us"]["p50"]
        told = f"first {run['first_us']['p50']} us, each piece {run['fwd_us']['p50']} us late, {run['chunks']} pieces"
    else:
        run["latency"] = run["lat_us"]["p50"]
        told = f"{run['rps']:.0f}/s, p50 {run['lat_us']['p50']} us, p99 {run['lat_us']['p99']} us"
    error = f", {run['err']} ERRORS: {run['first_err'][:200]}" if run["err"] else ""
    print(f"{number} {case.name:31} {target.name:9} {told}, {run['cpu_us']:.1f} us CPU{error}", flush=True)
    return run


# -- report ---------------------------------------------------------------------------------------

class Results:
    def __init__(self, runs):
        self.runs = {(run["round"], run["case"], run["target"]): run for run in runs}

    def of(self, case, target, value):
        """A value of each round."""
        runs = [run for (_, name, who), run in sorted(self.runs.items()) if (name, who) == (case, target)]
        return [value(run) for run in runs if run["ok"]]

    def median(self, case, target, value):
        values = self.of(case, target, value)
        return statistics.median(values) if values else None

    def ratios(self, case, target, value, less_direct=False):
        """Of nginx in the same round, and where it is told, each without what the provider itself takes."""
        found = []
        for (number, name, who), run in sorted(self.runs.items()):
            nginx = self.runs.get((number, case.beside, "nginx"))
            direct = self.runs.get((number, case.beside, "direct"))
            missing = not nginx or (less_direct and not direct) or not run["ok"]
            if (name, who) != (case.name, target) or missing:
                continue
            base = value(direct) if less_direct else 0
            if value(nginx) > base:
                found.append((value(run) - base) / (value(nginx) - base))
        return found


def shown(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else ""


def added(results, case, target, value):
    median, direct = results.median(case.name, target, value), results.median(case.beside, "direct", value)
    return None if median is None or direct is None else median - direct


def table(results, targets, options):
    lines = [f"Medians of {options.rounds} interleaved rounds of {options.secs:g} s, {os.cpu_count()} cores shared by "
             "load client, provider and target; `of nginx`: median of the ratios of each round (least to most).", "",
             "| target | idle RSS, MiB |", "|---|--:|"]
    lines += [f"| {target.name} | {target.resting_mib:.1f} |" for target in targets if target.name != "limits"]
    chosen = [case for case in CASES if options.case in case.name]
    for streams in (False, True):
        cases = [case for case in chosen if bool(case.stream) == streams]
        if cases:
            lines += ["", *(of_streams if streams else of_answers)(results, cases, targets)]
    return "\n".join(lines) + "\n"


def of_answers(results, cases, targets):
    yield "| request, connections | target | requests/s | p50, ms | p99, ms | added p50, ms | of nginx | CPU each, us | of nginx |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|"
    for case in cases:
        for target in targets:
            errors = sum(results.of(case.name, target.name, lambda run: run["err"]))
            p50 = results.median(case.name, target.name, lambda run: run["latency"])
            if p50 is None:
                continue
            more = added(results, case, target.name, lambda run: run["latency"]) or 0
            late = results.ratios(case, target.name, lambda run: run["latency"], less_direct=True)
            cpu = results.ratios(case, target.name, lambda run: run["cpu_us"])
            yield (f"| {case.name} | {target.name} | {results.median(case.name, target.name, lambda run: run['rps']):,.0f} "
                   f"| {p50 / 1e3:.3f} | {results.median(case.name, target.name, lambda run: run['lat_us']['p99']) / 1e3:.2f} "
                   f"| {more / 1e3:.3f} | {shown(late)} "
                   f"| {results.median(case.name, target.name, lambda run: run['cpu_us']):,.0f} | {shown(cpu)} |"
                   + (f" {errors} errors" if errors else ""))


def of_streams(results, cases, targets):
    yield ("| request, connections | target | pieces/s | first piece, ms | added, ms | of nginx | a piece late, ms | p99 "
           "| added, ms | of nginx | CPU a piece, us | of nginx |")
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    first, late = lambda run: run["latency"], lambda run: run["fwd_us"]["p50"]
    for case in cases:
        for target in targets:
            if results.median(case.name, target.name, first) is None:
                continue
            errors = sum(results.of(case.name, target.name, lambda run: run["err"]))
            cells = [f"{results.median(case.name, target.name, lambda run: run['chunks_per_s']):,.0f}"]
            for value in (first, late):
                cells.append(f"{results.median(case.name, target.name, value) / 1e3:.3f}")
                if value is late:
                    p99 = results.median(case.name, target.name, lambda run: run["fwd_us"]["p99"])
                    cells.append(f"{p99 / 1e3:.2f}")
                cells.append(f"{(added(results, case, target.name, value) or 0) / 1e3:.3f}")
                cells.append(shown(results.ratios(case, target.name, value, less_direct=True)))
            enough = all(seconds >= CPU_SECONDS_LEAST for seconds in results.of(
                case.name, target.name, lambda run: run["target_cpu_s"]))
            cpu = f"{results.median(case.name, target.name, lambda run: run['cpu_us']):,.1f}"
            cells.append(cpu if enough else "")
            cells.append(shown(results.ratios(case, target.name, lambda run: run["cpu_us"])) if enough else "")
            yield f"| {case.name} | {target.name} | {' | '.join(cells)} |" + (f" {errors} errors" if errors else "")


def verdict(results, targets):
    """What is aimed at, and whether it is so."""
    names = {target.name for target in targets}
    if not {"nginx", "causeway", "direct"} <= names:
        return
    say = lambda what, value, most: print(f"{'met   ' if value <= most else 'MISSED'} {what}: {value:.2f}, at most {most:g}")
    by_name = {case.name: case for case in CASES}
    for name, value, less, most, what in (
            ("chat c16", lambda run: run["cpu_us"], False, 2, "CPU of a call, of nginx's"),
            ("stream paced c64", lambda run: run["cpu_us"], False, 2, "CPU of a piece of a paced stream, of nginx's"),
            ("stream full c16", lambda run: run["cpu_us"], False, 2, "CPU of a piece at full speed, of nginx's"),
            ("chat c1", lambda run: run["latency"], True, 1.5, "median time added to a call, of nginx's"),
            ("stream short c1", lambda run: run["latency"], True, 1.5, "median time added to the first piece, of nginx's"),
            ("stream paced c1", lambda run: run["fwd_us"]["p50"], True, 1.5, "median time added to a piece, of nginx's")):
        ratios = results.ratios(by_name[name], "causeway", value, less)
        if ratios:
            say(what, statistics.median(ratios), most)
    for target in targets:
        if target.name == "causeway":
            say("MiB at rest", target.resting_mib, 40)
    for rival in sorted(names & {"litellm", "portkey"}):
        for case in CASES:
            judged = [("time", lambda run: run["latency"])]
            if not case.stream or case.connections > 1:
                judged.append(("CPU", lambda run: run["cpu_us"]))
            for what, value in judged:
                ours, theirs = (results.median(case.name, who, value) for who in ("causeway", rival))
                if ours is not None and theirs is not None:
                    say(f"{what} of {case.name}, of {rival}'s", ours / theirs, 1)


def main():
    parser = options_of(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    parser.add_argument("--rivals", default=f"{HERE}/target", help="where LiteLLM and Portkey are, or are installed")
    parser.add_argument("--only", default="", help="names of targets, comma-separated")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--secs", type=float, default=3, help="seconds measured in each run")
    parser.add_argument("--warm", type=float, default=1, help="seconds of load before")
    options = parser.parse_args()
    for name in ("binary", "mock", "rivals"):
        setattr(options, name, os.path.abspath(getattr(options, name)))
    os.chdir(HERE)
    os.makedirs("run", exist_ok=True)
    drive.take_priority()
    mock, targets = Mock(options.mock), []
    try:
        with tempfile.TemporaryDirectory() as data:
            try:
                targets = bring_up(options, data, mock)
                results = Results(list(rounds(targets, mock, options)))
            finally:
                for target in targets:
                    target.stop()
    finally:
        mock.stop()
    report = table(results, targets, options)
    with open("run/llm.md", "w") as file:
        file.write(report)
    print(f"\n{report}")
    verdict(results, targets)


if __name__ == "__main__":
    main()
