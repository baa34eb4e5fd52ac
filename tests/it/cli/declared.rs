//! `causeway apply` and `export`: a running server becomes what a file says, and says what it is.

use std::path::Path;

use serde_json::json;

use crate::cli::{ADMIN_KEY, SECRET, Upstream};
use crate::program::{Ended, Serving};

async fn start(folder: &Path) -> Serving {
    let fixed = ["--no-demo", "--admin-key", ADMIN_KEY];
    Serving::on(&folder.join("data"), &fixed).await
}

/// A catalog of everything, beside its document and its secret.
fn catalog(folder: &Path, upstream: &Upstream) -> String {
    let document = upstream.document(folder);
    let document = Path::new(&document).file_name().unwrap().display();
    std::fs::write(folder.join("secret"), SECRET).unwrap();
    let secret = folder.join("secret");
    format!(
        "
servers:
  things:
    document: {document}
    settings:
      access: key
      allowUpstream: ['{address}']
      callTimeoutMs: 20000
      resilience: {{ retries: 0 }}
    tools:
      GET /things/{{}}: {{ name: one_thing }}
    credentials: {{ Key: '@{secret}' }}
plans:
  small:
    description: For a start
    limits: [{{ unit: requests, amount: 60, window: minute, scope: consumer }}]
consumers:
  agent:
    limits: [{{ unit: requests, amount: 9, window: day, scope: consumer }}]
    plans: {{ things: small }}
providers:
  llm:
    kind: openai-compatible
    parameters: {{ base_url: 'http://{address}/v1' }}
    allowUpstream: ['{address}']
    keys: {{ main: '@{secret}' }}
models:
  team/fast: {{ targets: [{{ provider: llm, model: small, weight: 1 }}], retries: 2, onExhaust: {{ downgrade: spare }} }}
  spare: {{ targets: [{{ provider: llm }}], onExhaust: {{ downgrade: team/fast }} }}
",
        address = upstream.address,
        secret = secret.display(),
    )
}

/// Applies a catalog that is written beside the others.
async fn apply(served: &Serving, folder: &Path, text: &str, flags: &[&str]) -> Ended {
    let file = folder.join("catalog.yaml");
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    served
        .command(ADMIN_KEY, &[&["apply", "-f", &file], flags].concat())
        .await
}

