"""Providers that fail, in every way of server.py: what a caller of each dialect sees, that another target takes over
as long as nothing of an answer was passed on, and that none does from then on."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

import gateway
import raw
import scenes
from server import DIALECTS, Server

# What each way to fail is: before the first token it has a status of its own, later it is said in the stream.
# Answers that are asked for whole have no first token until they are complete.
WAYS = {
    "400": "invalid",
    "401": "failed",
    "too-long": "too long",
    "429": "rate limited",
    "500": "failed",
    "503": "overloaded",
    "slow-headers": "late",
    "wrong-type": "failed",
    "reset": "unreachable",
    # BerriAI/litellm#40404: a stream that was cut, stalled or could not be read led to nobody else.
    # mnfst/llm-gateway#1656: a provider that stalled after its 200 was not replaced.
    "stall-before": "late",
    "stall-after": "late",
    "truncated-before": "unreachable",
    "truncated-after": "unreachable",
    "truncated-within": "unreachable",
    "reset-after": "unreachable",
    "malformed-before": "failed",
    "malformed-after": "failed",
    # BerriAI/litellm#6957: an overload that is told within a stream led to nobody else.
    # BerriAI/litellm#24005: 510 overloads within streams led to nobody else, and were logged as successes.
    "error-before": "failed",
    "error-after": "failed",
}
# A key that was refused is left alone at once, so that only one request sees what a provider says of it.
ONCE = "401"
AFTER = ("-after", "-within")
# The same in each dialect: status and kind.
WORDS = {
    "invalid": {
        "openai-chat": (400, "invalid_request_error"),
        "openai-responses": (400, "invalid_request_error"),
        "anthropic": (400, "invalid_request_error"),
        "gemini": (400, "INVALID_ARGUMENT"),
    },
    "too long": {
        "openai-chat": (400, "invalid_request_error"),
        "openai-responses": (400, "invalid_request_error"),
        "anthropic": (400, "invalid_request_error"),
        "gemini": (400, "INVALID_ARGUMENT"),
    },
    "rate limited": {
        "openai-chat": (429, "rate_limit_error"),
        "openai-responses": (429, "rate_limit_error"),
        "anthropic": (429, "rate_limit_error"),
        "gemini": (429, "RESOURCE_EXHAUSTED"),
    },
    "failed": {
        "openai-chat": (502, "server_error"),
        "openai-responses": (502, "server_error"),
        "anthropic": (502, "api_error"),
        "gemini": (500, "INTERNAL"),
    },
    "overloaded": {
        "openai-chat": (503, "server_error"),
        "openai-responses": (503, "server_error"),
        "anthropic": (529, "overloaded_error"),
        "gemini": (503, "UNAVAILABLE"),
    },
    "unreachable": {
        "openai-chat": (502, "server_error"),
        "openai-responses": (502, "server_error"),
        "anthropic": (502, "api_error"),
        "gemini": (503, "UNAVAILABLE"),
    },
    "late": {
        "openai-chat": (504, "server_error"),
        "openai-responses": (504, "server_error"),
        "anthropic": (504, "timeout_error"),
        "gemini": (504, "DEADLINE_EXCEEDED"),
    },
}
# (way, streamed, dialect out): where a way to fail is another in some dialect.
OTHERWISE = {
    # A stream says more of an error than a status does.
    **{(way, True, target): "overloaded" for way in ("error-before", "error-after") for target in ("anthropic", "gemini", "bedrock")},
}
# Whoever is to be late is, and nobody else, however busy the machine is.
LATE = {"firstByteMs": 1500, "idleMs": 1500, "totalMs": 20000}
PATIENT = {"firstByteMs": 30000, "idleMs": 30000, "totalMs": 60000}
PROMPT = "[raw] question"
TEXT = scenes.SCENES["text"].asks[0].answer.text


def set_up(causeway, server):
    causeway.provider("spare", "openai-chat", server)
    spare = {"provider": "spare", "model": DIALECTS["openai-chat"].MODEL, "tier": 1}
    for target, provider in DIALECTS.items():
        for way in WAYS:
            name = f"{target}-{way}"
            causeway.provider(name, target, server, way)
            first = {"provider": name, "model": provider.MODEL}
            times = LATE if WAYS[way] == "late" else PATIENT
            causeway.model(f"{name}-alone", [first], retries=0, times=times)
            causeway.model(f"{name}-spared", [first, spare], retries=0, times=times)
    gateway.settle()


# BerriAI/litellm#38610: where nobody was left to ask, a stream began all the same, with a 200.
def check(causeway, server, case):
    source, target, way, stream = case
    passed = stream and way.endswith(AFTER)
    kind = OTHERWISE.get((way, stream, target), WAYS[way])
    status, words = WORDS[kind][source]
    alone = raw.ask(causeway, source, f"{target}-{way}-alone", PROMPT, stream)
    same("malformed pieces", alone.malformed, 0)
    assert alone.message, f"no message: {alone}"
    if passed:
        broken_off(source, alone, words)
    else:
        same("status", alone.status, status)
        same("kind", alone.error, words)
        if way == "429":
            same("Retry-After", alone.headers.get("retry-after"), "7")
    spared = raw.ask(causeway, source, f"{target}-{way}-spared", PROMPT, stream)
    if way == "400":
        # What is wrong with the request is wrong with it everywhere.
        same("status with a spare", spared.status, status)
    elif passed:
        broken_off(source, spared, words)
        same("target", spared.headers["x-causeway-target"], f"{target}-{way}/{DIALECTS[target].MODEL}")
    else:
        same("status with a spare", spared.status, 200)
        same("text of the spare", spared.text, TEXT)
        assert spared.ended and not spared.error, spared
        same("target", spared.headers["x-causeway-target"], f"spare/{DIALECTS['openai-chat'].MODEL}")


def broken_off(source, answer, words):
    """A part of the answer, then an error, and no proper end."""
    same("status", answer.status, 200)
    assert answer.text and TEXT.startswith(answer.text), f"text: {answer.text!r}"
    assert not answer.ended, f"it ends as if it were whole: {answer.events[-1]}"
    expected = {"openai-responses": ("failed", "error")}.get(source, (words,))
    assert answer.error in expected, f"error: {answer.error!r}, not {expected}; {answer.body[-300:]}"


def same(what, got, expected):
    assert got == expected, f"{what}: {got!r}, not {expected!r}"


def outcome(causeway, server, case):
    try:
        check(causeway, server, case)
    except Exception as error:  # noqa: BLE001 whatever it is, the others go on
        return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
    return ""


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--only", default="")
    only = options.parse_args().only
    causeway, server = gateway.from_environment(), Server()
    set_up(causeway, server)
    count = failed = 0
    for source in raw.SOURCES:
        # Providers that failed before are left alone, unless their keys are new.
        for target in DIALECTS:
            for way in WAYS:
                causeway.new_key(f"{target}-{way}", target)
        gateway.renewed()
        cases = [(source, target, way, stream) for target in DIALECTS for way in WAYS for stream in (False, True) if not (stream and way == ONCE)]
        cases = [case for case in cases if only in f"{case[0]}>{case[1]} {case[2]} {'stream' if case[3] else 'whole'}"]
        with ThreadPoolExecutor(8) as pool:
            for case, why in zip(cases, pool.map(lambda case: outcome(causeway, server, case), cases)):
                count += 1
                if why:
                    failed += 1
                    print(f"FAIL {case[0]} > {case[1]}, {case[2]}, {'stream' if case[3] else 'whole'}: {why}")
    served = sum(request.mode == "well" for request in server.taken())
    taking_over = [(way, stream) for way in WAYS for stream in (False, True) if way not in ("400", ONCE) and not (stream and way.endswith(AFTER))]
    expected = (len(taking_over) + 1) * len(DIALECTS) * len(raw.SOURCES)
    if not only and served != expected:
        failed += 1
        print(f"FAIL the spare was asked {served} times, not {expected}")
    print(f"failures: {count - failed} of {count} as said")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
