"""The agents with models of every dialect: each is given a task that takes two tools, by the settings that
docs/models.md tells people, and a scripted model of a provider that speaks another protocol."""

import argparse
import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

import script
import watch

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "models"))

import gateway  # noqa: E402
from server import DIALECTS, Server  # noqa: E402

DOCUMENT = pathlib.Path(__file__).parent.parent.parent / "docs/models.md"
# What the document calls the server and the model.
ADDRESS, MODEL = "http://127.0.0.1:8080", "fast"
PROMPT = f"{script.MARKER}: read word.txt and write what it says to copy.txt."
PATIENCE = 90


def snippet(language, marker):
    """The block of the document that has this in it."""
    blocks = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    found = [block for block in blocks if marker in block]
    assert len(found) == 1, f"{len(found)} blocks of {language} with {marker}"
    return found[0]


@dataclass
class Run:
    """A folder to work in, a home, and what the agent is told."""

    url: str
    key: str
    home: pathlib.Path
    work: pathlib.Path
    word: str
    environment: dict = field(default_factory=dict)

    def settings(self, text):
        return text.replace(ADDRESS, self.url)

    def export(self, language, marker):
        """Sets what a block of the document exports."""
        for line in self.settings(snippet(language, marker)).splitlines():
            if line.startswith("export "):
                name, value = line.removeprefix("export ").split("#")[0].strip().split("=", 1)
                self.environment[name] = value.strip('"').replace("$KEY", self.key)

    def read(self, results):
        """What a tool has read."""
        found = re.search(r"word-[0-9a-f]+", "\n".join(results))
        if not found:
            raise script.Wrong(f"no word in what was read: {results!r}")
        return found[0] + "\n"


def claude(run):
    run.export("sh", "ANTHROPIC_BASE_URL")
    run.environment |= {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    source, copy = str(run.work / "word.txt"), str(run.work / "copy.txt")
    return (
        ["claude", "-p", PROMPT, "--allowedTools", "Read,Write"],
        # Most of its tools are offered only once they were looked for.
        ("ToolSearch", lambda name, results: {"query": "select:WebFetch", "max_results": 5}),
        ("Read", lambda name, results: {"file_path": source}),
        ("Write", lambda name, results: {"file_path": copy, "content": run.read(results)}),
    )


def codex(run):
    run.export("sh", "CAUSEWAY_KEY")
    folder = run.home / ".codex"
    folder.mkdir()
    settings = run.settings(snippet("toml", "wire_api"))
    # Neither the list of plugins nor a newer version is asked for.
    (folder / "config.toml").write_text(f"features.plugins = false\ncheck_for_update_on_startup = false\n{settings}\n[analytics]\nenabled = false\n")
    return (
        ["codex", "exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", PROMPT],
        ("exec_command", lambda name, results: {"cmd": "cat word.txt"}),
        ("exec_command", lambda name, results: {"cmd": f"printf '%s' '{run.read(results)}' >copy.txt"}),
    )


def gemini(run):
    run.export("sh", "GOOGLE_GEMINI_BASE_URL")
    run.environment |= {"GEMINI_CLI_TRUST_WORKSPACE": "true", "NO_COLOR": "1"}
    folder = run.home / ".gemini"
    folder.mkdir()
    settings = json.loads(snippet("json", "gemini-api-key"))
    quiet = {"privacy": {"usageStatisticsEnabled": False}, "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False}}
    (folder / "settings.json").write_text(json.dumps(settings | quiet))
    return (
        ["gemini", "-p", PROMPT, "--yolo"],
        ("read_file", lambda name, results: {"file_path": "word.txt"}),
        ("write_file", lambda name, results: {"file_path": "copy.txt", "content": run.read(results)}),
    )


# And the dialect it speaks.
AGENTS = {"claude": (claude, "anthropic"), "codex": (codex, "openai-responses"), "gemini": (gemini, "gemini")}


def check(agent, dialect, causeway, listener, outside):
    begin, own = AGENTS[agent]
    causeway.model(MODEL, [{"provider": f"scripted-{dialect}", "model": DIALECTS[dialect].MODEL}])
    gateway.settle()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        home, work = pathlib.Path(folder, "home"), pathlib.Path(folder, "work")
        home.mkdir(), work.mkdir()
        run = Run(listener.url, causeway.key, home, work, f"word-{secrets.token_hex(8)}")
        (work / "word.txt").write_text(run.word + "\n")
        command, *calls = begin(run)
        steps = [script.Step(name, arguments, f"I need {name} now.") for name, arguments in calls]
        play = script.PLAYS[dialect] = script.Play(steps, dialect == own)
        # Whoever asks anybody else has to go through a proxy that lets nobody out.
        closed = {name: outside.url for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")}
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        ended = subprocess.run(
            command, cwd=work, env=environment | closed | run.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        passed, asked = listener.taken(), outside.taken()
        told = f"{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
        refused = [f"{one.method} {one.path}: {one.status} {one.answer[:500].decode()}" for one in passed if one.status != 200]
        assert not play.problems, play.problems
        assert not refused, refused
        assert ended.returncode == 0, told
        assert script.LAST in ended.stdout, told
        assert (work / "copy.txt").read_text() == run.word + "\n"
        assert play.turns == len(steps) + 1 and len(play.results) == len(steps), play
        assert run.word in play.results[-2] and all(play.results), play.results
        assert not asked, f"others were asked: {asked}"
    answered = {one.told.get("x-causeway-target") for one in passed}
    assert answered == {f"scripted-{dialect}/{DIALECTS[dialect].MODEL}"}, answered
    return sorted({name for one in passed for name in one.told.get("x-causeway-dropped", "").split(", ") if name})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("agent", nargs="?", choices=AGENTS)
    parser.add_argument("dialect", nargs="?", choices=DIALECTS)
    only = parser.parse_args()
    missing = [agent for agent in AGENTS if not shutil.which(agent)]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}")
    causeway = gateway.from_environment()
    server = Server(script.Scripted)
    listener, outside = watch.Listener(causeway.url), watch.Outside()
    for dialect in DIALECTS:
        causeway.provider(f"scripted-{dialect}", dialect, server)
    failed = 0
    for agent in [only.agent] if only.agent else AGENTS:
        for dialect in [only.dialect] if only.dialect else DIALECTS:
            try:
                dropped = check(agent, dialect, causeway, listener, outside)
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"FAIL {agent} -> {dialect}: {error}")
                listener.taken(), outside.taken()
            else:
                print(f"ok   {agent} -> {dialect}; left out: {', '.join(dropped) or 'nothing'}")
    if failed:
        raise SystemExit(f"{failed} failed")
    print("every agent finished its task with a model of every dialect")


main()
