//! What calls cost: vectors that `tests/data/llm/prices/vectors.py` works out with fractions, and each rule by name.

use causeway::llm::dialect::Dialect;
use causeway::llm::price::{Nanos, Price, PriceBook, Prices, Rate, ServiceTier, Step, cost};
use causeway::llm::usage::Usage;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::json;

const STANDARD: ServiceTier = ServiceTier::Standard;

/// So many dollars for a million tokens.
fn rate(dollars: u64) -> Rate {
    Rate(dollars * 1_000_000)
}

fn sonnet() -> Price {
    Price {
        standard: vec![Step {
            input: Some(rate(3)),
            cached: Some(Rate(300_000)),
            cache_write: Some(Rate(3_750_000)),
            cache_write_hour: Some(rate(6)),
            output: Some(rate(15)),
            ..Step::default()
        }],
        ..Price::default()
    }
}

fn book(own: &str) -> PriceBook {
    let file = format!(
        r#"{{"date": "2026-01-01", "unit": "pico-dollars", "providers": {{"openai": {own}}}}}"#
    );
    PriceBook::with(Prices::from_json(&file).expect("own prices"))
}

fn input_rate(book: &PriceBook, provider: &str, model: &str) -> Option<u64> {
    let price = book.price(provider, model, STANDARD)?;
    Some(price.standard.first()?.input?.0)
}

#[test]
fn vectors_cost_what_fractions_say() {
    let vectors = json("prices/vectors.json");
    let vectors = vectors.as_array().expect("vectors");
    assert!(vectors.len() >= 100);
    let book = PriceBook::default();
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().expect("text");
        let tier = serde_json::from_value(vector["tier"].clone()).expect("tier");
        let price = book.price(text("provider"), text("model"), tier);
        let price = price.expect("a price");
        let usage = usage(&vector["usage"]);
        let nanos = vector["nanos"].as_u64().expect("nanos");
        assert_eq!(cost(&price, &usage, tier), Nanos(nanos), "{vector}");
        let searches_known = price.search.is_some() || usage.searches == 0;
        assert_eq!(price.covers(&usage, tier), searches_known, "{vector}");
    }
}

fn usage(value: &Value) -> Usage {
    let count = |name: &str| value[name].as_u64().unwrap_or(0);
    Usage {
        input: count("input"),
        cached: count("cached"),
        cache_write: count("cache_write"),
        cache_write_hour: count("cache_write_hour"),
        input_audio: count("input_audio"),
        output: count("output"),
        reasoning: count("reasoning"),
        output_audio: count("output_audio"),
        predicted: count("predicted"),
        searches: count("searches"),
        fast: value["fast"] == true,
        in_us: value["in_us"] == true,
    }
}

#[test]
fn the_table_is_small_dated_and_without_free_models() {
    let prices = Prices::built_in();
    assert!(include_str!("../../src/llm/price/prices.json").len() < 250_000);
    assert_eq!(prices.date.len(), "2026-11-26".len());
    assert!(
        prices
            .source
            .as_deref()
            .is_some_and(|source| source.contains("MIT licence"))
    );
    let mut count = 0;
    for (provider, model, price) in prices.all() {
        let known = price.standard.iter().any(|step| {
            let rates = [step.input, step.output];
            rates.into_iter().flatten().any(|rate| rate > Rate(0))
        });
        assert!(known || price.search.is_some(), "{provider} {model}");
        count += 1;
    }
    assert!(count > 1_000, "{count}");
}

// BerriAI/litellm#28009: what came from a cache was charged like everything else.
// theopenco/llmgateway#1857: what came from a cache was added to a prompt that holds it already.
#[test]
fn cached_tokens_are_counted_once() {
    // 1,000 tokens, 900 of them cached: 100 x $3 + 900 x $0.30 for a million.
    let usage = Usage {
        input: 1_000,
        cached: 900,
        ..Usage::default()
    };
    assert_eq!(cost(&sonnet(), &usage, STANDARD), Nanos(300_000 + 270_000));
    let all = Usage {
        cached: 1_000,
        ..usage
    };
    assert_eq!(cost(&sonnet(), &all, STANDARD), Nanos(300_000));
}

#[test]
fn cache_writes_have_their_own_rates_by_how_long_they_last() {
    let usage = Usage {
        input: 1_000,
        cache_write: 400,
        cache_write_hour: 600,
        ..Usage::default()
    };
    // 400 x $3.75 + 600 x $6
    assert_eq!(
        cost(&sonnet(), &usage, STANDARD),
        Nanos(1_500_000 + 3_600_000)
    );
    let mut plain = sonnet();
    plain.standard[0].cache_write_hour = None;
    assert_eq!(cost(&plain, &usage, STANDARD), Nanos(3_750_000));
    plain.standard[0].cache_write = None;
    assert_eq!(cost(&plain, &usage, STANDARD), Nanos(3_000_000));
}

