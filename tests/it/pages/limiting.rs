//! Limits, plans and consumers on pages: what is entered is what the API says afterwards.

use serde_json::{Value, json};

use crate::pages::{Served, csrf, form, serve};

struct Admin {
    served: Served,
    cookie: String,
    token: String,
}

fn admin() -> Admin {
    let served = serve();
    let cookie = served.sign_in();
    let token = csrf(&served.get("/keys", &cookie));
    let admin = Admin {
        served,
        cookie,
        token,
    };
    let head = format!(
        "POST /api/v1/keys HTTP/1.1\r\nContent-Type: application/json\r\nCookie: {}\r\nX-CSRF-Token: {}",
        admin.cookie, admin.token
    );
    for name in ["Ann's agent/1", "100% sure", "bert"] {
        let made = admin
            .served
            .ask(&head, &json!({ "name": name }).to_string());
        assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    }
    admin
}

impl Admin {
    fn get(&self, path: &str) -> String {
        self.served.get(path, &self.cookie)
    }

    fn post(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        let pairs = [pairs, &[("csrf", self.token.as_str())]].concat();
        let own = format!("Cookie: {}\r\n", self.cookie);
        self.served.post(path, &own, &form(&pairs))
    }

    fn api(&self, path: &str) -> Value {
        let answer = self.get(&format!("/api/v1/{path}"));
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or(json!(answer))
    }
}

/// A row of money and one of calls, and one that says nothing.
const ROWS: [(&str, &str); 14] = [
    ("unit-0", "money"),
    ("amount-0", "5.25"),
    ("window-0", "month"),
    ("scope-0", "consumer"),
    ("day-0", "15"),
    ("unit-1", "requests"),
    ("amount-1", "60"),
    ("window-1", "minute"),
    ("scope-1", "key"),
    ("burst-1", "10"),
    ("unit-2", "tokens"),
    ("amount-2", ""),
    ("window-2", "day"),
    ("scope-2", "tool"),
];

fn entered() -> Value {
    json!([
        {"unit": "money", "amount": 5_250_000, "window": "month", "scope": "consumer", "resetDay": 15},
        {"unit": "requests", "amount": 60, "window": "minute", "scope": "key", "burst": 10},
    ])
}

#[test]
fn limits_of_a_server_are_rows_of_its_settings() {
    let admin = admin();
    let path = "/servers/petstore/settings/limits";
    let answer = admin.post(path, &ROWS);
    assert!(answer.contains("?done=saved&in=limits#told"), "{answer}");
    let limits = || admin.api("servers/petstore")["settings"]["limits"].clone();
    assert_eq!(limits(), entered());
    let page = admin.get("/servers/petstore/settings");
    assert!(page.contains("name=\"amount-0\" value=\"5.25\""), "{page}");
    for (field, text, said) in [
        ("amount-1", "many", "Row 2: “Amount”"),
        ("amount-1", "0", "Row 2: The amount is 1 to"),
        ("day-0", "31", "Row 1: <b>Day it begins</b> is 1 to 28"),
        // Rows that say nothing are rows of the form all the same.
        ("amount-2", "0", "Row 3: The amount is 1 to"),
    ] {
        let mut rows = ROWS;
        for row in &mut rows {
            if row.0 == field {
                row.1 = text;
            }
        }
        let refused = admin.post(path, &rows);
        assert!(
            refused.starts_with("HTTP/1.1 422") && refused.contains(said),
            "{field}={text}: {refused}"
        );
        assert!(refused.contains(&format!("value=\"{text}\"")), "{refused}");
        assert!(!refused.contains("limits["), "{refused}");
        assert_eq!(limits(), entered());
    }
    let mut none = ROWS;
    for row in &mut none {
        if row.0.starts_with("amount") {
            row.1 = "";
        }
    }
    admin.post(path, &none);
    assert_eq!(limits(), Value::Null, "emptied rows are removed");
}

#[test]
fn a_plan_is_made_given_and_removed() {
    let admin = admin();
    let plan = [
        &[("name", "small"), ("description", "For a try.")],
        &ROWS[..],
    ]
    .concat();
    let made = admin.post("/admin/plans", &plan);
    assert!(
        made.contains("location: /admin/plans?done=plan-kept"),
        "{made}"
    );
    assert_eq!(admin.api("plans/small")["limits"], entered());
    let again = admin.post("/admin/plans", &plan);
    assert!(
        again.starts_with("HTTP/1.1 409") && again.contains("For a try."),
        "a new plan took the place of another: {again}"
    );
    let edited = [
        &[
            ("known", "yes"),
            ("name", "small"),
            ("description", "Less."),
        ],
        &ROWS[5..10],
    ];
    let edited: Vec<_> = edited.concat();
    // Rows begin with the first.
    let edited: Vec<(String, &str)> = edited
        .iter()
        .map(|(name, value)| (name.replace("-1", "-0"), *value))
        .collect();
    let edited: Vec<(&str, &str)> = edited
        .iter()
        .map(|(name, value)| (&**name, *value))
        .collect();
    admin.post("/admin/plans", &edited);
    assert_eq!(admin.api("plans/small")["limits"], json!([entered()[1]]));
    let page = admin.get("/admin/plans?edit=small");
    assert!(
        page.contains("60 calls, each minute, for each key"),
        "{page}"
    );

    let path = "/admin/consumers/Ann%27s%20agent%2F1";
    let page = admin.get(path);
    // Servers are proposed, since there may be more than a page can name; plans are all there.
    let proposed = "<option value=\"bookshop\"></option><option value=\"petstore\"></option>";
    for choice in ["list=\"servers\"", proposed, "<option>small</option>"] {
        assert!(page.contains(choice), "{page}");
    }
    let given = admin.post(
        path,
        &[("do", "plan"), ("server", "petstore"), ("plan", "small")],
    );
    assert!(given.contains("?done=saved"), "{given}");
    let consumer = || admin.api("consumers/Ann%27s%20agent%2F1");
    let expected = json!([{"server": "petstore", "plan": "small"}]);
    assert_eq!(consumer()["plans"], expected);
    let kept = admin.post("/admin/plans", &[("do", "remove"), ("name", "small")]);
    assert!(kept.starts_with("HTTP/1.1 409"), "somebody has it: {kept}");
    let nowhere = admin.post(
        path,
        &[("do", "plan"), ("server", "none"), ("plan", "small")],
    );
    assert!(nowhere.starts_with("HTTP/1.1 422"), "{nowhere}");
    admin.post(path, &[("do", "no-plan"), ("server", "petstore")]);
    assert_eq!(consumer()["plans"], json!([]));
    let removed = admin.post("/admin/plans", &[("do", "remove"), ("name", "small")]);
    assert!(removed.contains("done=plan-removed"), "{removed}");
    assert!(admin.api("plans")["plans"].as_array().unwrap().is_empty());
}

