//! What calls of models add up to, on the page, in the exports and in the ledger; and the limits of models on the page
//! of a consumer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::pages::accounts::{KEY, api, by_key};
use crate::pages::{PATIENCE, Served, cookie, serve_with};

/// A provider that answers as it is asked, whole or in pieces; `broken` it does not answer.
fn provider() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A peer that leaves early is no concern of the provider.
            let _ = answer(stream.unwrap());
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let asked: Value = serde_json::from_slice(&body)?;
    let usage = json!({
        "prompt_tokens": 1_200, "completion_tokens": 300, "total_tokens": 1_500,
        "prompt_tokens_details": { "cached_tokens": 200 },
        "completion_tokens_details": { "reasoning_tokens": 40 },
    });
    let (status, kind, text) = if asked["model"] == "broken" {
        let error = json!({ "error": { "message": "no", "type": "server_error" } });
        ("500 Oh", "application/json", error.to_string())
    } else if asked["stream"] == true {
        let chunk = |choices: Value, usage: Value| {
            let chunk = json!({
                "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "usage": usage,
            });
            format!("data: {chunk}\n\n")
        };
        let said = json!([{ "index": 0, "delta": { "role": "assistant", "content": "Hi" }, "finish_reason": null }]);
        let end = json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]);
        let pieces = [
            chunk(said, Value::Null),
            chunk(end, Value::Null),
            chunk(json!([]), usage),
        ];
        let text = format!("{}data: [DONE]\n\n", pieces.concat());
        ("200 OK", "text/event-stream", text)
    } else {
        let whole = json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "Hi" }, "finish_reason": "stop" }],
        });
        ("200 OK", "application/json", whole.to_string())
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

fn manage(served: &Served, method: &str, path: &str, body: &Value) -> Value {
    let path = format!("/api/v1/{path}");
    let (status, said) = api(served, (method, &path), &by_key(), body);
    assert!((200..300).contains(&status), "{path}: {status} {said}");
    said
}

/// A process with two consumers, and models with a price, without one, and out of order.
fn served() -> (Served, [String; 2]) {
    let address = provider();
    let served = serve_with(&["--admin-key", KEY, "--allow-upstream", "127.0.0.1"]);
    let kept = json!({
        "kind": "fake",
        "allowUpstream": ["127.0.0.1"],
        "definition": {
            "id": "fake", "name": "Fake", "dialect": "openai-chat", "docs": "https://example.com/docs",
            "base_url": format!("http://{address}/v1"), "auth": "none", "capabilities": ["chat"], "prices": "openai",
        },
    });
    for name in ["one", "two"] {
        manage(&served, "PUT", &format!("providers/{name}"), &kept);
    }
    let keys = ["anna", "ben"].map(|name| {
        let made = manage(&served, "POST", "keys", &json!({ "name": name }));
        made["key"].as_str().unwrap().to_owned()
    });
    (served, keys)
}

fn ask(served: &Served, key: &str, model: &str, stream: bool) -> String {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json"
    );
    let messages = json!([{ "role": "user", "content": "Hi" }]);
    let body = json!({ "model": model, "stream": stream, "messages": messages });
    served.ask(&head, &body.to_string())
}

/// The export of the ledger. A client of HTTP/1.0 gets it in one piece.
fn exported(served: &Served, query: &str) -> Vec<Value> {
    let head = format!("GET /api/v1/ledger.json{query} HTTP/1.0\r\n{}", by_key());
    let answer = served.ask(&head, "");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).expect(&answer)
}