#[test]
fn what_was_answered_fast_has_a_price_only_where_it_is_known() {
    let usage = Usage {
        input: 1_000,
        searches: 1,
        fast: true,
        ..Usage::default()
    };
    let mut price = sonnet();
    price.search = Some(Rate(10_000_000_000));
    assert!(!price.covers(&usage, STANDARD));
    price.fast_percent = Some(250);
    assert!(price.covers(&usage, STANDARD));
    // Searches cost the same.
    let fast = Nanos(7_500_000 + 10_000_000);
    assert_eq!(cost(&price, &usage, STANDARD), fast);
    price.us_percent = Some(110);
    assert_eq!(cost(&price, &usage, STANDARD), fast);
    let both = Usage {
        in_us: true,
        ..usage
    };
    assert_eq!(cost(&price, &both, STANDARD), Nanos(8_250_000 + 10_000_000));
}

#[test]
fn anthropic_tells_how_fast_and_where_it_answered() {
    let said =
        json!({"input_tokens": 3, "output_tokens": 5, "speed": "fast", "inference_geo": "us"});
    let usage = Dialect::Anthropic.decode_usage(said).expect("usage");
    assert!(usage.fast && usage.in_us);
    let said = json!({"input_tokens": 3, "output_tokens": 5, "speed": "standard", "inference_geo": "global"});
    let usage = Dialect::Anthropic.decode_usage(said).expect("usage");
    assert!(!usage.fast && !usage.in_us);
}

#[test]
fn reasoning_without_a_rate_is_part_of_the_output() {
    let usage = Usage {
        output: 1_000,
        reasoning: 800,
        ..Usage::default()
    };
    let mut price = sonnet();
    assert_eq!(cost(&price, &usage, STANDARD), Nanos(15_000_000));
    price.standard[0].reasoning = Some(rate(40));
    assert_eq!(
        cost(&price, &usage, STANDARD),
        Nanos(200 * 15_000 + 800 * 40_000)
    );
}

#[test]
fn a_long_prompt_has_the_dearer_rates_for_all_its_tokens() {
    let mut price = sonnet();
    let long = Step {
        above: 200_000,
        input: Some(rate(6)),
        output: Some(rate(20)),
        ..Step::default()
    };
    price.standard.push(long);
    let of = |input| {
        let usage = Usage {
            input,
            output: 10,
            ..Usage::default()
        };
        cost(&price, &usage, STANDARD)
    };
    assert_eq!(of(200_000), Nanos(200_000 * 3_000 + 10 * 15_000));
    assert_eq!(of(200_001), Nanos(200_001 * 6_000 + 10 * 20_000));
}

#[test]
fn halves_are_rounded_up_once_for_the_whole_call() {
    let price = |picos| Price {
        standard: vec![Step {
            input: Some(Rate(picos)),
            output: Some(Rate(picos)),
            ..Step::default()
        }],
        ..Price::default()
    };
    let of = |picos, input, output| {
        let usage = Usage {
            input,
            output,
            ..Usage::default()
        };
        cost(&price(picos), &usage, STANDARD)
    };
    assert_eq!(of(499, 1, 0), Nanos(0));
    assert_eq!(of(500, 1, 0), Nanos(1));
    // 0.4 + 0.4 nano-dollars are 0.8: each for itself would be nothing.
    assert_eq!(of(400, 1, 1), Nanos(1));
    // 0.5 + 0.5 are 1: each for itself would be 2.
    assert_eq!(of(500, 1, 1), Nanos(1));
    assert_eq!(of(1_499, 1, 0), Nanos(1));
}

#[test]
fn what_no_number_holds_is_the_largest_number() {
    let most = Some(Rate(u64::MAX));
    let price = Price {
        standard: vec![Step {
            input: most,
            output: most,
            ..Step::default()
        }],
        search: most,
        ..Price::default()
    };
    let usage = Usage {
        input: u64::MAX,
        output: u64::MAX,
        searches: u64::MAX,
        ..Usage::default()
    };
    assert_eq!(cost(&price, &usage, STANDARD), Nanos(u64::MAX));
}

