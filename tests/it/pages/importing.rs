//! An import that takes longer than a form should wait.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Sender, channel};

use crate::pages::{csrf, serve_with};

/// A site that sends its document when it is told to.
fn slow(documents: &'static [&'static str]) -> (SocketAddr, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (go, wait) = channel();
    std::thread::spawn(move || {
        for text in documents {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            // The test has ended if nobody can tell any more.
            if wait.recv().is_err() {
                return;
            }
            let length = text.len();
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json";
            write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{text}").unwrap();
        }
    });
    (address, go)
}

const DOCUMENT: &str = r#"{"openapi": "3.1.0", "info": {"title": "Late <script>", "version": "1"},
  "servers": [{"url": "https://late.example"}],
  "paths": {"/late": {"get": {"operationId": "late"}}}}"#;

#[test]
fn a_slow_import_has_a_page_that_reloads_until_it_ends() {
    let (address, go) = slow(&[DOCUMENT, "{\"openapi\": \"<script>\"}"]);
    let served = serve_with(&["--allow-upstream", "127.0.0.1"]);
    let cookie = served.sign_in();
    let token = csrf(&served.get("/publish", &cookie));
    for ends_well in [true, false] {
        let body = format!(
            "--e\r\nContent-Disposition: form-data; name=\"url\"\r\n\r\nhttp://{address}/openapi.json\r\n\
             --e\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{token}\r\n--e--\r\n"
        );
        let head = format!(
            "POST /publish HTTP/1.1\r\nCookie: {cookie}\r\nContent-Type: multipart/form-data; boundary=e"
        );
        let begun = served.ask(&head, &body);
        assert!(begun.starts_with("HTTP/1.1 303"), "{begun}");
        let at = begun.find("location: /imports/").expect("it was not slow") + "location: ".len();
        let path = begun[at..].lines().next().unwrap();

        let running = served.get(path, &cookie);
        assert!(
            running.contains("http-equiv=\"refresh\"") && running.contains("<progress"),
            "{running}"
        );
        assert!(
            served.get(path, "").starts_with("HTTP/1.1 303"),
            "visitors see an import"
        );
        go.send(()).unwrap();
        let ended = loop {
            let page = served.get(path, &cookie);
            if !page.contains("http-equiv=\"refresh\"") {
                break page;
            }
        };
        if ends_well {
            let review = "/servers/late-script/review";
            assert!(
                ended.starts_with("HTTP/1.1 303") && ended.contains(&format!("location: {review}")),
                "{ended}"
            );
            let head = format!("GET {path} HTTP/1.1\r\nCookie: {cookie}\r\nHX-Request: true");
            let led = served.ask(&head, "");
            assert!(led.contains(&format!("hx-redirect: {review}")), "{led}");
            assert!(served.get(review, &cookie).contains("value=\"late\""));
            continue;
        }
        assert!(
            ended.starts_with("HTTP/1.1 200") && !ended.contains("<script>"),
            "{ended}"
        );
        assert!(
            ended.contains("Not published") && ended.contains("role=\"alert\""),
            "{ended}"
        );
        assert!(ended.contains("href=\"/publish\""), "{ended}");
    }
    for unknown in [
        "/imports/01900000-0000-7000-8000-000000000001",
        "/imports/x",
    ] {
        let page = served.get(unknown, &cookie);
        assert!(
            page.starts_with("HTTP/1.1 404") && page.contains("no such import"),
            "{page}"
        );
    }
}

#[test]
fn the_form_takes_the_files_of_one_document() {
    let served = serve_with(&[]);
    let cookie = served.sign_in();
    let token = csrf(&served.get("/publish", &cookie));
    let root = DOCUMENT.replace(
        "{\"get\": {\"operationId\": \"late\"}}",
        "{\"$ref\": \"late.yaml\"}",
    );
    let file = |name: &str, text: &str| {
        format!(
            "--e\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{text}\r\n"
        )
    };
    let field = |name: &str, value: &str| {
        format!("--e\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = [
        field("csrf", &token),
        field("slug", "parts"),
        file("openapi.json", &root),
        file("late.yaml", "get: {operationId: fromTheOtherFile}"),
        "--e--\r\n".to_owned(),
    ]
    .concat();
    let head = format!(
        "POST /publish HTTP/1.1\r\nCookie: {cookie}\r\nContent-Type: multipart/form-data; boundary=e"
    );
    let begun = served.ask(&head, &body);
    assert!(
        begun.starts_with("HTTP/1.1 303") && begun.contains("location: /servers/parts"),
        "{begun}"
    );
    let page = served.get("/servers/parts/tools", &cookie);
    assert!(page.contains("fromTheOtherFile"), "{page}");
}
