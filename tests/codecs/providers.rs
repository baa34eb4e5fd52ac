//! Providers as data: every entry is complete, and its URLs are what its pages say and lead nowhere else.

use std::collections::{BTreeMap, HashSet};

use causeway::llm::dialect::Dialect;
use causeway::llm::price::Prices;
use causeway::llm::provider::{Auth, Capability, Path, Probe, Provider, UrlError, built_in, find};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::json as file;

fn with(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

/// The examples of everything that has no default.
fn examples(provider: &Provider) -> BTreeMap<String, String> {
    let given = provider.parameters.iter().filter_map(|parameter| {
        let example = parameter.example.clone()?;
        Some((parameter.name.clone(), example))
    });
    given.collect()
}

fn url(id: &str, parameters: &[(&str, &str)], capability: Capability) -> String {
    let provider = find(id).expect(id);
    let url = provider.url(&with(parameters), capability, "m", false);
    url.expect(id).into()
}

#[test]
fn every_provider_is_complete_and_its_urls_build() {
    let mut ids = HashSet::new();
    for provider in built_in() {
        let id = &provider.id;
        assert!(ids.insert(id), "{id} is there twice");
        let docs = url::Url::parse(&provider.docs).expect("docs");
        assert!(docs.scheme() == "https" && docs.has_host(), "{id}");
        assert!(!provider.env.is_empty(), "{id} has no environment variable");
        assert!(
            provider
                .parameters
                .iter()
                .all(|parameter| parameter.help.ends_with('.')),
            "{id}"
        );
        assert!(provider.can(Capability::Chat), "{id} does not chat");
        assert!(
            provider.probe == Probe::Chat || provider.can(Capability::Models),
            "{id}"
        );
        let parameters = examples(provider);
        let listed = provider.capabilities.iter().chain(provider.paths.keys());
        for capability in listed {
            for stream in [false, true] {
                let url = provider.url(&parameters, *capability, "some-model", stream);
                let url = url.unwrap_or_else(|error| panic!("{id}: {error}"));
                let text = url.as_str();
                assert!(
                    !text.contains(['{', '}']) && !text[8..].contains("//"),
                    "{id}: {text}"
                );
            }
        }
        let own = provider.url(
            &with(&[("base_url", "http://127.0.0.1:9/v9/"), ("api_version", "v")]),
            Capability::Chat,
            "m",
            false,
        );
        assert!(
            own.expect(id)
                .as_str()
                .starts_with("http://127.0.0.1:9/v9/"),
            "{id}"
        );
    }
    assert!(ids.len() >= 32, "{}", ids.len());
}

const PAGE: &str = "# Kinds of providers

Those that `causeway providers put NAME --kind KIND` knows ([models](models.md)); `causeway providers kinds` lists the same. *Parameters* are
what addresses leave open, `--parameter NAME=VALUE`; in italics, those that may be left out. *Key* names the variables in which people mostly keep it:
`causeway providers key NAME main env:VARIABLE`. Those that are *unverified* were not compared with a request, an answer, a stream and an error that their provider publishes.

This page is written by a test from `src/llm/provider/*.toml`.

| kind | provider | parameters | key | |
|---|---|---|---|---|
";

fn row(provider: &Provider) -> String {
    let parameters = provider.parameters.iter().map(|parameter| {
        let is_left = parameter.optional || parameter.default.is_some();
        let name = &parameter.name;
        if is_left {
            format!("*`{name}`*")
        } else {
            format!("`{name}`")
        }
    });
    let keys = provider.env.iter().map(|name| format!("`{name}`"));
    let standing = match (provider.verified, provider.dialect) {
        (true, _) => "",
        (false, Dialect::OpenaiChat) => "OpenAI-compatible, unverified",
        (false, _) => "unverified",
    };
    format!(
        "| `{}` | [{}]({}) | {} | {} | {standing} |\n",
        provider.id,
        provider.name,
        provider.docs,
        parameters.collect::<Vec<_>>().join(", "),
        keys.collect::<Vec<_>>().join(", "),
    )
}

#[test]
fn every_kind_is_in_the_documentation() {
    let mut kinds: Vec<&Provider> = built_in().iter().collect();
    kinds.sort_by(|a, b| a.id.cmp(&b.id));
    let rows = kinds.into_iter().map(row);
    let page: String = std::iter::once(PAGE.to_owned()).chain(rows).collect();
    let written = format!("{}/providers.md", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&written, &page).expect("written");
    let known = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers.md");
    let known = std::fs::read_to_string(known).unwrap_or_default();
    assert!(known == page, "docs/providers.md is not {written}");
}

#[test]
fn every_list_of_prices_belongs_to_a_provider() {
    for (list, _, _) in Prices::built_in().all() {
        assert!(find(list).is_some(), "{list}");
    }
    for provider in built_in() {
        assert!(find(provider.price_list()).is_some(), "{}", provider.id);
    }
}

/// `tests/data/llm/providers/urls.json`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    provider: String,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    capability: Capability,
    #[serde(default)]
    model: String,
    #[serde(default)]
    stream: bool,
    url: String,
}

