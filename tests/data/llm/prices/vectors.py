#!/usr/bin/env python3
"""Makes vectors.json: calls, and what they cost.

    tests/data/llm/prices/vectors.py > tests/data/llm/prices/vectors.json

It shares nothing with src/llm/price.rs. Prices are written here as the providers' pages print them, in dollars
for a million tokens (or for a thousand searches), and all arithmetic is that of fractions:

    dollars = sum over the kinds of tokens of: tokens / 1,000,000 x dollars for a million
              + searches / 1,000 x dollars for a thousand searches
    where tokens that come sooner, or of the US only, cost so many times that
    nano-dollars = dollars x 1,000,000,000, rounded half up

A vector has the model, the tier, the usage and the answer; `sum` spells the addition out. Tokens of a kind that
has no price of its own are those of the kind it is a part of. A prompt longer than a step's length has that
step's prices for all of its tokens.
"""

import json
from fractions import Fraction as F
from math import floor, prod

# (provider, model, thousand searches, page): {tier: [(above, {kind: dollars for a million})]}
OPENAI = "https://developers.openai.com/api/docs/pricing"
ANTHROPIC = "https://platform.claude.com/docs/en/about-claude/pricing"
GOOGLE = "https://ai.google.dev/gemini-api/docs/pricing"
PRICES = {
    ("openai", "gpt-5", "10", OPENAI): {
        "standard": [(0, {"input": "1.25", "cached": "0.125", "output": "10"})],
        "batch": [(0, {"input": "0.625", "cached": "0.0625", "output": "5"})],
        "flex": [(0, {"input": "0.625", "cached": "0.0625", "output": "5"})],
        "priority": [(0, {"input": "2.5", "cached": "0.25", "output": "20"})],
    },
    ("openai", "gpt-4o", None, OPENAI): {
        "standard": [(0, {"input": "2.5", "cached": "1.25", "output": "10"})],
        "batch": [(0, {"input": "1.25", "output": "5"})],
        "priority": [(0, {"input": "4.25", "cached": "2.125", "output": "17"})],
    },
    ("openai", "text-embedding-3-small", None, OPENAI): {
        "standard": [(0, {"input": "0.02"})],
        "batch": [(0, {"input": "0.01"})],
    },
    ("openai", "gpt-audio-1.5", None, OPENAI): {
        "standard": [(0, {"input": "2.5", "input_audio": "32", "output": "10", "output_audio": "64"})],
    },
    ("openai", "gpt-4o-mini-audio-preview", None, OPENAI): {
        "standard": [(0, {"input": "0.15", "input_audio": "10", "output": "0.6", "output_audio": "20"})],
    },
    ("openai", "gpt-6-luna", "10", OPENAI): {
        "standard": [
            (0, {"input": "0.1", "cached": "0.01", "cache_write": "0.125", "output": "0.5"}),
            (272_000, {"input": "0.2", "cached": "0.02", "cache_write": "0.25", "output": "0.75"}),
        ],
        "flex": [
            (0, {"input": "0.05", "cached": "0.005", "cache_write": "0.0625", "output": "0.25"}),
            (272_000, {"input": "0.1", "cached": "0.01", "cache_write": "0.125", "output": "0.375"}),
        ],
    },
    ("anthropic", "claude-sonnet-4-6", "10", ANTHROPIC): {
        "standard": [
            (0, {"input": "3", "cached": "0.3", "cache_write": "3.75", "cache_write_hour": "6", "output": "15"}),
        ],
        "batch": [
            (0, {"input": "1.5", "cached": "0.15", "cache_write": "1.875", "cache_write_hour": "3", "output": "7.5"}),
        ],
    },
    ("anthropic", "claude-haiku-4-5", "10", ANTHROPIC): {
        "standard": [
            (0, {"input": "1", "cached": "0.1", "cache_write": "1.25", "cache_write_hour": "2", "output": "5"}),
        ],
        "batch": [
            (0, {"input": "0.5", "cached": "0.05", "cache_write": "0.625", "cache_write_hour": "1", "output": "2.5"}),
        ],
    },
    ("anthropic", "claude-opus-5", "10", ANTHROPIC): {
        "standard": [
            (0, {"input": "5", "cached": "0.5", "cache_write": "6.25", "cache_write_hour": "10", "output": "25"}),
        ],
    },
    ("gemini", "gemini-2.5-pro", "35", GOOGLE): {
        "standard": [
            (0, {"input": "1.25", "cached": "0.125", "output": "10"}),
            (200_000, {"input": "2.5", "cached": "0.25", "output": "15"}),
        ],
        "batch": [
            (0, {"input": "0.625", "cached": "0.125", "output": "5"}),
            (200_000, {"input": "1.25", "cached": "0.25", "output": "7.5"}),
        ],
    },
    ("gemini", "gemini-2.5-flash", "35", GOOGLE): {
        "standard": [
            (0, {"input": "0.3", "cached": "0.03", "cached_audio": "0.1", "input_audio": "1", "output": "2.5"}),
        ],
    },
    ("dashscope-intl", "qwen3-max", None, "https://www.alibabacloud.com/help/en/model-studio/models"): {
        "standard": [
            (0, {"input": "1.2", "output": "6"}),
            (32_000, {"input": "2.4", "output": "12"}),
            (128_000, {"input": "3", "output": "15"}),
        ],
    },
    ("dashscope-intl", "qwen-plus-latest", None, "https://www.alibabacloud.com/help/en/model-studio/models"): {
        "standard": [
            (0, {"input": "0.4", "output": "1.2", "reasoning": "4"}),
            (256_000, {"input": "1.2", "output": "3.6", "reasoning": "12"}),
        ],
    },
    ("cohere", "rerank-v3.5", "2", "https://cohere.com/pricing"): {"standard": [(0, {})]},
    ("deepseek", "deepseek-flash", None, "https://api-docs.deepseek.com/quick_start/pricing"): {
        "standard": [(0, {"input": "0.3", "cached": "0.006", "output": "1.2"})],
    },
}