#[test]
fn sound_is_charged_once_whether_cached_or_not() {
    let mut price = sonnet();
    price.standard[0].input_audio = Some(rate(10));
    price.standard[0].cached_audio = Some(rate(1));
    price.standard[0].output_audio = Some(rate(20));
    let usage = Usage {
        input: 100,
        input_audio: 60,
        cached: 50,
        output: 10,
        output_audio: 10,
        ..Usage::default()
    };
    // 50 fresh ones are all sound, 10 of the 50 cached ones are, too.
    let nanos = 50 * 10_000 + 10 * 1_000 + 40 * 300 + 10 * 20_000;
    assert_eq!(cost(&price, &usage, STANDARD), Nanos(nanos));
}

#[test]
fn a_fee_for_a_prompt_is_charged_once() {
    let mut price = sonnet();
    price.search = Some(Rate(10_000_000_000));
    let usage = Usage {
        searches: 3,
        ..Usage::default()
    };
    assert_eq!(cost(&price, &usage, STANDARD), Nanos(30_000_000));
    price.search_once = true;
    assert_eq!(cost(&price, &usage, STANDARD), Nanos(10_000_000));
    assert_eq!(cost(&price, &Usage::default(), STANDARD), Nanos(0));
}

#[test]
fn an_unknown_price_is_none_and_never_zero() {
    let book = PriceBook::default();
    for (provider, model) in [
        ("openai", "gpt-of-nobody"),
        ("ollama", "llama3"),
        ("openai", ""),
        ("nobody", "gpt-5"),
    ] {
        assert_eq!(
            book.price(provider, model, STANDARD),
            None,
            "{provider} {model}"
        );
    }
    assert!(
        book.price("gemini", "gemini-2.5-pro", ServiceTier::Batch)
            .is_some()
    );
    assert!(
        book.price("dashscope-intl", "qwen3-max", ServiceTier::Priority)
            .is_none()
    );
    let searched = Usage {
        searches: 1,
        ..Usage::default()
    };
    assert!(!sonnet().covers(&searched, STANDARD));
    let written = Usage {
        output: 1,
        ..Usage::default()
    };
    let embedding = book.price("openai", "text-embedding-3-small", STANDARD);
    assert!(!embedding.unwrap().covers(&written, STANDARD));
    // Where only searches are sold, they pay for the tokens of what is ranked, too.
    let ranking = book.price("cohere", "rerank-v3.5", STANDARD).unwrap();
    for (searches, covered) in [(1, true), (0, false)] {
        let usage = Usage {
            input: 100,
            searches,
            ..Usage::default()
        };
        assert_eq!(ranking.covers(&usage, STANDARD), covered);
    }
}

#[test]
fn names_are_found_with_prefixes_and_dates() {
    let book = PriceBook::default();
    let same = [
        (
            "openai",
            "gpt-5",
            vec!["openai/gpt-5", "gpt-5-2025-08-07", "GPT-5", "gpt-5-latest"],
        ),
        ("gemini", "gemini-2.5-pro", vec!["models/gemini-2.5-pro"]),
        (
            "vertex",
            "claude-sonnet-4-6",
            vec![
                "publishers/anthropic/models/claude-sonnet-4-6",
                "claude-sonnet-4-6@20260210",
            ],
        ),
        (
            "fireworks",
            "deepseek-v3p2",
            vec!["accounts/fireworks/models/deepseek-v3p2"],
        ),
        (
            "bedrock",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            vec![
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            ],
        ),
        (
            "groq",
            "openai/gpt-oss-120b",
            vec!["groq/openai/gpt-oss-120b"],
        ),
    ];
    for (provider, name, others) in same {
        let known = input_rate(&book, provider, name);
        assert!(known.is_some(), "{provider} {name}");
        for other in others {
            assert_eq!(
                input_rate(&book, provider, other),
                known,
                "{provider} {other}"
            );
        }
    }
}

#[test]
fn a_region_with_its_own_price_keeps_it() {
    let book = PriceBook::default();
    let name = "anthropic.claude-sonnet-4-5-20250929-v1:0";
    let base = input_rate(&book, "bedrock", name).expect("base");
    let us = input_rate(&book, "bedrock", &format!("us.{name}")).expect("us");
    assert_eq!((base, us), (3_000_000, 3_300_000));
    // No region: another model's maker, as far as the table knows.
    let other = format!("elsewhere.{name}");
    assert_eq!(input_rate(&book, "bedrock", &other), None);
    let own = r#"{"date": "2026-01-01", "unit": "pico-dollars", "providers": {"bedrock": {
        "maker.m": {"standard": [{"input": 5, "output": 5}]}, "m": {"standard": [{"input": 6, "output": 6}]}}}}"#;
    let own = PriceBook::with(Prices::from_json(own).expect("own"));
    assert_eq!(input_rate(&own, "bedrock", "apac.maker.m"), Some(5));
    assert_eq!(input_rate(&own, "bedrock", "eu.m"), None);
    assert_eq!(input_rate(&own, "openai", "us.maker.m"), None);
}