#[test]
fn urls_are_those_of_the_public_pages() {
    let cases: Vec<Case> = serde_json::from_value(file("providers/urls.json")).expect("cases");
    assert!(cases.len() > 20);
    for case in cases {
        let provider = find(&case.provider).expect(&case.provider);
        let url = provider.url(&case.parameters, case.capability, &case.model, case.stream);
        assert_eq!(url.expect(&case.url).as_str(), case.url);
    }
}

#[test]
fn an_own_base_url_takes_the_place_of_every_host() {
    let own = [("base_url", "http://mock:8080/openai")];
    assert_eq!(
        url("dashscope", &own, Capability::Rerank),
        "http://mock:8080/compatible-api/v1/reranks"
    );
    assert_eq!(
        url("azure", &own, Capability::Chat),
        "http://mock:8080/openai/chat/completions"
    );
}

#[test]
fn what_is_missing_is_explained() {
    let azure = find("azure").expect("azure");
    let missing = azure.url(&with(&[]), Capability::Chat, "m", false);
    let Err(UrlError::Missing {
        parameter, help, ..
    }) = missing
    else {
        panic!("{missing:?}")
    };
    assert_eq!(parameter, "resource");
    assert!(help.contains(".openai.azure.com"));
    let gemini = find("gemini").expect("gemini");
    let no_model = gemini.url(&with(&[]), Capability::Chat, "", false);
    assert!(matches!(no_model, Err(UrlError::Missing { parameter, .. }) if parameter == "model"));
    let no_rerank = gemini.url(&with(&[]), Capability::Rerank, "m", false);
    assert!(matches!(no_rerank, Err(UrlError::Unsupported { .. })));
}

#[test]
fn no_value_leads_to_another_place() {
    let bedrock = find("bedrock").expect("bedrock");
    for region in [
        "evil.example/",
        "a.b",
        "evil.example#",
        "x@evil",
        "-a",
        "a-",
        "a b",
        "é",
        "a:80",
        "a\\b",
    ] {
        let url = bedrock.url(&with(&[("region", region)]), Capability::Chat, "m", false);
        assert!(matches!(url, Err(UrlError::Unfit { .. })), "{region}");
    }
    for model in ["..", ".", "a\nb"] {
        let url = bedrock.url(&with(&[("region", "r")]), Capability::Chat, model, false);
        assert!(matches!(url, Err(UrlError::Unfit { .. })), "{model}");
    }
    for (model, path) in [
        ("../../x", "/model/..%2F..%2Fx/converse"),
        ("a?b#c", "/model/a%3Fb%23c/converse"),
        ("%2e%2e", "/model/%252e%252e/converse"),
        ("a{model}", "/model/a%7Bmodel%7D/converse"),
    ] {
        let url = bedrock.url(&with(&[("region", "r")]), Capability::Chat, model, false);
        assert_eq!(url.expect("url").path(), path);
    }
    let compatible = find("openai-compatible").expect("compatible");
    for base in [
        "ftp://x/v1",
        "file:///etc",
        "nonsense",
        "javascript:alert(1)",
    ] {
        let url = compatible.url(&with(&[("base_url", base)]), Capability::Chat, "m", false);
        assert!(matches!(url, Err(UrlError::NoUrl { .. })), "{base}");
    }
}

