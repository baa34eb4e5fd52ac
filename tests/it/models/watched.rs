//! What those who watch a process see of requests for models: measures, spans, request ids, and bodies where somebody
//! wants them.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::models::upstream::{GOOD, REQUEST};
use crate::models::{Set, to};
use crate::watching::scrape;
use crate::watching::spans::{PARENT, TRACE, attributes, collector, collector_at, spans};

const ASKED: &str = "words-nobody-repeats";

impl Set {
    /// A request that belongs to a sampled trace, and says some words.
    async fn ask_of(&self, model: &str, stream: bool) -> reqwest::Response {
        let url = format!("{}/v1/chat/completions", self.site.served.origin);
        let message = json!({ "role": "user", "content": format!("{ASKED} api_key sk-0123456789abcdefghij EMP-4711") });
        let body = json!({ "model": model, "stream": stream, "messages": [message], "password": "hush-hush" });
        let request = self.site.client.post(url).bearer_auth(&self.caller);
        let request = request.header("traceparent", format!("00-{TRACE}-{PARENT}-01"));
        request.body(body.to_string()).send().await.unwrap()
    }
}

fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|it| it == *line),
            "{line} is not in {text}"
        );
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn requests_for_models_are_counted_and_told_as_spans() {
    let (endpoint, mut taken) = collector().await;
    let settings = [("CAUSEWAY__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str())];
    let set = Set::start_with(&settings).await;
    set.model("m", to(&["broken", "gpt-4o-mini"])).await;
    let answer = set.ask_of("m", false).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-causeway-provider-request-id"], REQUEST);
    assert_ne!(answer.headers()["x-request-id"], REQUEST);
    answer.text().await.unwrap();
    let answer = set.ask_of("fake/ok", true).await;
    assert_eq!(answer.headers()["x-causeway-provider-request-id"], REQUEST);
    answer.text().await.unwrap();
    let answer = set.ask_of("fake/broken", false).await;
    assert_eq!(answer.headers()["x-causeway-provider-request-id"], REQUEST);
    assert!(answer.status().is_server_error());
    set.ask_of("nothing-like-it", false).await;
    set.rows(4).await;
    let text = scrape(&set.site.served).await;
    let of_m = r#"{model="m",provider="fake",operation="chat""#;
    has(
        &text,
        &[
            &format!(r#"causeway_model_requests_total{of_m},status="ok"}} 1"#),
            &format!(r#"causeway_model_tokens_total{of_m},kind="input"}} 1000"#),
            &format!(r#"causeway_model_tokens_total{of_m},kind="output"}} 500"#),
            &format!("causeway_model_cost_dollars_total{of_m}}} 0.00045"),
            &format!("causeway_model_fallbacks_total{of_m}}} 1"),
            &format!("causeway_model_retries_total{of_m}}} 0"),
            r#"causeway_model_streams{model="fake/ok",provider="fake",operation="chat"} 0"#,
            r#"causeway_model_requests_total{model="other",provider="none",operation="chat",status="refused"} 1"#,
            r#"causeway_model_requests_total{model="other",provider="none",operation="chat",status="tool_error"} 1"#,
            r#"causeway_provider_key_paused{provider="fake",key="main"} 0"#,
            r#"causeway_consumer_model_requests_total{consumer="app",status="ok"} 2"#,
            r#"gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="m",causeway_provider="fake",gen_ai_token_type="input"} 1000"#,
            r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="m",causeway_provider="fake"} 1"#,
            r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="other",gen_ai_request_model="other",causeway_provider="none",error_type="tool_error"} 1"#,
            r#"gen_ai_server_time_to_first_token_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="fake/ok",causeway_provider="fake"} 1"#,
        ],
    );
    let attempts = |outcome: &str| {
        let start =
            format!(r#"causeway_model_attempts_total{{provider="fake",outcome="{outcome}"}} "#);
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |count| count.parse::<u32>().unwrap())
    };
    assert_eq!(attempts("ok"), 2, "{text}");
    assert!(attempts("upstream") >= 2, "{text}");
    assert!(!text.contains("nothing-like-it"), "{text}");

    set.site.served.terminate();
    let Set { site, caller, .. } = set;
    site.served.ended().await;
    let mut told = Vec::new();
    let mut whole = String::new();
    while let Ok((_, body)) = taken.try_recv() {
        whole.push_str(&body.to_string());
        told.extend(spans(&body));
    }
    let named = |name: &str| -> Value {
        let mut found = told.iter().filter(|span| span["name"] == name);
        let found = found
            .next()
            .unwrap_or_else(|| unreachable!("no {name} in {told:?}"));
        found.clone()
    };
    let root = named("chat m");
    assert_eq!(
        (&root["traceId"], &root["parentSpanId"]),
        (&json!(TRACE), &json!(PARENT))
    );
    let said = attributes(&root);
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "m"),
        ("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
        ("gen_ai.usage.input_tokens", "1000"),
        ("gen_ai.usage.output_tokens", "500"),
        ("gen_ai.response.finish_reasons", "stop"),
        ("server.address", "127.0.0.1"),
        ("causeway.provider", "fake"),
        ("causeway.provider.request_id", REQUEST),
    ] {
        assert_eq!(
            said.get(name).map(String::as_str),
            Some(value),
            "{name}: {said:?}"
        );
    }
    assert!(!said.contains_key("error.type"), "{said:?}");
    let streamed = attributes(&named("chat fake/ok"));
    assert_eq!(streamed["gen_ai.response.model"], "ok-1", "{streamed:?}");
    let attempts = told
        .iter()
        .filter(|span| span["parentSpanId"] == root["spanId"]);
    let attempts: Vec<HashMap<String, String>> = attempts.map(attributes).collect();
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    for (attempt, [model, status, error]) in attempts
        .iter()
        .zip([["broken", "500", "upstream"], ["gpt-4o-mini", "200", ""]])
    {
        assert_eq!(attempt["gen_ai.request.model"], model);
        assert_eq!(attempt["http.response.status_code"], status);
        let said = attempt.get("error.type").map_or("", String::as_str);
        assert_eq!(said, error);
    }
    let streamed = attributes(&named("chat fake/ok"));
    assert_eq!(streamed["gen_ai.response.finish_reasons"], "stop");
    let failed = attributes(&named("chat fake/broken"));
    assert_eq!(failed["error.type"], "upstream");
    assert!(!failed.contains_key("gen_ai.response.model"), "{failed:?}");
    for word in [ASKED, GOOD, &caller, "hello", "hush-hush", "/v1/chat"] {
        assert!(!whole.contains(word), "{word} is in {whole}");
    }
}

#[tokio::test]
async fn bodies_are_logged_where_somebody_wants_it_and_no_secret_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("causeway.toml");
    let text = "[telemetry]\nhidden_patterns = ['EMP-\\d+']\n";
    std::fs::write(&config, text).unwrap();
    let config = config.display().to_string();
    let set = Set::start_with(&[("CAUSEWAY_CONFIG", &config)]).await;
    set.model("quiet", to(&["ok"])).await;
    let mut settings = to(&["broken", "ok"]);
    settings["logBodies"] = json!(true);
    set.model("loud", settings.clone()).await;
    let kept = set.site.get("models/loud").await;
    assert_eq!(kept["logBodies"], true);
    settings["targets"] = json!([{ "provider": "fake", "model": "echo" }]);
    set.model("echo", settings).await;
    set.ask_of("quiet", false).await.text().await.unwrap();
    set.ask_of("quiet", true).await.text().await.unwrap();
    set.ask_of("fake/ok", false).await.text().await.unwrap();
    set.rows(3).await;
    set.ask_of("loud", false).await.text().await.unwrap();
    set.ask_of("loud", true).await.text().await.unwrap();
    set.ask_of("echo", false).await.text().await.unwrap();
    set.rows(6).await;
    let Set { site, caller, .. } = set;
    site.served.terminate();
    let (_, log) = site.served.ended().await;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(ASKED)).collect();
    // Once for each request of the two models, and nowhere else.
    assert_eq!(lines.len(), 3, "{log}");
    for line in &lines {
        assert!(line.contains("bodies of a request for"), "{line}");
        assert!(line.contains(TRACE), "{line}");
        assert!(line.contains("[masked]"), "{line}");
    }
    assert!(lines[0].contains("hello"), "{log}");
    assert!(lines[1].contains("piece 0"), "{log}");
    for secret in [GOOD, &caller, "hush-hush", "sk-0123", "EMP-4711"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}

#[tokio::test]
async fn a_collector_is_told_measures_by_the_names_of_opentelemetry() {
    let (endpoint, mut taken) = collector_at("/v1/metrics").await;
    let settings = [
        ("CAUSEWAY__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
        ("CAUSEWAY__TELEMETRY__OTLP_METRICS_EVERY_S", "1"),
    ];
    let set = Set::start_with(&settings).await;
    set.model("m", to(&["counted"])).await;
    let answer = set.ask_of("m", true).await;
    answer.text().await.unwrap();
    let answer = set.ask_of("fake/broken", false).await;
    answer.text().await.unwrap();
    set.rows(2).await;
    // What is sent counts from the beginning, so that the last time tells everything.
    set.site.served.terminate();
    let Set { site, .. } = set;
    site.served.ended().await;
    let mut last = None;
    while let Ok((_, body)) = taken.try_recv() {
        last = Some(body);
    }
    let last = last.unwrap();
    let told = &last["resourceMetrics"][0];
    let resource = attributes(&told["resource"]);
    assert_eq!(resource["service.name"], "causeway");
    let told = told["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let mut read = Vec::new();
    for measure in told {
        let histogram = &measure["histogram"];
        assert_eq!(histogram["aggregationTemporality"], 2);
        for point in histogram["dataPoints"].as_array().unwrap() {
            let buckets = point["bucketCounts"].as_array().unwrap();
            let bounds = point["explicitBounds"].as_array().unwrap();
            assert_eq!(buckets.len(), bounds.len() + 1, "{measure}");
            let of = attributes(point);
            let more = of.get("gen_ai.token.type").or(of.get("error.type"));
            read.push(format!(
                "{} {} {} {}: {} {}",
                measure["name"].as_str().unwrap(),
                measure["unit"].as_str().unwrap(),
                of["gen_ai.request.model"],
                more.map_or("-", String::as_str),
                point["count"].as_str().unwrap(),
                if measure["unit"] == "s" {
                    "s".to_owned()
                } else {
                    point["sum"].to_string()
                },
            ));
        }
    }
    for expected in [
        "gen_ai.client.token.usage {token} m input: 1 1000.0",
        "gen_ai.client.token.usage {token} m output: 1 500.0",
        "gen_ai.client.operation.duration s m -: 1 s",
        "gen_ai.client.operation.duration s other tool_error: 1 s",
        "gen_ai.server.time_to_first_token s m -: 1 s",
        "gen_ai.server.time_per_output_token s m -: 1 s",
    ] {
        assert!(
            read.iter().any(|it| it == expected),
            "{expected}: {read:#?}"
        );
    }
}
