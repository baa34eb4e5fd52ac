"""A model that follows a script: it calls the tools that an agent offers by their own names, one after the other,
and says the last word when it has their results. Any of the providers of tests/models can be this model."""

import json
import pathlib
import sys
from dataclasses import dataclass, field

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "models"))

import scenes  # noqa: E402
from providers import Wrong  # noqa: E402
from server import Reply  # noqa: E402

# What the prompts of a script have in them.
MARKER = "COPY-THE-WORD"
LAST = "Both are done."
# Said to whatever else an agent asks.
ASIDE = "An aside."
# What items of Responses have had from the beginning, without their ids.
ITEM = ("type", "role", "content", "call_id", "name", "arguments", "output", "summary", "encrypted_content")


@dataclass
class Step:
    """One call of a tool, with what `arguments` makes of its name and the results so far. It has to take them."""

    tool: str
    arguments: object
    thought: str


@dataclass
class Play:
    """A script, and what became of it."""

    steps: list
    # The caller speaks the provider's dialect, and says more in it than the types of its SDK do.
    own: bool = False
    results: list = field(default_factory=list)
    thoughts: list = field(default_factory=list)
    turns: int = 0
    problems: list = field(default_factory=list)


# Of each provider in use, by dialect.
PLAYS = {}


class Scripted(Reply):
    def give(self):
        play, request = PLAYS[self.request.dialect], self.request
        try:
            self.check_head()
            body = json.loads(request.body)
            seen = self.provider.read(request.path, plain(request.dialect, body) if play.own else body)
            seen.answer = f"{play.turns}_of_the_script"
            answer = next_answer(self.provider, play, seen)
        except Exception as error:  # noqa: BLE001 whatever an agent sends has to be read
            request.problem = f"{type(error).__name__}: {error}"
            play.problems.append(request.problem)
            return self.whole(400, self.provider.error(400, f"the mock: {request.problem}"))
        if seen.stream:
            return self.stream(self.provider.stream(answer, seen))
        return self.whole(200, self.provider.whole(answer, seen))


def plain(dialect, body):
    """A request without what only the newest versions of its dialect have, which is passed on as it came."""
    match dialect:
        case "anthropic":
            body = {name: value for name, value in body.items() if name not in ("context_management", "thinking", "output_config")}
            body["messages"] = [message for message in body["messages"] if message["role"] != "system"]
            for tool in body["tools"]:
                tool.pop("defer_loading", None)
            for part in (part for message in body["messages"] for part in message["content"] if isinstance(part, dict)):
                if part["type"] == "tool_result" and isinstance(part["content"], list):
                    part["content"] = [named(inner) for inner in part["content"]]
        case "openai-responses":
            body.pop("client_metadata", None)
            body["tools"] = [tool for tool in body["tools"] if tool["type"] == "function"]
            body["input"] = [{name: value for name, value in item.items() if name in ITEM and value is not None} for item in body["input"]]
            for item in body["input"]:
                if item["type"] == "reasoning":
                    item["id"] = "rs_1"
    return body


def named(part):
    """A reference to a tool in words."""
    return {"type": "text", "text": part["tool_name"]} if part["type"] == "tool_reference" else part


def next_answer(provider, play, seen):
    offered = {tool["name"]: tool["parameters"] for tool in seen.tools}
    if not any(role == "user" and kind == "text" and MARKER in said for role, kind, said, *_ in seen.said):
        return scenes.Answer(text=ASIDE)
    play.turns += 1
    play.results = [said[3] for said in seen.said if said[1] == "result"]
    play.thoughts = [said[2:] for said in seen.said if said[1] == "thought"]
    turn = len(play.results)
    sent_back(provider, play, seen)
    if turn == len(play.steps):
        return scenes.Answer(text=LAST)
    step = play.steps[turn]
    name = step.tool
    if name not in offered:
        raise Wrong(f"{name} is not offered, but {sorted(offered)}")
    arguments = step.arguments(name, play.results)
    fits(name, offered[name], arguments)
    call = scenes.Call(name, arguments, id_of(provider, turn))
    return scenes.Answer(thought=step.thought, calls=[call], stop="tools", usage=(100, 40, 30, 12))


def id_of(provider, turn):
    """Ids as the provider makes them, each another."""
    return f"{provider.call_id(turn)}_of_the_script" if hasattr(provider, "call_id") else ""


def fits(name, schema, arguments):
    missing = set(schema.get("required", [])) - set(arguments)
    unknown = set(arguments) - set(schema.get("properties", {}))
    if missing or unknown:
        raise Wrong(f"{name} wants {sorted(missing)}, and does not know {sorted(unknown)}: {json.dumps(schema)}")


def sent_back(provider, play, seen):
    """The calls come back as they were made, with their results and what was thought before them."""
    calls = [said for said in seen.said if said[1] == "call"]
    results = [said for said in seen.said if said[1] == "result"]
    if len(calls) != len(results):
        raise Wrong(f"{len(calls)} calls and {len(results)} results")
    for place, (call, result) in enumerate(zip(calls, results)):
        own = id_of(provider, place)
        if own and (call[2], result[2]) != (own, own):
            raise Wrong(f"call {place} has the ids {call[2]!r} and {result[2]!r}, not {own!r}")
        wanted = play.steps[place].arguments(call[3], play.results)
        if call[4] != wanted:
            raise Wrong(f"call {place} came back with {call[4]}, not {wanted}")
    # Gemini wants back what it signed, not what it thought.
    signed, unread = getattr(provider, "SIGNED", ""), provider.__name__.endswith("gemini")
    wanted = [("" if unread else step.thought, signed) for step in play.steps[: len(calls)]]
    if play.own and "messages" in provider.__name__:
        wanted = play.thoughts
    if play.thoughts != wanted:
        raise Wrong(f"what was thought came back as {play.thoughts}, not {wanted}")
