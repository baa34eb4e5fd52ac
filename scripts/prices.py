#!/usr/bin/env python3
"""Makes src/llm/price/prices.json, what models cost, from the price table in LiteLLM's wheel (MIT licence).

    pip download --no-deps litellm==1.110.2
    scripts/prices.py litellm-1.110.2-*.whl 2026-11-26 src/llm/price/prices.json

The date is the day the wheel was fetched; models whose provider has ended them by then are left out. What is
kept: chat, responses, embedding and rerank models of the providers of src/llm/provider/*.toml, by provider and
by the name its API takes. All numbers are whole pico-dollars (10^-12 dollars) for one token or one search: no
published price needs a smaller part. A row with a number that is no whole pico-dollar (converted from another
currency, or spoiled by floating point) is left out whole; so is one with a fee that is not for tokens or
searches, and one where everything is free, for that is how the table writes what it does not know. What was
left out and why is counted on standard error.

Rules, where the table is silent about a tier that it has an input rate for:
  * a cache write in a batch, flex or priority tier or above a length costs as many times the input as at the
    standard rate, where the table says how many times that is (Anthropic: "these multipliers stack");
  * sound costs what it does at the standard rate;
  * other kinds of tokens cost what the tier's input or output costs.
Where a tier has no rate of its own above a length, the dearer of the standard one there and its own below
counts. A cache write rate of zero means that writing costs nothing on top, so it is left out and the input rate
counts. Searches have one price: that of the size a provider searches with when it is not told (Perplexity: low,
others: medium). What Anthropic's tokens cost at its speed "fast" and for inference in the US is so many hundredths
of the usual price. Perplexity's fee is for a request and that of older Gemini models, where the table does not say
"per query", for a prompt, however often it searched: `search_once`. Off-peak discounts, free allowances and
other surcharges for regional processing are not known to the program.

Dated names that cost what the undated name does are left out; where there is no undated name and all dated ones
agree, they become one. The program finds them by cutting the date off.
"""

import json
import re
import sys
import zipfile
from collections import Counter, defaultdict
from decimal import Decimal

TABLE = "litellm/model_prices_and_context_window_backup.json"
PICO = Decimal(10) ** 12

# Ours -> theirs, and the prefixes they write before the name the API takes.
PROVIDERS = {
    "openai": (["openai"], ["openai/"]),
    "azure": (["azure", "azure_ai"], ["azure/", "azure_ai/"]),
    "anthropic": (["anthropic"], ["anthropic/"]),
    "gemini": (["gemini"], ["gemini/"]),
    "vertex": (["vertex_ai"], ["vertex_ai/"]),
    "bedrock": (["bedrock", "bedrock_converse"], ["bedrock/"]),
    "cohere": (["cohere", "cohere_chat"], ["cohere/"]),
    "mistral": (["mistral"], ["mistral/"]),
    "deepseek": (["deepseek"], ["deepseek/"]),
    "dashscope-intl": (["dashscope"], ["dashscope/"]),
    "moonshot": (["moonshot"], ["moonshot/"]),
    "zai": (["zai"], ["zai/"]),
    "volcengine": (["volcengine"], ["volcengine/"]),
    "minimax": (["minimax"], ["minimax/"]),
    "xai": (["xai"], ["xai/"]),
    "groq": (["groq"], ["groq/"]),
    "together": (["together_ai"], ["together_ai/"]),
    "fireworks": (["fireworks_ai"], ["fireworks_ai/", "accounts/fireworks/models/"]),
    "perplexity": (["perplexity"], ["perplexity/"]),
    "cloudflare": (["cloudflare"], ["cloudflare/"]),
}
# A search where the table does not say it of a model: https://platform.claude.com/docs/en/about-claude/pricing
SEARCH = {"anthropic": "0.01"}
# Fees that the program cannot charge.
FEES = ["input_cost_per_request", "citation_cost_per_token", "input_cost_per_second", "output_cost_per_second"]
MODES = {"chat", "responses", "embedding", "rerank"}
RATES = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cached",
    "cache_read_input_audio_token_cost": "cached_audio",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_hour",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "output_cost_per_audio_token": "output_audio",
}
ORDER = ["above", *RATES.values()]
TIERS = {"": "standard", "_batches": "batch", "_flex": "flex", "_priority": "priority"}
KEY = re.compile(
    f"({'|'.join(sorted(RATES, key=len, reverse=True))})(?:_above_([0-9]+)k_tokens)?({'|'.join(TIERS)})"
)
DATE = re.compile(r"[-@](20[0-9]{2}-?[01][0-9]-?[0-3][0-9]|2[0-9][01][0-9][0-3][0-9])$")


