//! `causeway import-litellm` and `import-higress`: published configurations of other gateways, rewritten small
//! (`tests/data/gateways`, each with the page it follows), what becomes of each, and that `apply` takes it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::{ADMIN_KEY, SECRET};
use crate::program::{Serving, causeway, ended, run};

/// Every configuration, and the command that reads it.
fn configurations() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/gateways");
    let mut all = Vec::new();
    for gateway in ["litellm", "higress"] {
        let files = std::fs::read_dir(root.join(gateway)).unwrap();
        all.extend(files.map(|file| (gateway.to_owned(), file.unwrap().path())));
    }
    all.sort();
    assert!(all.len() >= 9, "{all:?}");
    all
}

#[tokio::test]
async fn each_configuration_becomes_a_catalog_and_a_report() {
    for (gateway, file) in configurations() {
        let mut command = causeway(&[&format!("import-{gateway}"), file.to_str().unwrap()]);
        command.env("CLOUDFLARE_ACCOUNT_ID", "0123456789abcdef");
        let ended = ended(command).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains("never-shown"), "{file:?}: {text}");
        }
        let name = format!("{gateway}-{}", file.file_stem().unwrap().display());
        let said = format!("{}\n{}", ended.stdout, ended.stderr);
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots/adopting" }, {
            insta::assert_snapshot!(name, said);
        });
    }
}