# What tokens cost that come sooner, or of the US only, as a multiple; searches cost what they do.
TERMS = {"claude-opus-5": {"fast": "2", "in_us": "1.1"}}

# A thousand prompts that searched, however often each did.
ONCE = {"gemini-2.5-pro", "gemini-2.5-flash"}

# What a kind without a price of its own is counted with.
PART_OF = {
    "cached": "input",
    "cache_write": "input",
    "cache_write_hour": "cache_write",
    "input_audio": "input",
    "cached_audio": "cached",
    "reasoning": "output",
    "output_audio": "output",
}

# Tokens by kind, each counted in one kind only; the kinds of a prompt and of an answer add up to its length.
CALLS = [
    {"input": 1, "output": 1},
    {"input": 1000, "output": 500},
    {"input": 7, "cached": 1_999, "output": 13},
    {"input": 123_457, "cached": 65_536, "output": 8_191, "reasoning": 6_007},
    {"input": 190_000, "cached": 9_999, "output": 1, "searches": 3},
    {"input": 200_000, "output": 100},
    {"input": 200_001, "output": 100},
    {"input": 1, "cached": 300_000, "output": 2_048, "reasoning": 2_047},
    {"input": 31_999, "cached": 1, "output": 333},
    {"input": 900_000, "cached": 50_000, "output": 64_000, "searches": 1},
]
WRITES = [
    {"input": 11, "cached": 0, "cache_write": 2_345, "output": 77},
    {"input": 11, "cached": 4_000, "cache_write": 2_345, "cache_write_hour": 10_001, "output": 77, "searches": 2},
]
SOUND = [
    {"input": 100, "input_audio": 3_333, "output": 10},
    {"input": 0, "input_audio": 3_333, "cached": 50, "cached_audio": 667, "output": 10},
    {"cached": 7, "cached_audio": 1_001, "output": 1},
]
SPOKEN = [
    {"input": 100, "output": 10, "output_audio": 777},
    {"input": 41, "input_audio": 3_333, "output_audio": 1_501},
    {"input": 1, "output": 1, "reasoning": 250, "output_audio": 9_999},
]
ON_TERMS = [
    {"input": 101, "cached": 33, "output": 7, "fast": True},
    {"input": 101, "cache_write": 3, "output": 7, "searches": 2, "in_us": True},
    {"input": 7, "cache_write_hour": 11, "output": 13, "searches": 1, "fast": True, "in_us": True},
]
RERANK = [{"searches": 1}, {"searches": 17}]
ONE_KIND = [{"input": 1}, {"input": 8_191}, {"input": 25}]


def calls(model, kinds):
    if model.startswith("rerank"):
        return RERANK
    if "output" not in kinds:
        return ONE_KIND
    if "output_audio" in kinds:
        return SPOKEN
    if model in TERMS:
        return ON_TERMS
    return CALLS + (WRITES if "cache_write" in kinds else []) + (SOUND if "input_audio" in kinds else [])


def usage(call):
    """What a codec reports: totals that include their parts."""
    get = lambda *kinds: sum(call.get(kind, 0) for kind in kinds)
    said = {
        "input": get("input", "cached", "cached_audio", "cache_write", "cache_write_hour", "input_audio"),
        "cached": get("cached", "cached_audio"),
        "cache_write": get("cache_write"),
        "cache_write_hour": get("cache_write_hour"),
        "input_audio": get("input_audio", "cached_audio"),
        "output": get("output", "reasoning", "output_audio"),
        "reasoning": get("reasoning"),
        "output_audio": get("output_audio"),
        "searches": get("searches"),
        "fast": call.get("fast"),
        "in_us": call.get("in_us"),
    }
    return {name: count for name, count in said.items() if count}


def rate(kinds, kind):
    while kind not in kinds:
        kind = PART_OF[kind]
    return kinds[kind]


def vector(provider, model, search, source, tier, steps, call):
    said = usage(call)
    kinds = [kinds for above, kinds in steps if said.get("input", 0) > above or above == 0][-1]
    terms, dollars = [], F(0)
    asked = [term for term in ("fast", "in_us") if call.get(term)]
    for kind, count in call.items():
        if not count or kind in asked or kind == "searches" and search is None:
            continue
        if kind == "searches" and model in ONCE:
            count = 1
        price, of = (search, 1_000) if kind == "searches" else (rate(kinds, kind), 1_000_000)
        times = [TERMS[model][term] for term in asked if kind != "searches"]
        terms.append(" x ".join([f"{count} {kind}", f"{price}/{of}", *times]))
        dollars += F(count, of) * F(price) * prod(map(F, times))
    nanos = floor(dollars * 10**9 + F(1, 2))
    fields = {"provider": provider, "model": model, "tier": tier, "usage": said, "nanos": nanos}
    return {**fields, "sum": " + ".join(terms), "source": source}


def main():
    vectors = [
        vector(*key, tier, steps, call)
        for key, tiers in PRICES.items()
        for tier, steps in tiers.items()
        for call in calls(key[1], steps[0][1])
    ]
    print("[\n" + ",\n".join(json.dumps(found) for found in vectors) + "\n]")


if __name__ == "__main__":
    main()
