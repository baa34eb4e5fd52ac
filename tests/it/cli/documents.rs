//! Documents of several files, archives, overlays, remote references and many documents at once, by
//! the commands that take them.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use axum::Router;
use axum::extract::OriginalUri;
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::{Value, json};

use crate::cli::ADMIN_KEY;
use crate::egress::serve_local;
use crate::program::{Serving, example, run};

async fn start(folder: &tempfile::TempDir, flags: &[&str]) -> Serving {
    let fixed = ["--no-demo", "--admin-key", ADMIN_KEY];
    Serving::on(&folder.path().join("data"), &[&fixed, flags].concat()).await
}

fn api(title: &str, path: &str) -> String {
    format!(
        "openapi: 3.1.0\ninfo: {{title: {title}, version: '1'}}\n\
         servers: [{{url: 'https://api.example.com'}}]\n\
         paths: {{{path}: {{get: {{operationId: get, responses: {{'200': {{description: ok}}}}}}}}}}\n"
    )
}

fn write(folder: &Path, files: &[(&str, &str)]) -> String {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder.display().to_string()
}

fn archive(folder: &Path, of: &str) -> String {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let mut left = vec![std::path::PathBuf::from(of)];
    while let Some(at) = left.pop() {
        if at.is_dir() {
            left.extend(
                std::fs::read_dir(at)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let name = at.strip_prefix(of).unwrap().to_string_lossy().into_owned();
        archive
            .start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(&std::fs::read(at).unwrap()).unwrap();
    }
    let path = folder.join("api.zip");
    std::fs::write(&path, archive.finish().unwrap().into_inner()).unwrap();
    path.display().to_string()
}

/// A site of files; whatever else is asked for is not there.
async fn site(files: &[(&'static str, String)]) -> String {
    let files: HashMap<&'static str, String> = files.iter().cloned().collect();
    let answer = move |OriginalUri(uri): OriginalUri| async move {
        match files.get(uri.path()) {
            Some(text) => text.clone().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    };
    serve_local(Router::new().fallback(answer))
        .await
        .to_string()
}

#[tokio::test]
async fn check_reads_a_directory_an_archive_and_a_file_with_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let directory = example("split-harbour");
    let zip = archive(folder.path(), &directory);
    let file = example("split-harbour/openapi.yaml");
    let report = |ended: &crate::program::Ended| {
        let report = ended.json();
        (report["tools"].clone(), report["findings"].clone())
    };
    let of_directory = run(&["check", &directory, "--json"]).await;
    assert_eq!(of_directory.code, Some(0), "{of_directory:?}");
    assert_eq!(of_directory.json()["tools"].as_array().unwrap().len(), 6);
    for other in [&zip, &file] {
        let ended = run(&["check", other, "--json"]).await;
        assert_eq!(report(&ended).0, report(&of_directory).0, "{other}");
    }
    let told = run(&["check", &directory]).await;
    assert!(
        told.stdout
            .contains("at paths/ships.yaml#/get/parameters/1/schema"),
        "{told:?}"
    );
    assert!(
        told.stdout
            .contains("`/etc/passwd` leads out of what was uploaded"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_file_never_reads_above_its_folder_or_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            ("secret.yaml", "type: string\nconst: THE-SECRET"),
            ("api/x.txt", ""),
        ],
    );
    let link = folder.path().join("api/link.yaml");
    std::os::unix::fs::symlink(folder.path().join("secret.yaml"), link).unwrap();
    let text = api("Thief", "/a").replace(
        "operationId: get,",
        "operationId: get, parameters: [{name: a, in: query, schema: {$ref: ../secret.yaml}}, {name: b, in: query, schema: {$ref: link.yaml}}],",
    );
    write(folder.path(), &[("api/openapi.yaml", &text)]);
    let file = folder.path().join("api/openapi.yaml").display().to_string();
    for path in [file, folder.path().join("api").display().to_string()] {
        let ended = run(&["check", &path, "--json"]).await;
        assert_eq!(ended.json()["warnings"], 2, "{ended:?}");
        let served = Serving::document(&path, &[]).await;
        assert!(
            !json!(served.tools("/mcp").await)
                .to_string()
                .contains("THE-SECRET")
        );
    }
}

#[tokio::test]
async fn several_documents_need_a_root() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(
        folder.path(),
        &[("a.yaml", &api("A", "/a")), ("b.yaml", &api("B", "/b"))],
    );
    let ended = run(&["check", &path]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("a.yaml, b.yaml") && ended.stderr.contains("--root"),
        "{ended:?}"
    );
    let ended = run(&["check", &path, "--root", "b.yaml", "--json"]).await;
    assert_eq!(ended.json()["title"], "B", "{ended:?}");
}

#[tokio::test]
async fn overlays_are_applied_in_order_and_say_what_they_did_not_find() {
    let folder = tempfile::tempdir().unwrap();
    let one = "overlay: 1.0.0\nactions: [{target: $.info, update: {title: First}}, {target: $.nowhere, remove: true}]";
    let two = "{\"overlay\": \"1.1.0\", \"actions\": [{\"target\": \"$.info\", \"update\": {\"title\": \"Second\"}}]}";
    write(
        folder.path(),
        &[("one.yaml", one), ("two.json", two), ("none.yaml", "x: 1")],
    );
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (file, one, two, none) = (
        example("petstore.yaml"),
        at("one.yaml"),
        at("two.json"),
        at("none.yaml"),
    );
    let ended = run(&[
        "check",
        &file,
        "--overlay",
        &one,
        "--overlay",
        &two,
        "--json",
    ])
    .await;
    let report = ended.json();
    assert_eq!(report["title"], "Second", "{report}");
    assert_eq!(
        report["findings"][0]["code"], "overlay-unmatched",
        "{report}"
    );
    assert_eq!(report["findings"][0]["pointer"], "overlay 1#/actions/1");
    let ended = run(&["check", &file, "--overlay", &none]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended
            .stdout
            .contains("overlay 1: it has no `overlay: 1.0.0`"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn remote_references_are_followed_only_where_that_is_allowed() {
    let types =
        "Port: {type: string, enum: [rotterdam]}\nNext: {$ref: 'deep/more.yaml#/More'}".to_owned();
    let site = site(&[
        ("/types.yaml", types),
        ("/deep/more.yaml", "More: {type: integer}".to_owned()),
    ])
    .await;
    let folder = tempfile::tempdir().unwrap();
    let parameters = format!(
        "operationId: get, parameters: [{{name: port, in: query, schema: {{$ref: 'http://{site}/types.yaml#/Port'}}}}, {{name: next, in: query, schema: {{$ref: 'http://{site}/types.yaml#/Next'}}}}],"
    );
    let text = api("Remote", "/a").replace("operationId: get,", &parameters);
    write(folder.path(), &[("openapi.yaml", &text)]);
    let file = folder.path().join("openapi.yaml").display().to_string();
    let ended = run(&["check", &file, "--json"]).await.json();
    assert_eq!(ended["warnings"], 2, "{ended}");
    let fix = ended["findings"][0]["fix"].as_str().unwrap();
    assert!(fix.contains("--allow-remote-refs"), "{ended}");
    // Allowed, but still under the egress policy.
    let ended = run(&["check", &file, "--json", "--allow-remote-refs"])
        .await
        .json();
    assert_eq!(ended["warnings"], 2, "{ended}");
    assert!(
        ended["findings"][0]["message"]
            .as_str()
            .unwrap()
            .contains("cannot be fetched"),
        "{ended}"
    );
    let flags = ["--allow-remote-refs", "--allow-upstream", &site];
    let ended = run(&[&["check", &file, "--json"][..], &flags].concat())
        .await
        .json();
    assert_eq!(
        (&ended["warnings"], &ended["lost"]),
        (&json!(0), &json!(0)),
        "{ended}"
    );
    let served = Serving::document(&file, &flags).await;
    let schema = &served.tools("/mcp").await[0]["inputSchema"];
    assert!(
        schema.to_string().contains("rotterdam") && schema.to_string().contains("integer"),
        "{schema}"
    );
}

#[tokio::test]
async fn a_document_by_url_is_read_with_the_files_beside_it() {
    let root = api("Beside", "/a").replace(
        "operationId: get,",
        "operationId: get, parameters: [{$ref: 'parts/p.yaml#/P'}],",
    );
    let part = "P: {name: p, in: query, schema: {type: integer}}".to_owned();
    let site = site(&[("/api/openapi.yaml", root), ("/api/parts/p.yaml", part)]).await;
    let url = format!("http://{site}/api/openapi.yaml");
    for (flags, expected) in [(&[][..], 0), (&["--allow-remote-refs"][..], 1)] {
        let folder = tempfile::tempdir().unwrap();
        let served = start(&folder, &[&["--allow-upstream", &site][..], flags].concat()).await;
        let imported = served.command(ADMIN_KEY, &["import", &url, "--json"]).await;
        assert_eq!(imported.code, Some(0), "{imported:?}");
        let tools = served
            .command(
                ADMIN_KEY,
                &[
                    "call",
                    "beside",
                    "get",
                    "--dry-run",
                    "--args",
                    r#"{"p": 3}"#,
                ],
            )
            .await;
        let sent = tools.stdout.contains("p=3");
        assert_eq!(usize::from(sent), expected, "{tools:?}");
    }
}

#[tokio::test]
async fn a_directory_is_published_as_one_document_and_kept_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &[]).await;
    let directory = example("split-harbour");
    let import = |path: String| {
        let served = &served;
        async move {
            served
                .command(ADMIN_KEY, &["import", &path, "--slug", "harbour", "--json"])
                .await
                .json()
        }
    };
    let first = import(directory.clone()).await;
    assert_eq!(
        (&first["created"], &first["report"]["tools"]),
        (&json!(true), &json!(6)),
        "{first}"
    );
    // The same files in an archive are the same document.
    let again = import(archive(folder.path(), &directory)).await;
    assert_eq!(again["unchanged"], true, "{again}");
    let client = reqwest_client();
    let url = format!("{}/api/v1/servers/harbour/document", served.origin);
    let document: Value = get(&client, &url).await;
    assert_eq!(document["x-causeway-bundle"]["root"], "openapi.yaml");
    assert_eq!(document["info"]["title"], "Harbour");
    // What is kept can be published again.
    let kept = folder.path().join("kept.json");
    std::fs::write(&kept, document.to_string()).unwrap();
    let again = import(kept.display().to_string()).await;
    assert_eq!(again["unchanged"], true, "{again}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process"
)]
fn reqwest_client() -> reqwest::Client {
    reqwest::Client::new()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process"
)]
async fn get(client: &reqwest::Client, url: &str) -> Value {
    let answer = client.get(url).bearer_auth(ADMIN_KEY).send().await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn an_overlay_stays_with_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &[]).await;
    let overlay = "overlay: 1.0.0\nactions: [{target: $.info, update: {title: Ours}}, {target: \"$.paths['/b']\", remove: true}]";
    let two = api("Theirs", "/a") + "  \n";
    let two = two.replace(
        "paths: {",
        "paths: {/b: {get: {operationId: b, responses: {}}}, ",
    );
    write(
        folder.path(),
        &[("api.yaml", &two), ("overlay.yaml", overlay)],
    );
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (file, overlay) = (at("api.yaml"), at("overlay.yaml"));
    let first = served
        .command(
            ADMIN_KEY,
            &[
                "import",
                &file,
                "--slug",
                "ours",
                "--overlay",
                &overlay,
                "--json",
            ],
        )
        .await
        .json();
    assert_eq!(
        (&first["report"]["title"], &first["report"]["tools"]),
        (&json!("Ours"), &json!(1)),
        "{first}"
    );
    let same = served
        .command(ADMIN_KEY, &["import", &file, "--slug", "ours", "--json"])
        .await
        .json();
    assert_eq!(same["unchanged"], true, "{same}");
    // A new version of the plain document.
    write(
        folder.path(),
        &[("api.yaml", &two.replace("version: '1'", "version: '2'"))],
    );
    let next = served
        .command(ADMIN_KEY, &["import", &file, "--slug", "ours", "--json"])
        .await
        .json();
    assert_eq!(
        (&next["unchanged"], &next["report"]["tools"]),
        (&json!(false), &json!(1)),
        "{next}"
    );
    assert_eq!(next["server"]["title"], "Ours", "{next}");
}

fn line(report: &Value, index: usize) -> (String, String, String) {
    let item = &report["items"][index];
    let text = |name: &str| item[name].as_str().unwrap_or("-").to_owned();
    (text("name"), text("outcome"), text("slug"))
}

fn said(name: &str, outcome: &str, slug: &str) -> (String, String, String) {
    (name.to_owned(), outcome.to_owned(), slug.to_owned())
}

fn counts(report: &Value) -> [u64; 5] {
    ["total", "created", "updated", "unchanged", "failed"].map(|key| report[key].as_u64().unwrap())
}

#[tokio::test]
async fn many_documents_become_servers_once() {
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &[]).await;
    let specs = folder.path().join("specs");
    let broken = "openapi: 3.1.0\ninfo: {title: Broken}\npaths: {}";
    let path = write(
        &specs,
        &[
            ("a.yaml", &api("Shop", "/a")),
            ("b.yaml", &api("Shop", "/b")),
            (
                "deep/split.yaml",
                &api("Split", "/c").replace("{get: {", "{$ref: 'part.yaml#/x', post: {"),
            ),
            (
                "deep/part.yaml",
                "x: {get: {operationId: part, responses: {}}}",
            ),
            ("z.yaml", broken),
        ],
    );
    let import = ["import", &path, "--json"];
    let first = served.command(ADMIN_KEY, &import).await;
    assert_eq!(first.code, Some(1), "{first:?}");
    let report = first.json();
    assert_eq!(line(&report, 0), said("a.yaml", "created", "shop"));
    let second = report["items"][1]["slug"].as_str().unwrap().to_owned();
    assert!(
        second.starts_with("shop-") && second.len() == "shop-".len() + 6,
        "{report}"
    );
    assert_eq!(
        line(&report, 2),
        said("deep/split.yaml", "created", "split")
    );
    assert_eq!(report["items"][2]["tools"], 2, "{report}");
    assert_eq!(line(&report, 3), said("z.yaml", "failed", "-"));
    assert!(
        report["items"][3]["error"]
            .as_str()
            .unwrap()
            .contains("no usable operation"),
        "{report}"
    );
    assert_eq!(counts(&report), [4, 3, 0, 0, 1]);

    let again = served.command(ADMIN_KEY, &import).await.json();
    assert_eq!(counts(&again), [4, 0, 0, 3, 1], "{again}");
    assert_eq!(again["items"][1]["slug"], second.as_str(), "remembered");
    write(
        &specs,
        &[
            ("a.yaml", &api("Shop of ours", "/a2")),
            ("z.yaml", &api("Mended", "/z")),
        ],
    );
    let file = folder.path().join("report.json");
    std::fs::write(&file, again.to_string()).unwrap();
    let retry = [&import[..], &["--retry", file.to_str().unwrap()]].concat();
    let retried = served.command(ADMIN_KEY, &retry).await;
    assert_eq!(retried.code, Some(0), "{retried:?}");
    assert_eq!(counts(&retried.json()), [1, 1, 0, 0, 0], "only what failed");
    let last = served.command(ADMIN_KEY, &import).await.json();
    assert_eq!(counts(&last), [4, 0, 1, 3, 0], "{last}");
    assert_eq!(
        last["items"][0]["slug"], "shop",
        "a title may change; the server stays"
    );
}

#[tokio::test]
async fn a_list_of_urls_is_imported_and_tried_again() {
    let site = site(&[("/a.yaml", api("Aye", "/a"))]).await;
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &["--allow-upstream", &site]).await;
    let list = folder.path().join("urls.txt");
    std::fs::write(
        &list,
        format!("# ours\nhttp://{site}/a.yaml\n\nhttp://{site}/gone.yaml\n"),
    )
    .unwrap();
    let ended = served
        .command(ADMIN_KEY, &["import", "--list", list.to_str().unwrap()])
        .await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .stdout
            .contains("1 created, 0 updated, 0 unchanged, 1 failed"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("-> aye, 1 tools"), "{ended:?}");
}