#[test]
fn the_exact_name_comes_before_a_shorter_one() {
    let own = book(
        r#"{"m": {"standard": [{"input": 1, "output": 1}]},
            "m-2025-01-02": {"standard": [{"input": 2, "output": 2}]}}"#,
    );
    assert_eq!(input_rate(&own, "openai", "m-2025-01-02"), Some(2));
    assert_eq!(input_rate(&own, "openai", "m-2026-01-02"), Some(1));
    assert_eq!(input_rate(&own, "openai", "m-20260102"), Some(1));
    assert_eq!(input_rate(&own, "openai", "m-260102"), Some(1));
    // No dates: a thirteenth month, a version.
    assert_eq!(input_rate(&own, "openai", "m-2026-13-02"), None);
    assert_eq!(input_rate(&own, "openai", "m-1234"), None);
    assert_eq!(input_rate(&own, "openai", "m2026-01-02"), None);
}

#[test]
fn a_tuned_model_is_not_the_one_it_was_made_of() {
    let own = book(
        r#"{"m": {"standard": [{"input": 1, "output": 1}]},
            "ft:n": {"standard": [{"input": 9, "output": 9}]}}"#,
    );
    assert_eq!(input_rate(&own, "openai", "ft:m:acme::abc"), None);
    assert_eq!(
        input_rate(&own, "openai", "ft:n-2025-08-07:acme::abc"),
        Some(9)
    );
}

#[test]
fn an_own_price_wins_whole() {
    let own = book(r#"{"gpt-5": {"standard": [{"input": 7, "output": 8}]}}"#);
    assert_eq!(input_rate(&own, "openai", "gpt-5"), Some(7));
    assert_eq!(
        input_rate(&own, "openai", "openai/gpt-5-2025-08-07"),
        Some(7)
    );
    assert_eq!(own.price("openai", "gpt-5", ServiceTier::Flex), None);
    assert!(own.price("openai", "gpt-4o", STANDARD).is_some());
}

#[test]
fn a_table_that_is_wrong_is_refused() {
    let refused = |own: &str| {
        let file = format!(
            r#"{{"date": "2026-01-01", "unit": "pico-dollars", "providers": {{"p": {{"m": {own}}}}}}}"#
        );
        Prices::from_json(&file).expect_err(own).to_string()
    };
    assert!(refused("{}").contains("`m` at `p` has no rates"));
    assert!(refused(r#"{"standard": [{"above": 5, "input": 1}]}"#).contains("first token"));
    assert!(
        refused(
            r#"{"standard": [{"input": 1}, {"above": 9, "input": 1}, {"above": 9, "input": 1}]}"#
        )
        .contains("out of order")
    );
    assert!(refused(r#"{"standard": [{"output": 1}]}"#).contains("without `input`"));
    assert!(refused(r#"{"standard": [{"input": 1, "inptu": 1}]}"#).contains("inptu"));
    assert!(refused(r#"{"standard": [{"input": 0.5}]}"#).contains("cannot be read"));
    assert!(Prices::from_json(r#"{"date": "x", "unit": "dollars", "providers": {}}"#).is_err());
}

#[test]
fn a_table_is_written_as_it_is_read() {
    let text = serde_json::to_string(Prices::built_in()).expect("written");
    assert_eq!(&Prices::from_json(&text).expect("read"), Prices::built_in());
}

fn any_usage() -> impl Strategy<Value = Usage> {
    proptest::array::uniform10(any::<u64>()).prop_map(|n| Usage {
        input: n[0],
        cached: n[1],
        cache_write: n[2],
        cache_write_hour: n[3],
        input_audio: n[4],
        output: n[5],
        reasoning: n[6],
        output_audio: n[7],
        predicted: n[8],
        searches: n[9],
        fast: n[0].is_multiple_of(2),
        in_us: n[1].is_multiple_of(2),
    })
}

proptest! {
    /// Nothing overflows, however absurd a provider's numbers are, and more of everything never costs less.
    #[test]
    fn any_usage_has_a_cost(usage in any_usage(), more in 0_u64..1_000) {
        let price = sonnet();
        let one = cost(&price, &usage, STANDARD);
        let output = usage.output.saturating_add(more);
        let two = cost(&price, &Usage { output, ..usage }, STANDARD);
        prop_assert!(two >= one);
    }

    #[test]
    fn any_name_is_looked_up(provider in ".*", model in ".*") {
        let book = PriceBook::default();
        let _ = book.price(&provider, &model, STANDARD);
        let _ = book.price("bedrock", &model, STANDARD);
    }
}
