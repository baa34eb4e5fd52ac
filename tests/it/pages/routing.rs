//! Providers and models on pages: what is entered is what the API says afterwards, and what a provider says to a
//! new key is shown beside it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::pages::{Served, csrf, form, serve};

const KEY: &str = "sk-nobody-is-shown-this-4321";

pub(super) struct Admin {
    pub(super) served: Served,
    pub(super) cookie: String,
    token: String,
}

pub(super) fn admin() -> Admin {
    let served = serve();
    let cookie = served.sign_in();
    let token = csrf(&served.get("/keys", &cookie));
    Admin {
        served,
        cookie,
        token,
    }
}

impl Admin {
    pub(super) fn get(&self, path: &str) -> String {
        self.served.get(path, &self.cookie)
    }

    pub(super) fn post(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        let pairs = [pairs, &[("csrf", self.token.as_str())]].concat();
        let own = format!("Cookie: {}\r\n", self.cookie);
        self.served.post(path, &own, &form(&pairs))
    }

    pub(super) fn api(&self, path: &str) -> Value {
        let answer = self.get(&format!("/api/v1/{path}"));
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or(json!(answer))
    }

    pub(super) fn put(&self, path: &str, body: &Value) {
        let head = format!(
            "PUT /api/v1/{path} HTTP/1.1\r\nContent-Type: application/json\r\nCookie: {}\r\nX-CSRF-Token: {}",
            self.cookie, self.token
        );
        let answer = self.served.ask(&head, &body.to_string());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// A provider that takes one key and lists two models. Its address.
fn provider() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let (status, body) = if head.iter().any(|line| line.contains(KEY)) {
                let models = json!({ "data": [{ "id": "embed-1" }, { "id": "alpha" }] });
                ("200 OK", models)
            } else {
                let error = json!({ "error": { "message": "that key is none of ours" } });
                ("401 Unauthorized", error)
            };
            let body = body.to_string();
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    address
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
fn a_provider_is_added_given_a_key_tried_and_served() {
    let admin = admin();
    let none = admin.get("/admin/providers");
    assert!(none.contains("/admin/provider-kinds\""), "{none}");
    let kinds = admin.get("/admin/provider-kinds");
    assert!(kinds.contains("OpenAI-compatible, unverified"), "{kinds}");
    let (address, path) = (provider(), "/admin/provider-kinds/openai-compatible");
    let base = format!("http://{address}/v1");
    for (pairs, status, said, field) in [
        (
            [("name", "first"), ("p.base_url", ""), ("allow", "")],
            422,
            "<code>base_url</code>",
            "name=\"p.base_url\" value=\"\" maxlength=\"2000\" required aria-invalid",
        ),
        (
            [
                ("name", "first"),
                ("p.base_url", &base),
                ("allow", "::1\n<b>"),
            ],
            422,
            "line 2",
            "aria-invalid=\"true\" aria-errormessage=\"allow-fault\"",
        ),
        (
            [("name", "No Name"), ("p.base_url", &base), ("allow", "")],
            422,
            "“Name”",
            "value=\"No Name\"",
        ),
    ] {
        let refused = admin.post(path, &pairs);
        let is_refused = refused.starts_with(&format!("HTTP/1.1 {status}"));
        assert!(is_refused && refused.contains(said), "{refused}");
        assert!(refused.contains(field), "{field}: {refused}");
    }
    let pairs = [
        ("name", "first"),
        ("p.base_url", base.as_str()),
        ("allow", address.as_str()),
    ];
    let made = admin.post(path, &pairs);
    assert!(made.contains("/admin/providers/first?done="), "{made}");
    let again = admin.post(path, &pairs);
    assert!(again.starts_with("HTTP/1.1 409"), "{again}");

    let one = "/admin/providers/first";
    let key = |value: &str| admin.post(one, &[("do", "key"), ("key", "main"), ("value", value)]);
    let wrong = key("sk-of-somebody-else-9999");
    assert!(wrong.contains("that key is none of ours"), "{wrong}");
    let kept = key(KEY);
    assert!(kept.starts_with("HTTP/1.1 200"), "{kept}");
    assert!(kept.contains("with 2 models"), "{kept}");
    assert!(
        kept.contains(&format!(
            "http://{}/v1/chat/completions",
            admin.served.address
        )),
        "{kept}"
    );
    assert!(kept.contains("first/alpha"), "{kept}");
    for page in [kept, admin.get(one), admin.get("/admin/providers")] {
        assert!(!page.contains(KEY), "{page}");
        assert!(page.contains("…4321"), "{page}");
    }
    let serve = [("do", "serve"), ("model", "alpha"), ("name", "")];
    let served = admin.post(one, &serve);
    assert!(served.contains("?done=model-made&in=use#told"), "{served}");
    assert!(admin.post(one, &serve).starts_with("HTTP/1.1 409"));
    let target = json!([{ "provider": "first", "model": "alpha" }]);
    assert_eq!(admin.api("models/alpha")["targets"], target);
    let page = admin.get(one);
    assert!(page.contains("&#34;alpha&#34;"), "{page}");

    let delete = [("do", "delete"), ("confirm", "first")];
    let held = admin.post(one, &delete);
    assert!(held.starts_with("HTTP/1.1 409"), "{held}");
    let other = admin.post("/admin/models/alpha", &[("do", "delete"), ("confirm", "a")]);
    assert!(other.starts_with("HTTP/1.1 422"), "{other}");
    let gone = admin.post(
        "/admin/models/alpha",
        &[("do", "delete"), ("confirm", "alpha")],
    );
    assert!(gone.contains("?done=model-removed"), "{gone}");
    assert!(admin.post(one, &delete).contains("?done=provider-removed"));
    assert_eq!(admin.api("providers")["providers"], json!([]));
}

/// What the hidden field of a model's forms holds.
pub(super) fn revision(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"revision\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
fn a_model_is_changed_in_parts_and_the_rest_stays() {
    let admin = admin();
    let base = json!({ "base_url": "https://llm.example.com/v1" });
    for name in ["first", "second"] {
        let provider = json!({ "kind": "openai-compatible", "parameters": base });
        admin.put(&format!("providers/{name}"), &provider);
    }
    let stored = json!({
        "targets": [{ "provider": "first", "model": "alpha", "weight": 9, "maxOutputTokens": 100 }],
        "retries": 3, "fallbackOn": ["timeout"], "onLoss": "refuse",
        "limits": [{ "unit": "requests", "amount": 5, "window": "minute", "scope": "server" }],
    });
    admin.put("models/team%2Ffast", &stored);
    let path = "/admin/models/team%2Ffast";
    let page = admin.get(path);
    let picture = page.split_once("<svg").unwrap().1;
    let picture = picture.split_once("</svg>").unwrap().0;
    for part in ["<title", "<desc", ">first<", ">alpha<", "100%"] {
        assert!(picture.contains(part), "{part}: {picture}");
    }
    let revision = revision(&page);
    let mut rows = vec![
        ("do", "targets"),
        ("revision", revision.as_str()),
        ("at-0", "0"),
        ("provider-0", "second"),
        ("model-0", "alpha"),
        ("weight-0", "9"),
        ("tier-0", "0"),
        ("output-0", "100"),
        ("at-1", ""),
        ("provider-1", "first"),
        ("model-1", ""),
        ("weight-1", "1001"),
        ("tier-1", "1"),
        ("output-1", ""),
    ];
    let refused = admin.post(path, &rows);
    assert!(refused.starts_with("HTTP/1.1 422"), "{refused}");
    assert!(
        refused.contains("Row 2: “Weight” is 0 to 1000"),
        "{refused}"
    );
    let field = "name=\"weight-1\" value=\"1001\"";
    let (_, after) = refused.split_once(field).unwrap();
    assert!(after.split('>').next().unwrap().contains("aria-invalid"));
    rows[11].1 = "7";
    let saved = admin.post(path, &rows);
    assert!(saved.contains("?done=saved&in=targets#told"), "{saved}");
    let mut expected = stored.clone();
    expected["targets"] = json!([
        { "provider": "second", "model": "alpha", "weight": 9, "maxOutputTokens": 100 },
        { "provider": "first", "weight": 7, "tier": 1 },
    ]);
    let now = || {
        let mut model = admin.api("models/team%2Ffast");
        let members = model.as_object_mut().unwrap();
        members.retain(|name, _| name != "name" && name != "updatedAt");
        model
    };
    assert_eq!(now(), expected);
    // What was shown before somebody else's change is not saved over it.
    let stale = admin.post(path, &rows);
    assert!(stale.starts_with("HTTP/1.1 412"), "{stale}");
    assert_eq!(now(), expected);

    let revision = self::revision(&admin.get(path));
    let limits = [
        ("do", "limits"),
        ("revision", revision.as_str()),
        ("unit-0", "money"),
        ("amount-0", "20"),
        ("window-0", "month"),
        ("scope-0", "server"),
        ("exhaust", "team/fast"),
    ];
    let refused = admin.post(path, &limits);
    assert!(
        refused.contains("“Once tokens or money are used up” is the name of another model"),
        "{refused}"
    );
    let mut limits = limits;
    limits[6].1 = "demo";
    let saved = admin.post(path, &limits);
    assert!(saved.contains("?done=saved&in=limits#told"), "{saved}");
    expected["limits"] = json!([
        { "unit": "money", "amount": 20_000_000, "window": "month", "scope": "server" },
    ]);
    expected["onExhaust"] = json!({ "downgrade": "demo" });
    assert_eq!(now(), expected);
    let list = admin.get("/admin/models");
    assert!(
        list.contains("20 dollars, each month, for all together"),
        "{list}"
    );
    assert!(!list.contains("team/fast\"><"), "the name is one segment");
}
