"""Every dialect in, by the official SDKs of PyPI and npm, with every dialect out, by a mock: each scene, whole and streamed.

A cell is `pass`, `refused` (the error is one of REFUSALS, word by word) or not applicable (the protocol of one side
has no such thing: CANNOT, and what a caller says itself). The matrix is docs/llm-matrix.md, which `--write` writes
anew; a run whose outcome is another fails.

    matrix.py [--write] [--only TEXT] [-v]
"""

import argparse
import pathlib
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import callers
import gateway
import losses
from callers import chat, gemini, messages, npm, responses
from providers import expected
from scenes import SCENES
from server import DIALECTS, Server

DOC = pathlib.Path(__file__).parents[2] / "docs" / "llm-matrix.md"
CALLERS = {
    "PyPI": {
        "openai-chat": chat.Conversation,
        "openai-responses": responses.Conversation,
        "anthropic": messages.Conversation,
        "gemini": gemini.Conversation,
    },
    "npm": {"openai-chat": npm.Chat, "openai-responses": npm.Responses, "anthropic": npm.Messages},
}
NAMES = {
    "openai-chat": "OpenAI Chat",
    "openai-responses": "OpenAI Responses",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "bedrock": "Bedrock",
    "cohere": "Cohere",
}
# (scene, dialect out): what there is no way to say or do at the provider, so that nothing could be passed on.
CANNOT = {
    ("refusal", "cohere"): "Cohere's API has no refusals",
}
# (scene, dialect out): the error that callers get, and why there is no better.
REFUSALS = {
    ("vision, URL", "bedrock"): (
        "400 an image by its address (other than in S3) cannot be said in Bedrock Converse, which the model's provider speaks",
        "Bedrock fetches images from S3 only; send them as base64",
    ),
    ("document", "cohere"): (
        "400 a document that is no text cannot be said in Cohere Chat v2, which the model's provider speaks",
        "Cohere's models read documents of plain text only",
    ),
    ("stop sequence", "openai-responses"): (
        "400 stop sequences cannot be said in OpenAI Responses, which the model's provider speaks",
        "Responses has no stop sequences",
    ),
}
# What of the usage a provider does not say.
NO_REASONING_COUNT = ("anthropic", "bedrock", "cohere")


def model_name(dialect, scene):
    return f"mock-{dialect}{'-reasoning' if scene.reasons else ''}"


def outcome(url, key, cell):
    registry, source, target, name, stream = cell
    if reason := CANNOT.get((name, target)):
        return "n/a", reason
    scene = SCENES[name]
    try:
        talk = CALLERS[registry][source](url, key, model_name(target, scene), scene, stream)
    except callers.CannotSay as error:
        return "n/a", str(error)
    talk.lenient = source == target
    try:
        for ask in scene.asks:
            check(cell, ask.answer, talk.ask(ask.parts))
    except callers.Refused as error:
        known = REFUSALS.get((name, target))
        if known and str(error) == known[0]:
            return "refused", refusal(name, target)
        return "FAIL", " ".join(f"refused: {error}".split())[:600]
    except Exception as error:  # noqa: BLE001 an SDK may fail in any way
        last = traceback.extract_tb(error.__traceback__)[-1]
        return "FAIL", f"{type(error).__name__}: {str(error)[:500]} ({pathlib.Path(last.filename).name}:{last.lineno})"
    return ("FAIL", f"the refusal {REFUSALS[name, target][0]!r} did not come") if (name, target) in REFUSALS else ("pass", "")


def refusal(name, target):
    """For the page: why, and what callers are told."""
    said, why = REFUSALS[name, target]
    return f"{why}: `{said.partition(' ')[2]}`"


def check(cell, answer, got):
    _, source, target, name, _ = cell
    same("model", got.model, model_name(target, SCENES[name]))
    same("calls", got.calls, [(call.name, call.arguments) for call in answer.calls])
    stops = {answer.stop}
    if answer.stop == "sequence":
        # Most say no more than that the answer is at its end.
        stops.add("end")
    assert got.stop in stops, f"stop: {got.stop}, not {answer.stop}"
    if answer.stop == "refusal":
        # Its words, where the provider has words for it.
        said = "" if target == "gemini" else answer.refusal
        same("refusal", got.refusal or got.text, said)
    elif target == "cohere" and answer.calls:
        # What Cohere says before it calls tools is its plan.
        same("text", got.text, "")
        same("thought", got.thought, answer.thought or answer.text)
    else:
        same("text", got.text, answer.text)
        same("thought", got.thought, answer.thought)
    prompt, cached, output, reasoning = answer.usage
    if target == "cohere":
        # How much of what is billed was cached it does not say.
        cached = 0
    same("usage", got.usage[:3], (prompt, cached, output))
    if target not in NO_REASONING_COUNT and source != "anthropic":
        same("tokens of thoughts", got.usage[3] or 0, reasoning)


