"""Where a caller and a provider speak the same dialect, every byte arrives: all but the model's name and what asks
for usage in a request, all but the name and the usage nobody asked for in an answer."""

import json
import sys

import gateway
import raw
from server import DIALECTS, Server

# Spaces, orders, escapes, numbers and fields that no two libraries write alike.
ODD = (
    r'"x_new": {"deep" :[1.0e+2 , 10000000000000000000001,-0.0,"\u00e9\/é\ud83d\ude00", null ],"": {} ,  "model":"inner"}'
    ', "temperature":0.70000000000000001,\r\n\t"metadata": {"b":"2","a":"1"}'
)
BODIES = {
    "openai-chat": (
        ' {"x_first":[ ] ,\n  "messages":[{"content" : "[raw] \\u0047r\\u00fc\\u00dfe", "role":"user"}], "model" :\t@MODEL@,@STREAM@ ' + ODD + " }\n"
    ),
    "openai-responses": '{ "input" :[{"role":"user","content":"[raw] \\u00e9"}], "model":@MODEL@  ,@STREAM@ ' + ODD + "}",
    "anthropic": (
        '{"max_tokens":1000, "messages" : [ {"role":"user","content":[{"type":"text","text":"[raw] \\n"}]} ],"model": @MODEL@ ,@STREAM@' + ODD + "}\r\n"
    ),
    "gemini": '{"contents": [{"role":"user","parts":[{"text":"[raw] \\u003c"}]}] , ' + ODD + "}",
}


def set_up(causeway, server):
    for dialect in raw.SOURCES:
        causeway.provider(f"same-{dialect}", dialect, server)
        causeway.model(f"same-{dialect}", [{"provider": f"same-{dialect}", "model": DIALECTS[dialect].MODEL}], retries=0)
    gateway.settle()


def path_of(dialect, stream):
    path, _ = raw.request(dialect, f"same-{dialect}", "", stream)
    return path


def check(causeway, server, dialect, stream, options):
    """`options`: what the caller says of the stream, and what the provider is to be told."""
    asked, told = options
    ours, theirs = json.dumps(f"same-{dialect}"), json.dumps(DIALECTS[dialect].MODEL)
    said = BODIES[dialect].replace("@STREAM@", (' "stream" : true,' if stream else "") + asked)
    body = said.replace("@MODEL@", ours).encode()
    server.taken()
    answer = raw.post(causeway, dialect, path_of(dialect, stream), body)
    assert answer.status == 200, answer.body
    (request,) = server.taken()
    expected = said.replace("@MODEL@", theirs)
    if stream and dialect == "openai-chat":
        if asked:
            expected = expected.replace(asked, told)
        else:
            # Before the last brace, which is where the object ends.
            place = expected.rindex("}")
            expected = expected[:place] + told + expected[place:]
    equal(f"{dialect} request", request.body, expected.encode())
    expected = request.answer
    hides = stream and dialect == "openai-chat" and '"include_usage":true' not in asked
    if hides:
        frames = expected.split(b"\n\n")
        kept = [frame for frame in frames if b'"choices": []' not in frame]
        assert len(kept) == len(frames) - 1
        expected = b"\n\n".join(kept)
    assert theirs.encode() in expected
    expected = expected.replace(theirs.encode(), ours.encode())
    equal(f"{dialect} answer", answer.body, expected)


def equal(what, got, expected):
    if got == expected:
        return
    at = next((place for place, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
    raise AssertionError(f"{what}, byte {at}: {got[max(at - 60, 0) : at + 60]!r}, not {expected[max(at - 60, 0) : at + 60]!r}")


CASES = [(dialect, stream, ("", "")) for dialect in raw.SOURCES for stream in (False, True) if (dialect, stream) != ("openai-chat", True)] + [
    # BerriAI/litellm#5632: what a stream used was known only where its caller had asked for it.
    # BerriAI/litellm#8349: what a stream used was missing where nobody had asked for it.
    # Usage is asked for in any case, and told only to whoever asked.
    ("openai-chat", True, ("", ',"stream_options":{"include_usage":true}')),
    ("openai-chat", True, (' "stream_options":{"include_usage":true} ,', ' "stream_options":{"include_usage":true} ,')),
    ("openai-chat", True, (' "stream_options" : { "include_usage": false , "x":1},', ' "stream_options" : { "include_usage": true , "x":1},')),
    ("openai-chat", True, (' "stream_options":{"include_obfuscation":false},', ' "stream_options":{"include_obfuscation":false,"include_usage":true},')),
    ("openai-chat", True, (' "stream_options":null,', ' "stream_options":{"include_usage":true},')),
]


def main():
    causeway, server = gateway.from_environment(), Server()
    set_up(causeway, server)
    failed = 0
    for dialect, stream, options in CASES:
        try:
            check(causeway, server, dialect, stream, options)
        except AssertionError as error:
            failed += 1
            print(f"FAIL {dialect}, {'stream' if stream else 'whole'}, {options[0]}: {error}")
    print(f"fidelity: {len(CASES) - failed} of {len(CASES)} equal to the byte")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
