"""What a caller asks for that a provider's dialect may have no word for: it arrives, or the answer's
`x-causeway-dropped` names it, or the request is refused with an error that names it. Nothing is lost without a word.

Each value stands for itself: it is one that is nowhere else in a request.
"""

import json

import raw
from server import DIALECTS

# By dialect in: what it is called, the fields, and what of them has to arrive.
HINTS = {
    "openai-chat": {
        "top_p": ({"top_p": 0.8125}, "0.8125"),
        "seed": ({"seed": 987123}, "987123"),
        "frequency_penalty": ({"frequency_penalty": 0.625}, "0.625"),
        "presence_penalty": ({"presence_penalty": 0.375}, "0.375"),
        "logit_bias": ({"logit_bias": {"77123": 7}}, "77123"),
        "user": ({"user": "user-of-the-caller"}, "user-of-the-caller"),
        "metadata": ({"metadata": {"tag": "metadata-of-the-caller"}}, "metadata-of-the-caller"),
        "prompt_cache_key": ({"prompt_cache_key": "key-of-the-cache"}, "key-of-the-cache"),
        "service_tier": ({"service_tier": "flex"}, "flex"),
        "verbosity": ({"verbosity": "low"}, '"low"'),
        "n": ({"n": 2}, '"n":2'),
        "logprobs": ({"logprobs": True, "top_logprobs": 3}, "logprobs"),
        "a field nobody knows": ({"new_field": "value-of-tomorrow"}, "value-of-tomorrow"),
    },
    "openai-responses": {
        "top_p": ({"top_p": 0.8125}, "0.8125"),
        "user": ({"user": "user-of-the-caller"}, "user-of-the-caller"),
        "safety_identifier": ({"safety_identifier": "safety-of-the-caller"}, "safety-of-the-caller"),
        "metadata": ({"metadata": {"tag": "metadata-of-the-caller"}}, "metadata-of-the-caller"),
        "prompt_cache_key": ({"prompt_cache_key": "key-of-the-cache"}, "key-of-the-cache"),
        "service_tier": ({"service_tier": "flex"}, "flex"),
        "text.verbosity": ({"text": {"verbosity": "low"}}, '"low"'),
        "truncation": ({"truncation": "auto"}, "truncation"),
        "max_tool_calls": ({"max_tool_calls": 71}, "71"),
        "top_logprobs": ({"top_logprobs": 3, "include": ["message.output_text.logprobs"]}, "logprobs"),
        "previous_response_id": ({"previous_response_id": "resp_of_yesterday"}, "resp_of_yesterday"),
        "background": ({"background": True}, "background"),
        "a web search": ({"tools": [{"type": "web_search"}]}, "web_search"),
        "a field nobody knows": ({"new_field": "value-of-tomorrow"}, "value-of-tomorrow"),
    },
    "anthropic": {
        "top_p": ({"top_p": 0.8125}, "0.8125"),
        "top_k": ({"top_k": 77}, "77"),
        "metadata.user_id": ({"metadata": {"user_id": "user-of-the-caller"}}, "user-of-the-caller"),
        "service_tier": ({"service_tier": "standard_only"}, "standard_only"),
        "cache_control": ({"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}, "1h"),
        "a web search": ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "web_search_20250305"),
        "a field nobody knows": ({"new_field": "value-of-tomorrow"}, "value-of-tomorrow"),
    },
    "gemini": {
        "topP": ({"generationConfig": {"topP": 0.8125}}, "0.8125"),
        "topK": ({"generationConfig": {"topK": 77}}, "77"),
        "seed": ({"generationConfig": {"seed": 987123}}, "987123"),
        "frequencyPenalty": ({"generationConfig": {"frequencyPenalty": 0.625}}, "0.625"),
        "presencePenalty": ({"generationConfig": {"presencePenalty": 0.375}}, "0.375"),
        "candidateCount": ({"generationConfig": {"candidateCount": 2}}, "candidateCount"),
        "responseLogprobs": ({"generationConfig": {"responseLogprobs": True, "logprobs": 3}}, "ogprobs"),
        "safetySettings": (
            {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]},
            "HARM_CATEGORY_HARASSMENT",
        ),
        "cachedContent": ({"cachedContent": "cachedContents/of-yesterday"}, "of-yesterday"),
        "a web search": ({"tools": [{"googleSearch": {}}]}, "googleSearch"),
    },
}
# Said otherwise in some dialect: (dialect out, value) is there in these words.
OTHERWISE = {
    ("openai-responses", "logprobs"): "top_logprobs",
    ("gemini", "logprobs"): "responseLogprobs",
    ("bedrock", "1h"): "1h",
}


def outcome(causeway, server, source, target, name):
    fields, value = HINTS[source][name]
    # What passes through is not looked at: the SDKs know no fields of tomorrow.
    prompt = "[raw] Hi" if source == target else "[loose] Hi"
    path, body = raw.request(source, f"mock-{target}", prompt, False)
    server.taken()
    answer = raw.post(causeway, source, path, json.dumps(body | fields).encode())
    requests = server.taken()
    if answer.status != 200:
        raw.said(source, json.loads(answer.body), answer)
        problem = requests[0].problem if requests else ""
        assert not requests, f"{answer.message} {problem}"
        assert answer.status == 400, f"{answer.status} {answer.message}"
        return "refused"
    (request,) = requests
    # `include` is where Responses says that it wants log-probabilities; elsewhere that is no field of its own.
    dropped = answer.headers.get("x-causeway-dropped", "").removeprefix("include").strip(", ")
    sent = json.dumps(json.loads(request.body), ensure_ascii=False, separators=(",", ":"))
    arrived = OTHERWISE.get((target, value), value) in sent
    assert arrived or dropped, f"it was lost without a word: {sent}"
    assert not (arrived and dropped), f"it arrived, and is said to be left out ({dropped}): {sent}"
    return "passed" if arrived else "left out"


def outcomes(causeway, server):
    """By dialect in and field: what came of it at each dialect out; and what went wrong."""
    rows, problems = {}, []
    for source, hints in HINTS.items():
        for name in hints:
            for target in DIALECTS:
                try:
                    rows[source, name, target] = outcome(causeway, server, source, target, name)
                except AssertionError as error:
                    problems.append(f"{source} > {target}, {name}: {error}")
    return rows, problems


def document(rows, names):
    """Tables for the page."""
    yield "## What is left out\n"
    yield (
        "Fields that not every dialect has, asked for one by one. *passed*: it reaches the provider, in its words. *left out*:"
        " the answer can do without it; its header `x-causeway-dropped` names it, and a model whose `onLoss` is `refuse`"
        " refuses it. *refused*: the answer would not be what was asked for.\n"
    )
    for source, hints in HINTS.items():
        yield f"| asked in {names[source]} | " + " | ".join(names[target] for target in DIALECTS) + " |"
        yield "|---|" + "---|" * len(DIALECTS)
        for name in hints:
            yield f"| {name if ' ' in name else f'`{name}`'} | " + " | ".join(rows[source, name, target] for target in DIALECTS) + " |"
        yield ""