def same(what, got, expected):
    assert got == expected, f"{what}: {got!r}, not {expected!r}"


def set_up(causeway, server):
    for dialect, provider in DIALECTS.items():
        causeway.provider(dialect, dialect, server)
        for scene in (SCENES["text"], SCENES["reasoning"]):
            target = {"provider": dialect, "model": expected.model_of(provider, scene)}
            causeway.model(model_name(dialect, scene), [target], retries=0)
    gateway.settle()


def document(outcomes, rows):
    """The page: a table per scene, and why what does not pass does not."""
    yield "# Which dialect reaches which provider\n"
    yield (
        "What official SDKs (the rows) can do with a provider that speaks another dialect (the columns), as the last"
        " run of `tests/all models` saw it: PyPI `openai`, `anthropic` and `google-genai`, and npm `openai` and"
        " `@anthropic-ai/sdk`, against a provider of each dialect that checks every field it is sent. Each cell holds"
        " an answer that comes whole and one that is streamed, with the SDK of PyPI and, but for Gemini's, with that"
        " of npm; tools are called, answered and told back. *refused*: the request is answered with an error that"
        " says why. *n/a*: one of the protocols has no such thing.\n"
    )
    notes = []
    for scene in SCENES:
        yield f"## {scene[0].upper()}{scene[1:]}\n"
        yield "| | " + " | ".join(NAMES[target] for target in DIALECTS) + " |"
        yield "|---|" + "---|" * len(DIALECTS)
        for source in CALLERS["PyPI"]:
            row = [NAMES[source]]
            for target in DIALECTS:
                seen = [found for cell, found in outcomes.items() if cell[1:4] == (source, target, scene)]
                row.append(cell_text(seen, notes))
            yield "| " + " | ".join(row) + " |"
        yield ""
    yield "## Why not\n"
    for number, note in enumerate(notes, 1):
        yield f"{number}. {note}"
    yield ""
    yield from losses.document(rows, NAMES)


def cell_text(seen, notes):
    texts = []
    for what, why in seen:
        if why and why not in notes:
            notes.append(why)
        texts.append(f"{what} ({notes.index(why) + 1})" if why else what)
    return texts[0] if len(set(texts)) == 1 else " / ".join(texts)


def title(cell):
    registry, source, target, scene, stream = cell
    return f"{registry}: {source} > {target}, {scene}, {'stream' if stream else 'whole'}"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--write", action="store_true")
    options.add_argument("--only", default="")
    options.add_argument("-v", action="store_true")
    options = options.parse_args()
    causeway, server = gateway.from_environment(), Server()
    set_up(causeway, server)
    cells = [
        (registry, source, target, scene, stream)
        for scene in SCENES
        for registry in CALLERS
        for source in CALLERS[registry]
        for target in DIALECTS
        for stream in (False, True)
    ]
    wanted = [cell for cell in cells if options.only in title(cell)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = dict(zip(wanted, pool.map(lambda cell: outcome(causeway.url, causeway.key, cell), wanted)))
    failed = [(cell, why) for cell, (what, why) in outcomes.items() if what == "FAIL"]
    for cell, why in failed:
        print(f"FAIL {title(cell)}: {why}")
    count = lambda kind: sum(what == kind for what, _ in outcomes.values())  # noqa: E731
    print(f"matrix: {count('pass')} pass, {count('refused')} refused, {count('n/a')} not applicable, {len(failed)} fail")
    if wanted != cells:
        return min(len(failed), 1)
    rows, problems = losses.outcomes(causeway, server)
    for problem in problems:
        print(f"FAIL {problem}")
    print(f"losses: {len(rows)} fields are passed, left out by name or refused, {len(problems)} fail")
    if failed or problems:
        return 1
    page = "\n".join(document(outcomes, rows)).rstrip() + "\n"
    if options.write:
        DOC.write_text(page)
    elif not DOC.exists() or DOC.read_text() != page:
        print(f"{DOC.name} says something else: matrix.py --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
