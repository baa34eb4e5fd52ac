//! `causeway import-litellm` and `import-higress`: published configurations of other gateways, rewritten small
//! (`tests/data/gateways`, each with the page it follows), what becomes of each, and that `apply` takes it.

use std::path::{Path, PathBuf};

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
