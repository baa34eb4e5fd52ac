"""What a provider has to be sent for a scene."""

from providers import need
from scenes import FLAGGED, Result


def turn_of(seen):
    """Which ask of the scene this is: how often the model has spoken."""
    roles = ["user"] + [role for role, *_ in seen.said]
    return sum(before == "user" and role == "assistant" for before, role in zip(roles, roles[1:]))


def said_before(provider, scene, turn):
    """What everybody has said, up to this turn."""
    name = provider.__name__.rpartition(".")[2]
    said = []
    for place, ask in enumerate(scene.asks[: turn + 1]):
        for part in ask.parts:
            if isinstance(part, Result):
                called = scene.asks[place - 1].answer.calls[part.call].name
                said.append(("user", "result", called if name == "gemini" else provider.call_id(part.call), part.text))
            else:
                said.append(("user", *part))
        if place < turn:
            said += answered(provider, name, ask.answer)
    return said


def answered(provider, name, answer):
    if answer.thought:
        signed = getattr(provider, "SIGNED", "")
        # Gemini wants back what it signed, not what it thought.
        yield ("assistant", "thought", "" if name == "gemini" else answer.thought, signed)
    if answer.text:
        yield ("assistant", "text", answer.text)
    for place, call in enumerate(answer.calls):
        yield ("assistant", "call", "" if name == "gemini" else provider.call_id(place), call.name, call.arguments)


def check(provider, scene, seen):
    """Returns the answer that is due."""
    turn = turn_of(seen)
    need(turn < len(scene.asks), f"the model has spoken {turn} times")
    said = seen.said
    if provider.__name__.endswith("gemini"):
        said = [one for one in said if one[1] != "thought" or one[3]]
    same("said", [unflagged(provider, seen, one) for one in joined(said)], said_before(provider, scene, turn))
    same("model", seen.model, model_of(provider, scene))
    same("system", seen.system, scene.system)
    tools, choice = scene.tools, scene.choice
    if provider.__name__.endswith("cohere_chat") and choice not in ("", "auto", "required"):
        # One tool is named by leaving out the others.
        tools, choice = [tool for tool in tools if tool["name"] == choice], "required"
    same("tools", [plain(tool) for tool in seen.tools], tools)
    same("tool choice", seen.choice or "auto", choice or "auto")
    same("schema", seen.schema, scene.schema)
    same("reasoning", seen.reasons, scene.reasons)
    same("limit", seen.limit, scene.limit)
    same("temperature", seen.temperature, scene.temperature)
    same("stop", seen.stop, scene.stop)
    return scene.asks[turn].answer


def unflagged(provider, seen, one):
    """The result of a tool without what says that it failed, which has to be said where the caller said it."""
    if one[1] != "result" or FLAGGED not in one[3]:
        return one
    text = one[3].partition(FLAGGED)[0]
    if provider.__name__.rpartition(".")[2] in ("messages", "converse", "gemini"):
        need(one[3] in seen.failed, "a failure that is not said to be one")
    else:
        # There is no field for it, so the text says it.
        need("error" in text.lower() or "failed" in text.lower(), f"a failure that is not said to be one: {text}")
        text = text.rpartition(":")[2].strip()
    return (*one[:3], text)


def model_of(provider, scene):
    return provider.MODEL if scene.reasons else getattr(provider, "PLAIN", provider.MODEL)


def joined(said):
    """Texts that follow each other are one: callers of streams say them in pieces."""
    whole = []
    for one in said:
        if whole and one[:2] == whole[-1][:2] and one[1] == "text":
            whole[-1] = (*one[:2], whole[-1][2] + one[2])
        else:
            whole.append(one)
    return whole


def plain(tool):
    """No schema at all is one of no arguments."""
    return {"parameters": {"type": "object", "properties": {}}, **{name: tool[name] for name in ("name", "description", "parameters") if tool.get(name)}}


def same(what, got, expected):
    need(got == expected, f"{what}: {got!r} where {expected!r} was asked for")