#[test]
fn a_consumer_is_found_limited_and_erased() {
    let admin = admin();
    let found = |query: &str| {
        let page = admin.get(&format!("/admin/consumers?q={query}"));
        let rows = page.split("<bdi>").skip(1);
        rows.map(|row| row.split("</bdi>").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("ANN").len(), 1);
    assert_eq!(found("100%25"), ["100% sure"], "a sign of LIKE is a sign");
    assert_eq!(found("_").len(), 0);
    assert_eq!(found("").len(), 3);
    let path = "/admin/consumers/bert";
    let limits = [&[("do", "limits")], &ROWS[..]].concat();
    let saved = admin.post(path, &limits);
    assert!(
        saved.contains("location: /admin/consumers/bert?done=saved"),
        "{saved}"
    );
    assert_eq!(admin.api("consumers/bert")["limits"], entered());
    let page = admin.get(path);
    assert!(page.contains("value=\"5.25\"") && page.contains("/api/v1/consumers/bert/export"));
    let refused = admin.post(path, &[("do", "erase"), ("confirm", "ann")]);
    assert!(refused.starts_with("HTTP/1.1 422"), "{refused}");
    let erased = admin.post(path, &[("do", "erase"), ("confirm", "bert")]);
    assert!(
        erased.contains("location: /admin/consumers?done=erased"),
        "{erased}"
    );
    assert!(admin.get(path).starts_with("HTTP/1.1 404"));
}

#[test]
fn the_audit_names_keys_beside_their_ids() {
    let admin = admin();
    let keys = admin.api("keys");
    let keys = keys["keys"].as_array().unwrap();
    let bert = keys.iter().find(|key| key["name"] == "bert").unwrap();
    let id = bert["id"].as_str().unwrap();
    let page = admin.get("/admin/audit?entity=key");
    let row = format!("key <bdi>bert</bdi><br><code class=\"faint\">{id}</code>");
    assert!(page.contains(&row), "{page}");
}

#[test]
fn a_consumer_shows_what_it_used_of_the_limits_servers_have_for_each() {
    let admin = admin();
    let head = |path: &str, says: &str| {
        format!("POST {path} HTTP/1.1\r\nContent-Type: application/json\r\n{says}")
    };
    let own = format!("Cookie: {}\r\nX-CSRF-Token: {}", admin.cookie, admin.token);
    let new = json!({ "name": "cara" }).to_string();
    let made = admin.served.ask(&head("/api/v1/keys", &own), &new);
    let (_, made) = made.split_once("\r\n\r\n").unwrap();
    let made: Value = serde_json::from_str(made).unwrap();
    let row = [
        ("unit-0", "requests"),
        ("amount-0", "1"),
        ("window-0", "month"),
        ("scope-0", "consumer"),
        ("unit-1", "requests"),
        ("amount-1", "8"),
        ("window-1", "day"),
        ("scope-1", "user"),
    ];
    let saved = admin.post("/servers/petstore/settings/limits", &row);
    assert!(saved.contains("?done=saved&in=limits#told"), "{saved}");
    let settings = admin.get("/servers/petstore/settings");
    assert!(
        settings.contains("<option value=\"user\" selected>"),
        "{settings}"
    );
    let key = format!("X-API-Key: {}", made["key"].as_str().unwrap());
    let call = head("/api/v1/servers/petstore/tools/listPets/call", &key);
    for over in [false, true] {
        let called = admin.served.ask(&call, "{}");
        assert_eq!(
            called.contains("The limit of 1 call a month"),
            over,
            "{called}"
        );
    }
    let page = admin.get("/admin/consumers/cara");
    for text in [
        "<li>1 call, each month, for each consumer</li>",
        "1 of 1 used.",
        "<li>8 calls, each day, for each person, all their keys together</li>",
        "1 of 8 used.",
        "<code>petstore</code>",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(
        admin
            .get("/admin/consumers/bert")
            .contains("Nothing that is counted")
    );
}