/// Several parts `file` with their names, as curl and browsers send them.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process"
)]
async fn the_api_takes_several_files_of_one_form() {
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &[]).await;
    let root = api("Form", "/a").replace("{get: {", "{$ref: 'paths/a.yaml', put: {");
    let part = "get: {operationId: more, responses: {}}";
    let client = reqwest_client();
    let send = async |files: &[(&str, &str)], fields: &[(&str, &str)]| {
        let mut body = String::new();
        for (name, value) in fields {
            body.push_str("--b\r\nContent-Disposition: form-data; name=\"");
            body.extend([*name, "\"\r\n\r\n", *value, "\r\n"]);
        }
        for (name, text) in files {
            body.push_str("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"");
            body.extend([*name, "\"\r\n\r\n", *text, "\r\n"]);
        }
        body += "--b--\r\n";
        let url = format!("{}/api/v1/servers", served.origin);
        let request = client.post(url).bearer_auth(ADMIN_KEY).body(body);
        let request = request.header("Content-Type", "multipart/form-data; boundary=b");
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap(),
        )
    };
    let whole = [("openapi.yaml", root.as_str()), ("paths/a.yaml", part)];
    let (status, made) = send(&whole, &[("slug", "form")]).await;
    assert_eq!(
        (status, &made["report"]["tools"]),
        (201, &json!(2)),
        "{made}"
    );
    let other = api("Other", "/o");
    let two = [("a.yaml", root.as_str()), ("b.yaml", other.as_str())];
    let (status, said) = send(&two, &[]).await;
    assert_eq!(status, 422, "{said}");
    assert!(
        said["detail"].as_str().unwrap().contains("a.yaml, b.yaml"),
        "{said}"
    );
    let overlay = "{\"overlay\": \"1.0.0\", \"actions\": [{\"target\": \"$.info\", \"update\": {\"title\": \"Laid\"}}]}";
    let (status, made) = send(&two, &[("root", "b.yaml"), ("overlay", overlay)]).await;
    assert_eq!(
        (status, &made["server"]["slug"]),
        (201, &json!("laid")),
        "{made}"
    );
    let (status, said) = send(&[("a.yaml", part), ("../b.yaml", part)], &[]).await;
    assert_eq!(status, 422, "{said}");
    let (status, said) = send(&[("../evil.yaml", &other), ("a.zip", "PK\u{3}\u{4}")], &[]).await;
    assert_eq!(status, 422, "{said}");
}