#[test]
fn a_dialect_beside_its_own_is_found() {
    let of = |id: &str, dialect| find(id).expect(id).speaks(dialect, "m");
    assert_eq!(of("openai", Dialect::OpenaiChat), Some(Capability::Chat));
    assert_eq!(
        of("openai", Dialect::OpenaiResponses),
        Some(Capability::Responses)
    );
    assert_eq!(of("openai", Dialect::Anthropic), None);
    assert_eq!(
        of("deepseek", Dialect::Anthropic),
        Some(Capability::Messages)
    );
    assert_eq!(of("anthropic", Dialect::Anthropic), Some(Capability::Chat));
    assert_eq!(of("bedrock", Dialect::OpenaiChat), None);
    // Servers that only chat are asked to chat, and not for what they answer with 404.
    for id in ["openai-compatible", "azure-deployments", "cloudflare"] {
        assert_eq!(of(id, Dialect::OpenaiResponses), None, "{id}");
    }
    let cloudflare = find("cloudflare").expect("cloudflare");
    assert_eq!(
        cloudflare.speaks(Dialect::OpenaiResponses, "@cf/openai/gpt-oss-120b"),
        Some(Capability::Responses)
    );
}

#[test]
fn what_has_to_be_translated_for_openai_is_asked_where_its_models_take_tools() {
    let messages = |more: Value| {
        let mut body = json!({
            "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}],
        });
        body.as_object_mut()
            .expect("object")
            .extend(more.as_object().expect("more").clone());
        Dialect::Anthropic.decode_request(body).expect("request")
    };
    let seeded = |tools: Value| {
        let body = json!({
            "contents": [{"role": "user", "parts": [{"text": "q"}]}], "tools": tools,
            "generationConfig": {"seed": 7},
        });
        Dialect::Gemini.decode_request(body).expect("request")
    };
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    let declared = json!([{"functionDeclarations": [{"name": "f"}]}]);
    let chat = (Dialect::OpenaiChat, Capability::Chat);
    let responses = (Dialect::OpenaiResponses, Capability::Responses);
    for id in ["openai", "azure"] {
        let provider = find(id).expect(id);
        for (request, model, expected) in [
            (messages(json!({})), "gpt-5-codex", responses),
            (messages(json!({"tools": tools})), "gpt-5.6", responses),
            (
                messages(json!({"tools": tools})),
                "my-deployment",
                responses,
            ),
            (messages(json!({"tools": tools})), "gpt-audio-mini", chat),
            (
                messages(json!({"stop_sequences": ["x"], "tools": tools})),
                "gpt-4o",
                chat,
            ),
            (seeded(json!([])), "gpt-4o", chat),
            (seeded(declared.clone()), "gpt-5.6", responses),
        ] {
            assert_eq!(provider.way(&request, model), expected, "{id} {model}");
        }
    }
    let groq = find("groq").expect("groq");
    assert_eq!(groq.way(&messages(json!({"tools": tools})), "m"), chat);
}

#[test]
fn betas_that_a_provider_refuses_are_named() {
    let of = |id: &str, said: &str| {
        let (taken, dropped) = find(id).expect(id).betas_of(said);
        let fields = dropped.into_iter().map(|dropped| dropped.field);
        (taken, fields.collect::<Vec<_>>())
    };
    let said = "claude-code-20250219, interleaved-thinking-2025-05-14,context-1m-2025-08-07";
    let (taken, dropped) = of("vertex-anthropic", said);
    assert_eq!(
        taken.as_deref(),
        Some("interleaved-thinking-2025-05-14,context-1m-2025-08-07")
    );
    assert_eq!(dropped, ["anthropic-beta.claude-code-20250219"]);
    assert_eq!(of("vertex-anthropic", "effort-2025-11-24").0, None);
    assert_eq!(of("anthropic", said), (Some(said.to_owned()), Vec::new()));
}

#[test]
fn names_of_models_begin_as_their_provider_wants() {
    let fireworks = find("fireworks").expect("fireworks");
    assert_eq!(
        fireworks.model_name("kimi-k3"),
        "accounts/fireworks/models/kimi-k3"
    );
    assert_eq!(
        fireworks.model_name("accounts/me/models/x"),
        "accounts/me/models/x"
    );
    assert_eq!(find("openai").expect("openai").model_name("gpt-5"), "gpt-5");
}

