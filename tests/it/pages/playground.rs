//! The playground: answers side by side with their figures, piece by piece, stopped half-way, and for whom they count.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::pages::accounts::{KEY, add, api, by_key, session};
use crate::pages::{PATIENCE, Served, csrf, form, serve_with};

const HOSTILE: &str = "**bold** <script>alert(1)</script> [x](javascript:alert(2))";

fn served() -> Served {
    serve_with(&["--admin-key", KEY, "--allow-upstream", "127.0.0.1"])
}

fn post(served: &Served, path: &str, cookie: &str, fields: &[(&str, &str)]) -> String {
    let token = csrf(&served.get("/playground", cookie));
    let fields = [&[("csrf", token.as_str())], fields].concat();
    served.post(path, &format!("Cookie: {cookie}\r\n"), &form(&fields))
}

/// What the roll-ups have of each model, once that is anything: calls, errors, cancelled.
fn used(served: &Served, model: &str) -> (u64, u64, u64) {
    let begun = Instant::now();
    loop {
        let path = format!("/api/v1/model-usage?model={model}");
        let (_, told) = api(served, ("GET", &path), &by_key(), &Value::Null);
        let count = |name: &str| told["totals"][name].as_u64().unwrap();
        if count("calls") > 0 {
            return (count("calls"), count("errors"), count("cancelled"));
        }
        assert!(begun.elapsed() < PATIENCE, "{told}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The objects of a stream of events.
fn events(answer: &str) -> Vec<Value> {
    let lines = answer
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    lines
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn a_member_asks_without_script_and_sees_whole_answers_with_their_figures() {
    let served = served();
    add(&served, "mia", "member");
    let cookie = session(&served, "mia");
    let page = served.get("/playground", &cookie);
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("<option value=\"demo\">") && page.contains("value=\"demo\" list="));
    assert!(page.contains("/v1/chat/completions") && page.contains("YOUR_KEY"));
    let entered = [
        ("model", "demo"),
        ("model", "no-such-model"),
        ("model", ""),
        ("system", "Be brief"),
        ("message", HOSTILE),
    ];
    let answered = post(&served, "/playground", &cookie, &entered);
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    let cards: Vec<&str> = answered
        .split("<article class=\"panel answer\">")
        .skip(1)
        .take(2)
        .collect();
    let [well, missing] = cards[..] else {
        panic!("{answered}")
    };
    assert!(
        well.contains("I am the demo model") && well.contains("<strong>bold</strong>"),
        "{well}"
    );
    assert!(well.contains("<dd><code>demo/demo</code>"), "{well}");
    for label in ["First token after", "Tokens in", "Tokens out", "Cost"] {
        assert!(well.contains(label), "{label}: {well}");
    }
    assert!(
        missing.contains("<b>404</b> there is no model `no-such-model`"),
        "{missing}"
    );
    assert!(missing.contains("model_not_found"), "{missing}");
    assert!(
        !answered.contains("<script>") && !answered.contains("href=\"javascript"),
        "{answered}"
    );
    // What is copied asks the same: the text is there as JSON in a shell's quotes.
    assert!(
        well.contains("&#34;content&#34;:&#34;Be brief&#34;"),
        "{well}"
    );
    assert_eq!(used(&served, "demo"), (1, 0, 0));
    assert_eq!(used(&served, "no-such-model"), (1, 1, 0));

    let empty = post(
        &served,
        "/playground",
        &cookie,
        &[("model", "demo"), ("message", " ")],
    );
    assert!(
        empty.starts_with("HTTP/1.1 422") && empty.contains("Write a message."),
        "{empty}"
    );
}

#[test]
fn an_answer_comes_piece_by_piece_and_ends_with_what_the_page_shows() {
    let served = served();
    add(&served, "mia", "member");
    let cookie = session(&served, "mia");
    let asked = [("model", "demo"), ("message", HOSTILE)];
    let answer = post(&served, "/playground/answer", &cookie, &asked);
    assert!(
        answer.contains("content-type: text/event-stream"),
        "{answer}"
    );
    let events = events(&answer);
    let (last, pieces) = events.split_last().unwrap();
    let said: String = pieces
        .iter()
        .map(|event| event["text"].as_str().unwrap())
        .collect();
    assert!(said.ends_with(&format!("You said: {HOSTILE}")), "{said}");
    let html = last["html"].as_str().unwrap();
    assert!(html.trim_start().starts_with("<article"), "{html}");
    assert!(
        html.contains("demo/demo")
            && !html.contains("<script>")
            && !html.contains("href=\"javascript"),
        "{html}"
    );
    assert_eq!(used(&served, "demo"), (1, 0, 0));
}

#[test]
fn nobody_asks_without_a_session_and_the_token_of_its_pages() {
    let served = served();
    add(&served, "mia", "member");
    let cookie = session(&served, "mia");
    for path in ["/playground", "/playground/answer"] {
        let asked = form(&[("model", "demo"), ("message", "hi")]);
        let stranger = served.post(path, "", &asked);
        assert!(stranger.starts_with("HTTP/1.1 303"), "{path}: {stranger}");
        let session = format!("Cookie: {cookie}\r\n");
        let forged = served.post(path, &session, &asked);
        assert!(forged.starts_with("HTTP/1.1 403"), "{path}: {forged}");
        let elsewhere = format!("{session}Sec-Fetch-Site: cross-site\r\n");
        let token = csrf(&served.get("/playground", &cookie));
        let crossed = served.post(path, &elsewhere, &format!("{asked}&csrf={token}"));
        assert!(crossed.starts_with("HTTP/1.1 403"), "{path}: {crossed}");
    }
    assert!(served.get("/playground", "").starts_with("HTTP/1.1 303"));
    let (_, told) = api(
        &served,
        ("GET", "/api/v1/model-usage"),
        &by_key(),
        &Value::Null,
    );
    assert_eq!(told["totals"]["calls"], 0, "{told}");
}

/// A provider that says one word and then nothing more, until it is left. Whether it was is read from what is returned.
fn stalling() -> (SocketAddr, std::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (left, leaving) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = [0; 16 << 10];
        let _ = stream.read(&mut heard);
        let chunk = json!({
            "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "slow",
            "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "Well," }, "finish_reason": null }],
        });
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        let _ = write!(stream, "{head}data: {chunk}\n\n");
        // Comes back when the other side has closed.
        while stream.read(&mut heard).is_ok_and(|count| count > 0) {}
        let _ = left.send(());
    });
    (address, leaving)
}

#[test]
fn whoever_stops_an_answer_leaves_the_provider_and_pays_for_what_there_was() {
    let served = served();
    add(&served, "mia", "member");
    let cookie = session(&served, "mia");
    let (address, leaving) = stalling();
    let provider = json!({
        "kind": "openai-compatible",
        "parameters": { "base_url": format!("http://{address}/v1") },
        "allowUpstream": ["127.0.0.1"],
    });
    let put = ("PUT", "/api/v1/providers/slow");
    let (status, made) = api(&served, put, &by_key(), &provider);
    assert!(status < 300, "{made}");

    let token = csrf(&served.get("/playground", &cookie));
    let body = form(&[("csrf", &token), ("model", "slow/slow"), ("message", "hi")]);
    let mut stream = TcpStream::connect(&served.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST /playground/answer HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
        served.address,
        body.len()
    )
    .unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("Well,") {
        let mut more = [0; 1024];
        let count = stream.read(&mut more).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&more[..count]);
    }
    drop(stream);
    leaving
        .recv_timeout(PATIENCE)
        .expect("the provider is left");
    assert_eq!(used(&served, "slow/slow"), (1, 0, 1));
}