/// The ledger, once it has so many calls.
fn ledger(served: &Served, calls: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let rows = exported(served, "");
        if rows.len() == calls {
            return rows;
        }
        assert!(begun.elapsed() < PATIENCE, "{rows:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The name of the group that a row of the ledger is in.
type Name<'a> = &'a dyn Fn(&Value) -> String;
/// What a group comes to: calls, errors, tokens in, cached, out and thought, and the cost if any is known.
type Sums = ([i64; 6], Option<i64>);

fn summed<'a>(rows: impl Iterator<Item = (String, Sums)> + 'a) -> BTreeMap<String, Sums> {
    let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
    for (name, (counts, cost)) in rows {
        let sum = sums.entry(name).or_default();
        for (sum, more) in sum.0.iter_mut().zip(counts) {
            *sum += more;
        }
        sum.1 = match (sum.1, cost) {
            (Some(sum), Some(more)) => Some(sum + more),
            (sum, more) => sum.or(more),
        };
    }
    sums
}

fn of_ledger(rows: &[Value], name: &dyn Fn(&Value) -> String) -> BTreeMap<String, Sums> {
    summed(rows.iter().map(|row| {
        let count = |key: &str| row[key].as_i64().unwrap_or(0);
        let counts = [
            1,
            i64::from(row["status"] != "ok"),
            count("tokensInput"),
            count("tokensCached"),
            count("tokensOutput"),
            count("tokensReasoning"),
        ];
        (name(row), (counts, row["costNanos"].as_i64()))
    }))
}

fn of_json(rows: &Value, by: &str) -> BTreeMap<String, Sums> {
    let rows = rows.as_array().unwrap();
    summed(rows.iter().map(|row| {
        let count = |key: &str| row[key].as_i64().unwrap();
        let counts = [
            count("calls"),
            count("errors"),
            count("tokensInput"),
            count("tokensCached"),
            count("tokensOutput"),
            count("tokensReasoning"),
        ];
        let name = row["of"][by].as_str().unwrap().to_owned();
        (name, (counts, row["costNanos"].as_i64()))
    }))
}

fn of_csv(text: &str, by: &str) -> BTreeMap<String, Sums> {
    let (_, text) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = |column: &str| head.iter().position(|name| *name == column).unwrap();
    summed(lines.map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let count = |column: &str| cells[at(column)].parse().unwrap();
        let counts = [
            count("calls"),
            count("errors"),
            count("tokens_input"),
            count("tokens_cached"),
            count("tokens_output"),
            count("tokens_reasoning"),
        ];
        let cost = cells[at("cost_nanos")].parse().ok();
        (cells[at(by)].to_owned(), (counts, cost))
    }))
}

/// The cells of a row of one of the page's tables, as they are read.
fn cells(page: &str, table: &str, name: &str) -> Vec<String> {
    let (_, section) = page
        .split_once(&format!("<h2 id=\"{table}\">"))
        .expect(table);
    let row = section
        .split("<tr>")
        .find(|row| row.contains(&format!("<code>{name}</code>")));
    let cells = row.expect(name).split("<td ").skip(1);
    cells
        .map(|cell| {
            let mut text = String::new();
            let mut inside = true;
            for letter in cell.split("</td>").next().unwrap().chars() {
                match letter {
                    '<' => inside = true,
                    '>' => inside = false,
                    letter if !inside => text.push(letter),
                    _ => {}
                }
            }
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            // What has no price is said beside the cost of what has one.
            text.split(" and ").next().unwrap().to_owned()
        })
        .collect()
}

fn grouped(number: i64) -> String {
    let text = number.to_string();
    let (start, end) = text.split_at(text.len().saturating_sub(3));
    let comma = if start.is_empty() { "" } else { "," };
    format!("{start}{comma}{end}")
}