async fn with_consumer(folder: &Path) -> Serving {
    let served = start(folder).await;
    let made = served
        .command(ADMIN_KEY, &["keys", "create", "agent"])
        .await;
    assert_eq!(made.code, Some(0), "{made:?}");
    served
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one catalog, step by step")]
async fn a_server_becomes_what_a_catalog_says_and_stays_so() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let served = with_consumer(folder).await;
    let text = catalog(folder, &upstream);

    let dry = apply(&served, folder, &text, &["--dry-run"]).await;
    assert_eq!(dry.code, Some(2), "{dry:?}");
    for part in [
        "+ plan small",
        "+ server things",
        "~ consumer agent",
        "+ provider llm",
        "+ model team/fast",
        "Nothing was changed",
    ] {
        assert!(dry.stdout.contains(part), "{part}: {dry:?}");
    }
    let (status, _) = served
        .api(ADMIN_KEY, ("GET", "servers/things"), &json!(null))
        .await;
    assert_eq!(status, 404, "a dry run made it");

    let applied = apply(&served, folder, &text, &[]).await;
    assert_eq!(applied.code, Some(0), "{applied:?}");
    assert!(!applied.stdout.contains(SECRET), "{applied:?}");
    let call = ["call", "things", "one_thing", "--args", r#"{"id": 7}"#];
    let called = served.command(ADMIN_KEY, &call).await;
    assert_eq!(called.code, Some(0), "{called:?}");
    assert_eq!(upstream.seen(), [Some(SECRET.to_owned())]);

    for flags in [&[][..], &["--dry-run"], &["--prune"]] {
        let again = apply(&served, folder, &text, flags).await;
        assert_eq!(again.code, Some(0), "{again:?}");
        assert_eq!(again.stdout.trim(), "Nothing to change.", "{flags:?}");
    }

    let other = text
        .replace("callTimeoutMs: 20000", "callTimeoutMs: 5000")
        .replace("name: one_thing", "name: a_thing")
        .replace("amount: 9", "amount: 8")
        .replace("retries: 2", "onLoss: refuse");
    let dry = apply(&served, folder, &other, &["--dry-run", "--json"]).await;
    let changes = dry.json();
    let lines = changes["changes"].to_string();
    for part in [
        "settings.callTimeoutMs: 20000 -> 5000",
        r#"tools.GET /things/{}.name: \"one_thing\" -> \"a_thing\""#,
        "limits[0].amount: 9 -> 8",
        "retries: 2 -> nothing",
        "onLoss: nothing -> \\\"refuse\\\"",
    ] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    assert!(!lines.contains("plan small"), "{lines}");
    let applied = apply(&served, folder, &other, &[]).await;
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let (_, seen) = served
        .api(ADMIN_KEY, ("GET", "servers/things"), &json!(null))
        .await;
    assert_eq!(seen["settings"]["callTimeoutMs"], 5_000);
    assert_eq!(seen["settings"]["resilience"]["retries"], 0);

    // What a catalog does not name is left alone, unless it is told not to.
    let plans = "plans: { small: { limits: [] } }";
    let kept = apply(&served, folder, plans, &["--dry-run"]).await;
    assert!(!kept.stdout.contains("things"), "{kept:?}");
    let pruned = apply(&served, folder, plans, &["--prune"]).await;
    assert_eq!(pruned.code, Some(0), "{pruned:?}");
    assert!(pruned.stdout.contains("- server things"), "{pruned:?}");
    // Of what a catalog has no section for, it says nothing.
    assert!(!pruned.stdout.contains("provider"), "{pruned:?}");
    let none = format!("{plans}\nproviders: {{}}\nmodels: {{}}");
    let pruned = apply(&served, folder, &none, &["--prune"]).await;
    assert_eq!(pruned.code, Some(0), "{pruned:?}");
    for part in ["- model team/fast", "- provider llm"] {
        assert!(pruned.stdout.contains(part), "{part}: {pruned:?}");
    }
    let (status, _) = served
        .api(ADMIN_KEY, ("GET", "servers/things"), &json!(null))
        .await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn what_is_exported_makes_the_same_server_elsewhere() {
    let upstream = Upstream::start().await;
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = with_consumer(here.path()).await;
    let text = catalog(here.path(), &upstream);
    let applied = apply(&first, here.path(), &text, &[]).await;
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let export = async |served: &Serving, name: &str| {
        let out = here.path().join(name);
        let to = out.display().to_string();
        let done = served.command(ADMIN_KEY, &["export", &to]).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        std::fs::read_to_string(out.join("catalog.yaml")).unwrap()
    };
    let written = export(&first, "one").await;
    assert!(!written.contains(SECRET), "{written}");
    assert!(written.contains("env:THINGS_KEY"), "{written}");
    assert!(written.contains("env:LLM_MAIN"), "{written}");
    let documents = here.path().join("one/documents/things.json");
    assert!(documents.exists());

    let file = here.path().join("one/catalog.yaml").display().to_string();
    let same = first.command(ADMIN_KEY, &["apply", "-f", &file]).await;
    assert_eq!(same.stdout.trim(), "Nothing to change.", "{same:?}");

    let second = with_consumer(there.path()).await;
    for flags in [&[][..], &["--dry-run"], &["--dry-run", "--json"]] {
        let apply = [&["apply", "-f", &file], flags].concat();
        let lacking = second.command(ADMIN_KEY, &apply).await;
        assert_eq!(lacking.code, Some(1), "{lacking:?}");
        for part in [
            "servers.things.credentials.Key: THINGS_KEY is not set",
            "providers.llm.keys.main: LLM_MAIN is not set",
        ] {
            assert!(lacking.stderr.contains(part), "{part}: {lacking:?}");
        }
        assert_eq!(lacking.stdout.contains("provider llm"), !flags.is_empty());
    }
    for path in ["plans/small", "servers/things", "providers/llm"] {
        let (status, _) = second
            .api(ADMIN_KEY, ("GET", path), &serde_json::Value::Null)
            .await;
        assert_eq!(status, 404, "{path} was made without what it needs");
    }
    let secret = here.path().join("secret").display().to_string();
    let with_secret = written
        .replace("env:THINGS_KEY", &format!("'@{secret}'"))
        .replace("env:LLM_MAIN", &format!("'@{secret}'"));
    std::fs::write(&file, with_secret).unwrap();
    let made = second.command(ADMIN_KEY, &["apply", "-f", &file]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert_eq!(export(&second, "two").await, written);
    let call = ["call", "things", "one_thing", "--args", r#"{"id": 7}"#];
    let called = second.command(ADMIN_KEY, &call).await;
    assert_eq!(called.code, Some(0), "{called:?}");
    assert_eq!(upstream.seen(), [Some(SECRET.to_owned())]);
}

#[tokio::test]
async fn what_is_no_catalog_is_refused_by_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let served = start(folder.path()).await;
    for (text, words) in [
        ("servers: { a: { document: nowhere.yaml } }", "nowhere.yaml"),
        ("servers: { a: {} }", "servers.a"),
        (
            "servers: { a: { credentials: { K: hush } } }",
            "servers.a.credentials.K",
        ),
        (
            "consumers: { nobody: { limits: [] } }",
            "keys create nobody",
        ),
        ("serverz: {}", "serverz"),
    ] {
        let refused = apply(&served, folder.path(), text, &[]).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
        assert!(!refused.stderr.contains("hush"), "{refused:?}");
    }
}