/// What becomes of a configuration: the catalog, and `fate path: why` of each finding.
async fn imported(gateway: &str, text: &str) -> (Value, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, text).unwrap();
    let command = format!("import-{gateway}");
    let ended = run(&[&command, file.to_str().unwrap(), "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = ended.json();
    let findings = said["report"].as_array().unwrap().iter();
    let told = |it: &Value| {
        let part = |name: &str| it[name].as_str().unwrap().to_owned();
        format!("{} {}: {}", part("fate"), part("path"), part("why"))
    };
    (said["catalog"].clone(), findings.map(told).collect())
}

/// Whether one of the findings begins and goes on so.
fn tells(findings: &[String], begins: &str, contains: &str) {
    let is_it = |it: &String| it.starts_with(begins) && it.contains(contains);
    assert!(findings.iter().any(is_it), "{begins}: {findings:#?}");
}

#[tokio::test]
async fn a_wildcard_of_a_provider_is_not_taken_by_a_shorter_one() {
    let (catalog, _) = imported(
        "litellm",
        "model_list:
- { model_name: '*', litellm_params: { model: openai/*, api_key: os.environ/A } }
- { model_name: anthropic/*, litellm_params: { model: anthropic/*, api_key: os.environ/B } }
- { model_name: team_a/*, litellm_params: { model: groq/*, api_key: os.environ/C } }
",
    )
    .await;
    assert_eq!(
        catalog["models"],
        json!({
            "anthropic/*": { "targets": [{ "provider": "anthropic", "model": "*" }] },
            "team_a/*": { "targets": [{ "provider": "team-a", "model": "*" }] },
            "*": { "targets": [{ "provider": "openai" }] },
        })
    );
    // Alone, it is the provider by its name.
    let alone = "model_list:
- { model_name: anthropic/*, litellm_params: { model: anthropic/*, api_key: os.environ/B } }
- { model_name: gpt-*, litellm_params: { model: openai/gpt-*, api_key: os.environ/A } }
";
    let (catalog, findings) = imported("litellm", alone).await;
    let models = json!({ "gpt-*": { "targets": [{ "provider": "openai" }] } });
    assert_eq!(catalog["models"], models, "{findings:?}");
    // What is set for it stays set.
    let set = format!("{alone}router_settings: {{ num_retries: 2 }}\n");
    let (catalog, _) = imported("litellm", &set).await;
    assert_eq!(catalog["models"]["anthropic/*"]["retries"], 2);
}

#[tokio::test]
async fn a_key_goes_to_whom_it_is_for_and_a_model_by_its_own_name() {
    let (catalog, findings) = imported(
        "litellm",
        "model_list:
- { model_name: a, litellm_params: { model: azure_ai/my, api_base: 'https://foo.example.com/v1' } }
- { model_name: b, litellm_params: { model: triton/my, api_base: 'http://10.1.1.1/generate' } }
- { model_name: c, litellm_params: { model: facebook/opt, api_base: 'http://10.1.1.1/v1' } }
- { model_name: d, litellm_params: { model: openai/x, api_base: 'https://llm.example.org/v1' } }
- { model_name: e, litellm_params: { model: azure_ai/r1, api_base: 'https://ours.services.ai.azure.com' } }
- { model_name: f, litellm_params: { model: openai/responses/o1-pro } }
- { model_name: g, litellm_params: { model: openai_like/y, api_base: 'https://llm.example.net' } }
",
    )
    .await;
    for (model, provider, called, key) in [
        ("a", "azure-ai", "my", json!("env:AZURE_AI_API_KEY")),
        ("c", "openai-compatible", "facebook/opt", Value::Null),
        ("d", "llm", "x", json!("env:OPENAI_API_KEY")),
        ("e", "azure-ours", "r1", json!("env:AZURE_AI_API_KEY")),
        ("f", "openai", "o1-pro", json!("env:OPENAI_API_KEY")),
        ("g", "openai-like", "y", json!("env:OPENAI_LIKE_API_KEY")),
    ] {
        let targets = json!([{ "provider": provider, "model": called }]);
        assert_eq!(catalog["models"][model]["targets"], targets, "{catalog}");
        let provider = &catalog["providers"][provider];
        assert_eq!(provider["keys"]["main"], key, "{model}: {provider}");
    }
    assert_eq!(catalog["models"]["b"], Value::Null);
    let foundry = &catalog["providers"]["azure-ours"];
    let own = "https://ours.services.ai.azure.com/openai/v1";
    assert_eq!(foundry["parameters"]["base_url"], own);
    for (begins, contains) in [
        ("left model_list[1]", "`triton`"),
        (
            "changed model_list[2].litellm_params.api_key",
            "it gets none",
        ),
        (
            "changed model_list[3].litellm_params.api_key",
            "OPENAI_API_KEY",
        ),
        (
            "changed model_list[4].litellm_params.api_base",
            "/openai/v1",
        ),
        (
            "changed model_list[5].litellm_params.model",
            "asks for responses",
        ),
    ] {
        tells(&findings, begins, contains);
    }
}

#[tokio::test]
async fn weights_that_are_parts_of_one_stay_weights() {
    let (catalog, _) = imported(
        "litellm",
        "model_list:
- { model_name: m, litellm_params: { model: openai/gpt-4o, weight: 0.7 } }
- { model_name: m, litellm_params: { model: groq/llama, weight: 0.3 } }
",
    )
    .await;
    let targets = json!([
        { "provider": "openai", "model": "gpt-4o", "weight": 7 },
        { "provider": "groq", "model": "llama", "weight": 3 },
    ]);
    assert_eq!(catalog["models"]["m"]["targets"], targets);
}

#[tokio::test]
async fn a_budget_of_what_has_no_price_is_told() {
    let entry = |name: &str, more: &str| {
        format!(
            "- {{ model_name: {name}, litellm_params: {{ model: {more}, max_budget: 5, budget_duration: 1d }} }}\n"
        )
    };
    let text = [
        "model_list:\n",
        &entry(
            "unknown",
            "azure/our-own, api_base: 'https://ours.openai.azure.com'",
        ),
        &entry("known", "openai/gpt-4o"),
        &entry("told", "groq/our-own, input_cost_per_token: 1e-6"),
    ]
    .concat();
    let (catalog, findings) = imported("litellm", &text).await;
    for model in ["unknown", "known", "told"] {
        let amount = &catalog["models"][model]["limits"][0]["amount"];
        assert_eq!(amount, 5_000_000, "{model}: {findings:?}");
    }
    let of_budgets = findings.iter().filter(|it| it.contains("max_budget"));
    let of_budgets: Vec<&String> = of_budgets.collect();
    assert_eq!(of_budgets.len(), 1, "{findings:#?}");
    tells(
        &findings,
        "changed model_list[0].litellm_params.max_budget",
        "nobody knows what its model costs",
    );
}

#[tokio::test]
async fn higress_asks_the_deployment_of_an_address() {
    let azure = "provider: { type: azure, apiTokens: [x], azureServiceUrl: \
                 'https://c.openai.azure.com/openai/deployments/D1/chat/completions?api-version=2024-10-21'";
    let one = |provider: &str, model: &str| json!([{ "provider": provider, "model": model }]);
    let (catalog, findings) = imported("higress", &format!("{azure} }}")).await;
    let all = json!({ "*": { "targets": one("azure", "D1") } });
    assert_eq!(catalog["models"], all, "{findings:?}");
    let parameters = json!({ "resource": "c", "api_version": "2024-10-21" });
    assert_eq!(catalog["providers"]["azure"]["parameters"], parameters);
    let mapped = format!("{azure}, modelMapping: {{ a: D1, b: D2 }} }}");
    let (catalog, findings) = imported("higress", &mapped).await;
    for model in ["a", "b", "*"] {
        let targets = &catalog["models"][model]["targets"];
        assert_eq!(*targets, one("azure", "D1"), "{model}: {catalog}");
    }
    let told = "changed provider.modelMapping.b";
    tells(&findings, told, "the deployment `D1`");
    assert!(!findings.iter().any(|it| it.contains("modelMapping.a:")));
    // Without a deployment in it, names are those of deployments.
    let plain = azure.replace("/openai/deployments/D1/chat/completions", "");
    let (catalog, _) = imported("higress", &format!("{plain} }}")).await;
    let all = json!({ "*": { "targets": [{ "provider": "azure" }] } });
    assert_eq!(catalog["models"], all);
}

#[tokio::test]
async fn higress_names_lead_where_they_did() {
    let text = "activeProviderId: ol
providers:
- id: ol
  type: generic
  genericHost: 'http://127.0.0.1:21110'
  modelMapping: { '~gpt-5(.*)': big, '~old-(.*)': 'new-$1', '~(': x, '*': small }
- { id: spare, type: vllm, vllmServerHost: 'https://llm.example.com/', modelMapping: { k2: kimi-k2 } }
";
    let (catalog, findings) = imported("higress", text).await;
    assert_eq!(
        catalog["models"],
        json!({
            "re:gpt-5(.*)": { "targets": [{ "provider": "ol", "model": "big" }] },
            "re:.*": { "targets": [{ "provider": "ol", "model": "small" }], "rank": 1_000 },
            "spare/*": { "targets": [{ "provider": "spare", "model": "*" }] },
        }),
        "{findings:#?}"
    );
    for (provider, base) in [
        ("ol", "http://127.0.0.1:21110/v1"),
        ("spare", "https://llm.example.com/v1"),
    ] {
        let parameters = &catalog["providers"][provider]["parameters"];
        assert_eq!(parameters["base_url"], base);
    }
    for (begins, contains) in [
        (
            "changed providers[0].modelMapping['~gpt-5(.*)']",
            "match all of a name",
        ),
        (
            "left providers[0].modelMapping['~old-(.*)']",
            "is not put into",
        ),
        (
            "left providers[0].modelMapping['~(']",
            "no regular expression",
        ),
        ("left providers[1].modelMapping.k2", "no route uses"),
    ] {
        tells(&findings, begins, contains);
    }
}

#[tokio::test]
async fn apply_takes_every_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let fixed = ["--no-demo", "--admin-key", ADMIN_KEY];
    let served = Serving::on(&folder.join("data"), &fixed).await;
    let secret = folder.join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    for (gateway, file) in configurations() {
        let out = folder.join("catalog.yaml");
        let out = out.to_str().unwrap();
        let command = format!("import-{gateway}");
        let made = run(&[&command, file.to_str().unwrap(), "--out", out, "--json"]).await;
        assert_eq!(made.code, Some(0), "{made:?}");
        let models = made.json()["catalog"]["models"].clone();
        let models = models.as_object().unwrap().len();
        // Every key is read from somewhere, which is a file here.
        let text = std::fs::read_to_string(out).unwrap();
        let keyed = text.lines().map(|line| match line.trim().split_once(": ") {
            Some((name, from)) if from.starts_with("env:") || from.starts_with("\"@") => {
                format!("      {name}: '@{}'\n", secret.display())
            }
            _ => format!("{line}\n"),
        });
        std::fs::write(out, keyed.collect::<String>()).unwrap();
        let dry = ["apply", "-f", out, "--dry-run", "--json"];
        let dry = served.command(ADMIN_KEY, &dry).await;
        assert_eq!(dry.code, Some(2), "{file:?}: {dry:?}");
        let changes = dry.json()["changes"].as_array().unwrap().len();
        assert!(changes > models, "{file:?}: {dry:?}");
        let apply = ["apply", "-f", out];
        let applied = served.command(ADMIN_KEY, &apply).await;
        assert_eq!(applied.code, Some(0), "{file:?}: {applied:?}");
        let again = served.command(ADMIN_KEY, &apply).await;
        assert_eq!(again.stdout.trim(), "Nothing to change.", "{file:?}");
    }
}

#[tokio::test]
async fn a_configuration_is_applied_at_once_and_a_dry_run_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let fixed = ["--no-demo", "--admin-key", ADMIN_KEY];
    let served = Serving::on(&folder.join("data"), &fixed).await;
    let file = folder.join("config.yaml");
    let text = "model_list:\n- model_name: fast\n  litellm_params: { model: ollama/llama3, input_cost_per_token: 1e-6 }\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let prices = folder.join("prices.json");
    let import = [
        "import-litellm",
        file,
        "--prices-out",
        prices.to_str().unwrap(),
        "--apply",
    ];
    let dry = served
        .command(ADMIN_KEY, &[&import[..], &["--dry-run"]].concat())
        .await;
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert!(
        dry.stdout.contains("+ model fast") && dry.stdout.contains("Nothing was changed"),
        "{dry:?}"
    );
    assert!(!prices.exists());
    let done = served.command(ADMIN_KEY, &import).await;
    assert!(done.stdout.contains("2 changed."), "{done:?}");
    let again = served.command(ADMIN_KEY, &import).await;
    assert!(again.stdout.contains("Nothing to change."), "{again:?}");
    // Its prices are what `serve --prices` takes, and what is wrong with them keeps it from starting.
    let prices = prices.to_str().unwrap();
    let written = std::fs::read_to_string(prices).unwrap();
    assert!(written.contains("1000000"), "{written}");
    let data = folder.join("other");
    let flags = ["--no-demo", "--admin-key", ADMIN_KEY, "--prices", prices];
    let first = Serving::on(&data, &flags).await;
    first.terminate();
    first.ended().await;
    std::fs::write(prices, written.replace("\"input\"", "\"inptu\"")).unwrap();
    let data = data.to_str().unwrap();
    let refused = run(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        data,
        "--admin-key",
        ADMIN_KEY,
        "--prices",
        prices,
    ])
    .await;
    refused.refused(&["prices.json", "the price of `llama3` at `ollama`", "inptu"]);
}

#[tokio::test]
async fn what_is_no_configuration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let file = file.to_str().unwrap();
    for (command, text, said) in [
        ("import-litellm", "models: []", "model_list"),
        ("import-litellm", "model_list: [", "cannot be read"),
        (
            "import-higress",
            "kind: WasmPlugin\nmetadata: { name: ai-cache }",
            "ai-proxy",
        ),
        ("import-higress", "a: [", "cannot be read"),
    ] {
        std::fs::write(file, text).unwrap();
        run(&[command, file]).await.refused(&["config.yaml", said]);
    }
    let missing = run(&["import-litellm", "missing.yaml"]).await;
    missing.refused(&["missing.yaml"]);
    // A directory is read whole.
    let directory = folder.path().to_str().unwrap();
    std::fs::write(file, "provider: { type: groq, apiTokens: [never-shown] }").unwrap();
    std::fs::write(folder.path().join("z.json"), r#"{"kind": "Ingress"}"#).unwrap();
    let read = run(&["import-higress", directory]).await;
    assert_eq!(read.code, Some(0), "{read:?}");
    assert!(read.stdout.contains("kind: groq"), "{read:?}");
    assert!(
        read.stderr.contains("z.json (object)")
            && read.stderr.contains("config.yaml.provider.apiTokens[0]"),
        "{read:?}"
    );
}