/// What failed is stored: another process on the database tries it again, and not only for a while.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process"
)]
async fn another_process_retries_what_failed() {
    let text = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let told = text.clone();
    let router = axum::Router::new().fallback(async move || told.lock().unwrap().clone());
    let address = serve_local(router).await.to_string();
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &[]).await;
    let client = reqwest_client();
    let url = format!("http://{address}/later.yaml");
    // Of two files: the second one says what is wrong with it.
    let root = "openapi: 3.1.0\npaths: {/a: {$ref: part.yaml}}";
    let fine = api("Fine", "/f");
    let files = [
        ("root.yaml", root),
        ("part.yaml", "get: 'nothing'"),
        ("fine.yaml", &fine),
    ];
    let parts = files.map(|(name, text)| {
        format!("--B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{text}\r\n")
    });
    let fields = ["collection", "access"].map(|name| {
        let value = if name == "access" { "open" } else { "c" };
        format!("--B\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    });
    let form = format!("{}{}--B--\r\n", fields.concat(), parts.concat());
    let bulk = client
        .post(format!("{}/api/v1/imports", served.origin))
        .header("content-type", "multipart/form-data; boundary=B")
        .bearer_auth(ADMIN_KEY)
        .body(form);
    let bulk = bulk.send().await.unwrap();
    let uploaded = bulk.headers()["location"].to_str().unwrap().to_owned();
    let body = json!({ "collection": "c", "access": "open", "allowUpstream": ["127.0.0.1"], "items": [{ "url": url }] });
    let (status, listed) = served.api(ADMIN_KEY, ("POST", "imports"), &body).await;
    assert_eq!(status, 202, "{listed}");
    let listed = format!("/api/v1/imports/{}", listed["id"].as_str().unwrap());
    let ended = async |origin: &str, location: &str| loop {
        let view = get(&client, &format!("{origin}{location}")).await;
        if view["state"] != "running" {
            break view["result"].clone();
        }
        tokio::task::yield_now().await;
    };
    let first = ended(&served.origin, &uploaded).await;
    assert_eq!((&first["total"], &first["failed"]), (&json!(2), &json!(1)));
    assert_eq!(first["items"][1]["kept"], true, "{first}");
    assert_eq!(ended(&served.origin, &listed).await["failed"], 1);
    served.terminate();
    served.ended().await;

    *text.lock().unwrap() = api("Later", "/l");
    let served = start(&folder, &[]).await;
    let retry = async |location: &str| {
        let path = format!("{}/retry", location.strip_prefix("/api/v1/").unwrap());
        let (status, begun) = served.api(ADMIN_KEY, ("POST", &path), &json!({})).await;
        assert_eq!(status, 202, "{begun}");
        let location = format!("/api/v1/imports/{}", begun["id"].as_str().unwrap());
        ended(&served.origin, &location).await
    };
    let again = retry(&uploaded).await;
    assert_eq!(again["total"], 1, "only what failed: {again}");
    assert_eq!(again["collection"], "c");
    assert_eq!(again["items"][0], first["items"][1], "of all its files");
    let again = retry(&listed).await;
    assert_eq!(again["created"], 1, "{again}");
    // Under the settings it was begun with.
    assert_eq!(served.tools("/mcp/later").await.len(), 1);
    let path = format!("{}/retry", uploaded.strip_prefix("/api/v1/").unwrap());
    let (status, said) = served.api("no-such-key", ("POST", &path), &json!({})).await;
    assert_eq!(status, 401, "{said}");
}

/// The same through the API: progress, and a retry of what failed.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process"
)]
async fn the_api_retries_the_failed_items_of_an_import() {
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &[]).await;
    let client = reqwest_client();
    let good = api("Good", "/g");
    let body = json!({ "collection": "c", "items": [
        { "name": "good", "document": good }, { "name": "bad", "document": "openapi: 3.1.0" },
        { "name": "recorded", "document": r#"{"log": {"entries": []}}"# }] });
    let post = async |path: &str, body: &Value| {
        let url = format!("{}{path}", served.origin);
        client
            .post(url)
            .bearer_auth(ADMIN_KEY)
            .json(body)
            .send()
            .await
            .unwrap()
    };
    let begun = post("/api/v1/imports", &body).await;
    assert_eq!(begun.status(), 202);
    let location = begun.headers()["location"].to_str().unwrap().to_owned();
    let ended = async |location: &str| loop {
        let view = get(&client, &format!("{}{location}", served.origin)).await;
        if view["state"] == "done" {
            break view;
        }
        tokio::task::yield_now().await;
    };
    let view = ended(&location).await;
    assert_eq!(
        (&view["result"]["done"], &view["result"]["failed"]),
        (&json!(3), &json!(2)),
        "{view}"
    );
    // Nobody knows which secrets are in a recording.
    let kept = |at: usize| view["result"]["items"][at]["kept"].clone();
    assert_eq!((kept(1), kept(2)), (json!(true), json!(false)), "{view}");
    let retried = post(&format!("{location}/retry"), &json!({})).await;
    assert_eq!(retried.status(), 202);
    let again = retried.headers()["location"].to_str().unwrap().to_owned();
    let view = ended(&again).await;
    assert_eq!(view["result"]["total"], 1, "only what failed: {view}");
    assert_eq!(view["result"]["items"][0]["name"], "bad", "{view}");
    let unknown = "/api/v1/imports/01900000-0000-7000-8000-000000000001/retry";
    assert_eq!(post(unknown, &json!({})).await.status(), 404);
    for wrong in [
        json!({"items": []}),
        json!({"items": [{"name": "x"}]}),
        json!({"items": [{"name": "x", "document": "1"}, {"name": "x", "document": "1"}]}),
    ] {
        assert!(
            post("/api/v1/imports", &wrong)
                .await
                .status()
                .is_client_error(),
            "{wrong}"
        );
    }
}