/// `/v1/embeddings` and the like are passed on as they are: to addresses that take OpenAI's form only.
#[test]
fn embeddings_are_asked_in_openais_form_or_not_at_all() {
    for (id, path) in [
        ("gemini", "/v1beta/openai/embeddings"),
        ("cohere", "/compatibility/v1/embeddings"),
    ] {
        let url = url(id, &[], Capability::Embeddings);
        assert!(url.ends_with(path), "{url}");
        assert_eq!(
            *find(id).expect(id).auth_for(Capability::Embeddings),
            Auth::Bearer,
            "{id}"
        );
    }
    for id in ["vertex", "vertex-anthropic", "bedrock", "anthropic"] {
        assert!(!find(id).expect(id).can(Capability::Embeddings), "{id}");
    }
}

#[test]
fn an_own_provider_has_the_same_shape_and_no_other() {
    let text = r#"{
        "id": "acme-llm", "name": "Acme", "dialect": "openai-chat", "base_url": "https://{tenant}.acme.example/v1",
        "parameters": [{"name": "tenant", "help": "Who you are."}], "capabilities": ["chat"],
        "paths": {"rerank": "/ranks", "embeddings": {"whole": "/e", "stream": "/es"}},
        "auth": {"header": "X-Key"}, "quirks": ["no-strict", {"renames": {"max_completion_tokens": "max_tokens"}}],
        "docs": "https://acme.example/docs"
    }"#;
    let provider = Provider::from_json(text).expect("provider");
    assert_eq!(provider.auth, Auth::Header("X-Key".to_owned()));
    assert_eq!(
        provider.paths[&Capability::Rerank],
        Path::Same("/ranks".to_owned())
    );
    let url = provider.url(
        &with(&[("tenant", "t1")]),
        Capability::Embeddings,
        "m",
        true,
    );
    assert_eq!(url.expect("url").as_str(), "https://t1.acme.example/v1/es");
    let again = serde_json::to_string(&provider).expect("written");
    assert_eq!(Provider::from_json(&again).expect("read"), provider);
    for (from, to, complaint) in [
        (r#""name": "Acme""#, r#""name": "Acme", "nmae": 1"#, "nmae"),
        (
            r#""help": "Who you are.""#,
            r#""help": "", "hepl": 1"#,
            "hepl",
        ),
        ("no-strict", "no-such", "no-such"),
        ("acme-llm", "Acme LLM", "lower case"),
        ("https://acme.example/docs", "see wiki", "docs"),
        (
            r#""stream": "/es""#,
            r#""stream": "/es", "sream": 1"#,
            "cannot be read",
        ),
        ("/ranks", "/{where}", "{where}"),
        ("openai-chat", "telepathy", "telepathy"),
        (
            r#""auth": "#,
            r#""translate_to": "openai-responses", "auth": "#,
            "does not speak OpenAI Responses",
        ),
    ] {
        let wrong = Provider::from_json(&text.replace(from, to)).expect_err(complaint);
        assert!(wrong.to_string().contains(complaint), "{wrong}");
    }
    let table = r#"
        [[provider]]
        id = "acme"
        name = "Acme"
        dialect = "anthropic"
        base_url = "https://acme.example"
        capabilities = ["chat"]
        auth = { sigv4 = "acme" }
        docs = "https://acme.example/docs"
    "#;
    assert_eq!(
        Provider::from_toml(table).expect("table")[0].auth,
        Auth::Sigv4("acme".to_owned())
    );
}

proptest! {
    /// Whatever a model is called, it is asked at its provider.
    #[test]
    fn any_model_stays_at_its_host(model in "\\PC*") {
        for id in ["gemini", "bedrock", "azure-deployments"] {
            let provider = find(id).expect(id);
            let parameters = examples(provider);
            let plain = provider.url(&parameters, Capability::Chat, "m", false).expect(id);
            if let Ok(url) = provider.url(&parameters, Capability::Chat, &model, false) {
                prop_assert_eq!(url.host_str(), plain.host_str());
                let depth = |url: &url::Url| url.path().matches('/').count();
                prop_assert_eq!(depth(&url), depth(&plain));
            }
        }
    }
}