/// The row a page has for sums.
fn shown(([calls, errors, input, cached, output, thought], cost): &Sums) -> [String; 5] {
    let part = |count: &i64, word: &str| match count {
        0 => String::new(),
        count => format!(" of which {} {word}", grouped(*count)),
    };
    let cost = cost.map_or_else(
        || if *input > 0 { "unknown" } else { "$0.0000" }.to_owned(),
        |cost| {
            format!(
                "${}.{:04}",
                cost / 1_000_000_000,
                cost % 1_000_000_000 / 100_000
            )
        },
    );
    [
        calls.to_string(),
        errors.to_string(),
        format!("{}{}", grouped(*input), part(cached, "cached")),
        format!("{}{}", grouped(*output), part(thought, "thought")),
        cost,
    ]
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
fn the_ledger_the_page_and_the_exports_are_one_sum() {
    let (served, [anna, ben]) = served();
    for (key, model, stream, times) in [
        (&anna, "one/gpt-4o", true, 3),
        (&anna, "two/gpt-4o", false, 2),
        (&ben, "one/gpt-4o", false, 1),
        (&ben, "one/nobody-knows-it", true, 2),
        (&ben, "two/broken", false, 1),
    ] {
        for _ in 0..times {
            let answer = ask(&served, key, model, stream);
            let status = if model == "two/broken" { "502" } else { "200" };
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{answer}"
            );
        }
    }
    let rows = ledger(&served, 9);
    let streamed = rows
        .iter()
        .find(|row| row["model"] == "one/nobody-knows-it");
    let streamed = streamed.unwrap();
    assert_eq!(streamed["target"], "one/nobody-knows-it");
    assert_eq!(streamed["costNanos"], Value::Null, "{streamed}");
    assert_eq!(
        (&streamed["attempts"], &streamed["estimated"]),
        (&json!(1), &json!(false))
    );
    assert!(
        streamed["firstTokenMicros"].as_i64().unwrap() > 0,
        "{streamed}"
    );
    let read = manage(&served, "GET", "ledger", &Value::Null);
    assert_eq!(
        read["calls"],
        json!(rows),
        "the page of the ledger and its export"
    );
    assert_eq!(exported(&served, "?model=one%2Fgpt-4o").len(), 4);

    let key = served.submit("/login", &[("key", KEY)]);
    let cookie = cookie(&key, "causeway_session").unwrap();
    let page = served.get("/usage/models", &cookie);
    let provider = |row: &Value| {
        let target = row["target"].as_str().unwrap();
        target.split('/').next().unwrap().to_owned()
    };
    let text = |key: &'static str| move |row: &Value| row[key].as_str().unwrap().to_owned();
    let kinds: [(&str, &str, Name<'_>); 4] = [
        ("model", "model-usage-models", &text("model")),
        ("provider", "model-usage-providers", &provider),
        ("target", "model-usage-targets", &text("target")),
        ("consumer", "usage-by-consumer", &text("consumer")),
    ];
    for (by, table, name) in kinds {
        let sums = of_ledger(&rows, name);
        let path = |kind: &str| format!("model-usage.{kind}?by={by}&step=day");
        let json = manage(&served, "GET", &path("json"), &Value::Null);
        let csv = served.get(&format!("/api/v1/{}", path("csv")), &cookie);
        for (name, sum) in &sums {
            // Calls that used nothing cost nothing: the ledger has no price for them, and a sum is nothing.
            let mut added = *sum;
            if added.0[2] == 0 {
                added.1 = Some(0);
            }
            assert_eq!(of_json(&json, by)[name], added, "{by} {name}: {json}");
            assert_eq!(of_csv(&csv, by)[name], added, "{by} {name}: {csv}");
            assert_eq!(cells(&page, table, name)[..5], shown(sum), "{by} {name}");
        }
        assert_eq!(of_json(&json, by).len(), sums.len(), "{json}");
    }
    let totals = of_ledger(&rows, &|_| "all".to_owned());
    let read = manage(&served, "GET", "model-usage", &Value::Null);
    assert_eq!(read["totals"]["costNanos"].as_i64(), totals["all"].1);
    assert_eq!(read["totals"]["unknownCosts"], 2);
    let cost = shown(&totals["all"])[4].clone();
    assert!(
        page.contains(&format!(
            "{cost} <small>and 2 calls without a known price</small>"
        )),
        "{page}"
    );
    let of_ben = served.get(
        "/usage/models?consumer=ben&provider=one&period=30d",
        &cookie,
    );
    let sums = of_ledger(
        &rows
            .into_iter()
            .filter(|row| row["consumer"] == "ben" && provider(row) == "one")
            .collect::<Vec<_>>(),
        &text("model"),
    );
    for (name, sum) in &sums {
        assert_eq!(cells(&of_ben, "model-usage-models", name)[..5], shown(sum));
    }
    assert!(!of_ben.contains("<code>two/"), "{of_ben}");
}

#[test]
fn the_page_of_a_consumer_shows_the_limits_of_models_and_what_is_used_of_them() {
    let (served, [anna, _]) = served();
    let model = json!({
        "targets": [{ "provider": "one", "model": "gpt-4o" }],
        "limits": [
            { "unit": "requests", "amount": 10, "window": "day", "scope": "consumer" },
            { "unit": "requests", "amount": 200, "window": "day", "scope": "server" },
            { "unit": "requests", "amount": 60, "window": "minute", "scope": "key" },
            { "unit": "tokens", "amount": 900_000, "window": "minute", "scope": "server" },
        ],
    });
    manage(&served, "PUT", "models/fast", &model);
    for _ in 0..3 {
        let answer = ask(&served, &anna, "fast", false);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let key = served.submit("/login", &[("key", KEY)]);
    let cookie = cookie(&key, "causeway_session").unwrap();
    let page = served.get("/admin/consumers/anna", &cookie);
    let (used, limits) = page.split_once("<h2 id=\"limits\">").unwrap();
    assert_eq!(used.matches("<code>fast</code>").count(), 2, "{used}");
    assert!(used.contains("of 10 used"), "{used}");
    assert!(used.contains("all callers together"), "{used}");
    let (_, models) = limits.split_once("<h2 id=\"models\">").unwrap();
    let (models, _) = models.split_once("<h2 id=\"plans\">").unwrap();
    for words in [
        "<code class=\"strong\">fast</code>",
        "60 ",
        "each minute",
        "each day",
        "900000 tokens, each minute, for all together",
    ] {
        assert!(models.contains(words), "{words}: {models}");
    }
    let told = manage(&served, "GET", "consumers/anna", &Value::Null);
    let counters = told["quotas"].as_array().unwrap();
    let of_models = counters.iter().filter(|quota| {
        let counter = quota["counter"].as_str().unwrap();
        counter.starts_with("model:")
    });
    assert_eq!(of_models.count(), 2, "{told}");
}