class Inexact(Exception):
    pass


def pico(number):
    value = Decimal(number) * PICO
    if value != int(value):
        raise Inexact
    return int(value)


def owner(row):
    """Our name of the provider, and which of their names of it, in order of trust."""
    theirs = row.get("litellm_provider") or ""
    if theirs.startswith("vertex_ai-"):
        theirs = "vertex_ai"
    for ours, (names, _) in PROVIDERS.items():
        if theirs in names:
            return ours, names.index(theirs)
    return None


def api_name(provider, name):
    for prefix in PROVIDERS[provider][1]:
        name = name.removeprefix(prefix)
    return name


def published(row):
    """{(tier, above): {rate: pico-dollars}}, as the table has it."""
    layers = defaultdict(dict)
    for step in row.get("tiered_pricing", []):
        above = int(step["range"][0])
        for key, rate in RATES.items():
            if step.get(key) is not None:
                layers["standard", above][rate] = pico(step[key])
    for key, number in row.items():
        match = KEY.fullmatch(key)
        if match and isinstance(number, (int, Decimal)):
            base, thousands, tier = match.groups()
            # Where a price has steps, they say what the first is, too.
            layers[TIERS[tier], int(thousands or 0) * 1000].setdefault(RATES[base], pico(number))
    standard = layers["standard", 0]
    if "cached" not in standard and row.get("input_cost_per_token_cache_hit"):
        standard["cached"] = pico(row["input_cost_per_token_cache_hit"])
    for rates in layers.values():
        for rate in ("cache_write", "cache_write_hour"):
            if rates.get(rate) == 0:
                del rates[rate]
    return layers


def filled(rates, standard):
    """The rates of a tier or step, with what follows from the standard ones."""
    rates = dict(rates)
    if "input" not in rates:
        return {**standard, **rates}
    for rate in ("cache_write", "cache_write_hour"):
        if rate not in rates and rate in standard and standard["input"]:
            number, rest = divmod(standard[rate] * rates["input"], standard["input"])
            if rest:
                raise Inexact
            rates[rate] = number
    for rate, whole in (("input_audio", "input"), ("output_audio", "output")):
        if rate not in rates and rate in standard:
            rates[rate] = max(standard[rate], rates.get(whole, 0))
    return rates


def plain(rates):
    """Without what the program takes for granted."""
    if rates.get("reasoning") == rates.get("output"):
        rates.pop("reasoning", None)
    return {rate: rates[rate] for rate in ORDER if rate in rates}


def schedules(layers):
    standard = layers["standard", 0]
    lengths = sorted({above for tier, above in layers if tier == "standard" and above})
    tables = {}
    for tier in TIERS.values():
        first = layers.get((tier, 0))
        if not first or "input" not in first and "input" in standard:
            continue
        base = filled(first, standard)
        steps = [plain(dict(base))]
        for above in lengths:
            dear = filled(layers["standard", above], standard)
            if tier != "standard":
                own = layers.get((tier, above), {})
                if "input" in own:
                    dear = filled(own, dear)
                else:
                    dear = {rate: max(dear.get(rate, 0), base.get(rate, 0)) for rate in dear | base}
            steps.append(plain({"above": above, **dear}))
        tables[tier] = steps
    return tables


