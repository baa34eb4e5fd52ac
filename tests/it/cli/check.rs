//! `causeway check`: the report, and the exit code a pipeline goes by.

use crate::program::{example, run};

#[tokio::test]
async fn a_document_that_loses_nothing_passes() {
    let ended = run(&["check", &example("petstore.yaml")]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("6 tools"), "{ended:?}");
    assert!(ended.stdout.contains("0 lost"), "{ended:?}");
    assert_eq!(ended.stderr, "");
}

#[tokio::test]
async fn lost_operations_fail_and_are_named_with_place_and_fix() {
    let file = example("malformed.yaml");
    let ended = run(&["check", &file]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for words in [
        "Ticket desk (OpenAPI 3.0)",
        "11 tools",
        "6 lost",
        "PUT /tickets: the operation is not an object",
        "at /paths/~1tickets/put",
        "fix: Write the operation as an object",
    ] {
        assert!(ended.stdout.contains(words), "{words} is not in {ended:?}");
    }
}

#[tokio::test]
async fn json_holds_the_whole_report() {
    let ended = run(&["check", &example("malformed.yaml"), "--json"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let report = ended.json();
    assert_eq!(report["title"], "Ticket desk");
    assert_eq!(report["tools"].as_array().unwrap().len(), 11);
    assert_eq!(report["tools"][0]["name"], "listTickets");
    let findings = report["findings"].as_array().unwrap();
    let lost = findings.iter().filter(|f| f["severity"] == "lost");
    assert_eq!(report["lost"], lost.clone().count());
    let pointers: Vec<_> = lost.map(|f| f["pointer"].as_str().unwrap()).collect();
    assert!(pointers.contains(&"/paths/~1broken-link/get"), "{report}");
}

#[tokio::test]
async fn warnings_fail_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odd.yaml");
    let text = "openapi: 3.1.0\ninfo: {title: Odd, version: '1'}\n\
                servers: [{url: 'https://api.example.com'}]\n\
                paths: {'/a/{id}': {get: {operationId: a, responses: {'200': {description: ok}}}}}";
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    assert_eq!(run(&["check", &file]).await.code, Some(0));
    assert_eq!(run(&["check", &file, "--strict"]).await.code, Some(1));
}

/// What goes wrong only when tools are made or served is in the report too, each with its place.
#[tokio::test]
async fn what_is_not_checked_not_sent_or_goes_nowhere_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let text = r"
openapi: 3.1.0
info: {title: Odd, version: '1'}
servers: [{url: /v1}]
paths:
  /names/{name}:
    get:
      operationId: named
      parameters:
        - {name: name, in: path, required: true, schema: {type: string, pattern: '^(?!x)a+$'}}
        - {name: Host, in: header, schema: {type: string}}
        - {name: Transfer-Encoding, in: header, schema: {type: string}}
        - {name: X-Own, in: header, schema: {type: string}}
  /mixed:
    post:
      operationId: mixed
      requestBody: {content: {multipart/related: {schema: {type: object}}}}
  /strict:
    post:
      requestBody: {required: true, content: {multipart/related: {schema: {type: object}}}}
";
    let file = folder.path().join("odd.yaml");
    std::fs::write(&file, text).unwrap();
    let ended = run(&["check", &file.display().to_string(), "--json"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let report = ended.json();
    let mut found: Vec<[&str; 4]> = Vec::new();
    for finding in report["findings"].as_array().unwrap() {
        let text = |name: &str| finding[name].as_str().unwrap_or_default();
        assert!(!text("fix").is_empty(), "{finding}");
        found.push([
            text("code"),
            text("severity"),
            text("pointer"),
            text("operation"),
        ]);
    }
    let header = "/paths/~1names~1{name}/get/parameters/";
    let (host, transfer) = (format!("{header}1"), format!("{header}2"));
    let (get, strict) = ("/paths/~1names~1{name}/get", "/paths/~1strict/post");
    assert_eq!(
        found,
        [
            ["header-parameter-ignored", "note", &host, "GET /names/{}"],
            [
                "header-parameter-ignored",
                "note",
                &transfer,
                "GET /names/{}"
            ],
            [
                "body-left-out",
                "warning",
                "/paths/~1mixed/post",
                "POST /mixed"
            ],
            ["body-media-type", "lost", strict, "POST /strict"],
            ["schema-not-checked", "warning", get, "GET /names/{}"],
            ["server-unresolvable", "warning", get, "GET /names/{}"],
        ]
    );
    let text = run(&["check", &file.display().to_string()]).await.stdout;
    for words in [
        "^(?!x)a+$",
        "server \"/v1\" is relative",
        "calls of 2 tools fail",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_has_an_exit_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nothing.yaml").display().to_string();
    let ended = run(&["check", &missing]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert!(
        ended.stderr.contains(&missing) && ended.stderr.contains("No such file"),
        "{ended:?}"
    );

    let directory = folder.path().display().to_string();
    let ended = run(&["check", &directory]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("holds no JSON, YAML or HAR file"),
        "{ended:?}"
    );

    let other = folder.path().join("other.yaml");
    std::fs::write(&other, "hello: world").unwrap();
    let ended = run(&["check", &other.display().to_string(), "--json"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let error = ended.json()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("not an OpenAPI document"), "{error}");
}