def price(provider, model, row):
    """One model's price, or None where nothing is known of it."""
    tables = schedules(published(row))
    standard = tables.get("standard", [{}])
    found = dict(tables)
    # The table writes 0 for kinds of tokens that a model has none of.
    if row["mode"] in ("embedding", "rerank"):
        for steps in found.values():
            for step in steps:
                if step.get("output") == 0:
                    del step["output"]
    if row["mode"] == "rerank":
        search = row.get("input_cost_per_query")
    else:
        sizes = row.get("search_context_cost_per_query") or {}
        size = "search_context_size_" + ("low" if provider == "perplexity" else "medium")
        search = sizes.get(size) or SEARCH.get(provider)
    if search:
        found["search"] = pico(search)
        if provider == "perplexity" or "gemini" in model and row.get("web_search_billing_unit") != "per_query":
            found["search_once"] = True
    if provider == "anthropic":
        terms = row.get("provider_specific_entry") or {}
        for term in ("fast", "us"):
            if term in terms:
                found[f"{term}_percent"] = int(Decimal(terms[term]) * 100)
    for rate, key in (("image_input", "input_cost_per_image"), ("image_output", "output_cost_per_image")):
        if row.get(key):
            found[rate] = pico(row[key])
    if row["mode"] == "rerank" and not standard[0].get("input"):
        found.pop("standard", None)
        return found if search else None
    if not standard[0].get("input") and not standard[0].get("output"):
        return None
    if row["mode"] in ("chat", "responses") and not {"input", "output"} <= standard[0].keys():
        return None
    return found


def undated(models):
    """Dated names only where they cost otherwise."""
    stems = defaultdict(dict)
    for name, found in models.items():
        stem = DATE.sub("", name)
        if stem != name:
            stems[stem][name] = found
    for stem, dated in stems.items():
        first = next(iter(dated.values()))
        if stem not in models and all(found == first for found in dated.values()):
            models[stem] = first
        for name, found in dated.items():
            if models.get(stem) == found:
                del models[name]
    return models


def rows(table):
    """(provider, name, row) of what we want, the more trusted first."""
    found = []
    for name, row in table.items():
        if "alias_of" in row:
            row = {**table[row["alias_of"]], "deprecation_date": ""}
        whose = owner(row)
        if whose and row.get("mode") in MODES:
            found.append((whose[1], whose[0], name, row))
    found.sort(key=lambda item: item[0])
    return [item[1:] for item in found]


def collect(table, date, left_out):
    providers = defaultdict(dict)
    for provider, name, row in rows(table):
        model = api_name(provider, name)
        if provider == "bedrock" and "/" in model or re.match(r"(fireworks|together)-ai-", model):
            left_out["per region or size"] += 1
            continue
        if "" < (row.get("deprecation_date") or "") < date:
            left_out["ended"] += 1
            continue
        if any(row.get(fee) for fee in FEES):
            left_out["other fees"] += 1
            continue
        try:
            found = price(provider, model, row)
        except Inexact:
            left_out["no whole pico-dollars"] += 1
            print("not exact:", name, file=sys.stderr)
            continue
        if found is None:
            left_out["unknown"] += 1
        elif providers[provider].setdefault(model, found) != found:
            left_out["second price of a name"] += 1
            print("second price:", name, file=sys.stderr)
    return {provider: undated(providers[provider]) for provider in PROVIDERS}


def write(path, date, wheel, providers):
    """One model a line, so that a change of a price is a change of a line."""
    source = f"model_prices_and_context_window_backup.json of {wheel}, Copyright (c) 2023 Berri AI, MIT licence"
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    blocks = []
    for provider, models in providers.items():
        lines = [json.dumps(name) + ":" + json.dumps(models[name], **compact) for name in sorted(models)]
        blocks.append(json.dumps(provider) + ":{\n" + ",\n".join(lines) + "}")
    head = f'{{"date":{json.dumps(date)},"source":{json.dumps(source)},"unit":"pico-dollars","providers":{{\n'
    with open(path, "w") as out:
        out.write(head + ",\n".join(blocks) + "}}\n")


def main(wheel, date, path):
    with zipfile.ZipFile(wheel) as archive:
        table = json.loads(archive.read(TABLE), parse_float=Decimal)
    del table["sample_spec"]
    left_out = Counter()
    providers = collect(table, date, left_out)
    write(path, date, wheel.split("/")[-1].split("-cp")[0], providers)
    print({provider: len(models) for provider, models in providers.items()}, dict(left_out), file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
