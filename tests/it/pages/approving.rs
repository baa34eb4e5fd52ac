//! The inbox of calls that wait: through the real binary, by page, API and command.

use serde_json::{Value, json};

use crate::pages::{Served, cookie, csrf, form, serve, serve_with};
use crate::program::run;

const KEY: &str = "an-admin-key-for-tests";
const TOOL: &str = "/servers/petstore/tools/deletePet";

/// A request to the management API with the admin key: its answer.
fn api(served: &Served, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let head = format!(
        "{method} /api/v1/{path} HTTP/1.1\r\nX-API-Key: {KEY}\r\nContent-Type: application/json"
    );
    let answer = served.ask(&head, &body.to_string());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn asks(served: &Served, who: &str) {
    let path = "servers/petstore/tools/deletePet/curation";
    let (status, answer) = api(served, "PUT", path, &json!({ "confirm": who }));
    assert!((200..300).contains(&status), "{answer}");
}

/// Asks to delete a pet; the result.
fn delete(served: &Served, pet: u32) -> Value {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "deletePet", "arguments": { "petId": pet } } });
    let head = "POST /mcp/petstore HTTP/1.1\r\nContent-Type: application/json\r\n\
                Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25";
    let answer = served.ask(head, &message.to_string());
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str::<Value>(body).unwrap()["result"].clone()
}

/// The same with a key that was made for it: who calls has a name.
fn delete_with_key(served: &Served, name: &str) {
    let (_, made) = api(served, "POST", "keys", &json!({ "name": name }));
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "deletePet", "arguments": { "petId": 2 } } });
    let head = format!(
        "POST /mcp/petstore HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25",
        made["key"].as_str().unwrap()
    );
    let answer = served.ask(&head, &message.to_string());
    assert!(answer.contains("causeway/approval"), "{answer}");
}

fn waits(result: &Value) -> String {
    let approval = &result["_meta"]["causeway/approval"];
    assert_eq!(approval["state"], "pending", "{result}");
    approval["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_call_waits_on_the_page_until_somebody_decides() {
    let served = serve_with(&["--admin-key", KEY]);
    asks(&served, "human");
    let id = waits(&delete(&served, 1));
    let visitor = served.get("/approvals", "");
    assert!(visitor.contains("/login?next=/approvals"), "{visitor}");
    let login = served.submit("/login", &[("key", KEY)]);
    let cookie = cookie(&login, "causeway_session").expect("a session");
    let page = served.get("/approvals", &cookie);
    for words in [
        "<b>Somebody without a key, at 127.0.0.1</b> wants to call",
        "href=\"/servers/petstore/tools/deletePet\">deletePet</a> of petstore",
        "&#34;petId&#34;: 1",
        "anonymous@127.0.0.1",
        "minutes left",
        &id,
    ] {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    for decision in ["once", "hour", "deny"] {
        let button = format!("name=\"decision\" value=\"{decision}\"");
        assert!(page.contains(&button), "{page}");
    }
    delete_with_key(&served, "night shift");
    let page = served.get("/approvals", &cookie);
    assert!(page.contains("<b>night shift</b> wants to call"), "{page}");
    let chinese = served.ask(
        &format!("GET /approvals HTTP/1.1\r\nCookie: {cookie}\r\nAccept-Language: zh-CN"),
        "",
    );
    assert!(chinese.contains("批准一次"), "{chinese}");
    let token = csrf(&page);
    let own = format!("Cookie: {cookie}\r\n");
    let decide = |token: &str, id: &str, decision: &str| {
        let fields = [
            ("csrf", token),
            ("id", id),
            ("decision", decision),
            ("reason", "no <b>"),
        ];
        served.post("/approvals", &own, &form(&fields))
    };
    assert!(decide("wrong", &id, "once").starts_with("HTTP/1.1 403"));
    assert!(decide(&token, &id, "always").starts_with("HTTP/1.1 404"));
    assert!(decide(&token, &id, "once").contains("location: /approvals?done=approved"));
    assert_eq!(delete(&served, 1)["isError"], false);
    let next = waits(&delete(&served, 1));
    assert!(decide(&token, &next, "deny").contains("location: /approvals?done=denied"));
    assert!(decide(&token, &next, "once").starts_with("HTTP/1.1 409"));
    let denied = delete(&served, 1).to_string();
    assert!(denied.contains("denied this call: no <b>."), "{denied}");
    let page = served.get("/approvals?done=denied", &cookie);
    assert!(
        page.contains("no &#60;b&#62;") && !page.contains("no <b>"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_and_the_command_decide_as_well() {
    let served = serve_with(&["--admin-key", KEY]);
    asks(&served, "human");
    let first = waits(&delete(&served, 1));
    let (_, listed) = api(&served, "GET", "approvals?state=pending", &Value::Null);
    let call = &listed["approvals"][0];
    assert_eq!(
        (&call["id"], &call["tool"]),
        (&json!(first), &json!("deletePet"))
    );
    let (status, answer) = api(&served, "GET", "approvals?state=asleep", &Value::Null);
    assert_eq!(
        (
            status,
            answer["detail"].as_str().unwrap().contains("`state`")
        ),
        (400, true)
    );
    let path = format!("approvals/{first}");
    let long = json!({ "decision": "deny", "reason": "x".repeat(501) });
    assert_eq!(api(&served, "POST", &path, &long).0, 400);
    let (status, decided) = api(&served, "POST", &path, &json!({ "decision": "hour" }));
    assert_eq!(
        (status, &decided["state"], &decided["scope"]),
        (200, &json!("approved"), &json!("hour"))
    );
    assert_eq!(
        api(&served, "POST", &path, &json!({ "decision": "deny" })).0,
        409
    );
    assert_eq!(delete(&served, 1)["isError"], false);
    let second = waits(&delete(&served, 2));
    let origin = format!("http://{}", served.address);
    let command = async |arguments: &[&str]| {
        let target = ["--server", &origin, "--key", KEY];
        run(&[arguments, &target].concat()).await
    };
    let shown = command(&["approvals", "list", "--state", "pending"]).await;
    assert!(
        shown.stdout.contains(&second) && shown.stdout.contains("\"petId\": 2"),
        "{shown:?}"
    );
    let denied = command(&["approvals", "deny", &second, "--reason", "not today"]).await;
    assert!(denied.stdout.contains("not today"), "{denied:?}");
    assert!(delete(&served, 2).to_string().contains("not today"));
    let third = waits(&delete(&served, 3));
    let approved = command(&["approvals", "approve", &third]).await;
    assert!(approved.stdout.contains("approved (once)"), "{approved:?}");
    command(&["approvals", "approve", &third])
        .await
        .refused(&["409", "approved"]);
    // Who manages the server may agree where it calls.
    let call = "servers/petstore/tools/deletePet/call";
    let plain = json!({ "arguments": { "petId": 4 } });
    let (_, trace) = api(&served, "POST", call, &plain);
    assert_eq!(
        (&trace["result"]["isError"], &trace["request"]),
        (&json!(true), &Value::Null)
    );
    let confirmed = json!({ "arguments": { "petId": 4 }, "confirmed": true });
    let (_, trace) = api(&served, "POST", call, &confirmed);
    assert_eq!(trace["request"]["method"], "DELETE", "{trace}");
    let (_, audit) = api(&served, "GET", "audit?limit=1000", &Value::Null);
    let rows = audit["rows"].as_array().unwrap().iter();
    let acts: Vec<_> = rows
        .filter(|row| row["entity"] == "approval")
        .map(|row| &row["action"])
        .collect();
    assert_eq!(acts, ["approve", "deny", "approve"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_a_webhook_is_replaced() {
    let served = serve_with(&["--admin-key", KEY]);
    let path = |slug: &str| format!("servers/{slug}/approval-webhook");
    let secret = |method: &str, slug: &str| {
        let (status, hook) = api(&served, method, &path(slug), &Value::Null);
        assert_eq!(status, 200, "{hook}");
        hook["secret"].as_str().unwrap().to_owned()
    };
    let (first, other) = (secret("GET", "petstore"), secret("GET", "bookshop"));
    let second = secret("POST", "petstore");
    assert_ne!(second, first);
    assert_eq!(secret("GET", "petstore"), second);
    assert_eq!(secret("GET", "bookshop"), other, "of one server only");
    let server = format!("http://{}", served.address);
    let asked = ["approvals", "webhook", "petstore", "--new-secret"];
    let target = ["--server", &server, "--key", KEY];
    let said = run(&[&asked[..], &target[..]].concat()).await.stdout;
    let third = secret("GET", "petstore");
    assert!(said.contains(&third) && third != second, "{said}");
    let ann = json!({ "name": "ann", "role": "publisher", "password": "a long password" });
    assert_eq!(api(&served, "POST", "users", &ann).0, 201);
    let to = json!({ "to": "ann" });
    let given = api(&served, "POST", "servers/petstore/transfer", &to);
    assert_eq!(given.0, 200, "{}", given.1);
    let fourth = secret("GET", "petstore");
    assert_ne!(fourth, third, "whoever had the server knows it");
    let audit = api(&served, "GET", "audit?limit=1000", &Value::Null);
    let audit = audit.1.to_string();
    assert!(audit.contains("webhook.secret"), "{audit}");
    for secret in [first, second, third, fourth] {
        assert!(!audit.contains(&secret), "{audit}");
    }
}

#[test]
fn settings_of_approvals_are_checked_and_strangers_confirm_nothing_for_people() {
    let served = serve_with(&["--admin-key", KEY]);
    asks(&served, "human");
    for (body, field) in [
        (json!({ "approvalMinutes": 0 }), "approvalMinutes"),
        (json!({ "approvalMinutes": 100_000 }), "approvalMinutes"),
        (
            json!({ "approvalWebhook": "ftp://example.com" }),
            "approvalWebhook",
        ),
        (
            json!({ "approvalWebhook": "https://a:b@example.com" }),
            "approvalWebhook",
        ),
    ] {
        let (status, answer) = api(&served, "PATCH", "servers/petstore", &body);
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer["detail"].as_str().unwrap().contains(field),
            "{answer}"
        );
    }
    let good = json!({ "approvalMinutes": 5, "approvalWebhook": "https://example.com/hook" });
    assert_eq!(api(&served, "PATCH", "servers/petstore", &good).0, 200);
    let (_, hook) = api(
        &served,
        "GET",
        "servers/petstore/approval-webhook",
        &Value::Null,
    );
    assert_eq!(
        (&hook["url"], hook["secret"].as_str().unwrap().len()),
        (&json!("https://example.com/hook"), 64)
    );
    // Without a key: the server is open.
    let head = "POST /api/v1/servers/petstore/tools/deletePet/call HTTP/1.1\r\nContent-Type: application/json";
    let confirmed = json!({ "arguments": { "petId": 4 }, "confirmed": true }).to_string();
    let answer = served.ask(head, &confirmed);
    assert!(answer.contains("has to approve"), "{answer}");
    asks(&served, "client");
    let answer = served.ask(head, &confirmed);
    assert!(answer.contains("\"method\":\"DELETE\""), "{answer}");
}

#[test]
fn the_form_of_a_tool_asks_on_its_page() {
    let served = serve();
    let cookie = served.sign_in();
    let page = served.get(TOOL, &cookie);
    let token = csrf(&page);
    let head = format!(
        "PUT /api/v1{TOOL}/curation HTTP/1.1\r\nContent-Type: application/json\r\nCookie: {cookie}\r\nX-CSRF-Token: {token}"
    );
    served.ask(&head, &json!({ "confirm": "client" }).to_string());
    let own = format!("Cookie: {cookie}\r\n");
    let sent = |wanted: &str| {
        let fields = [
            ("csrf", token.as_str()),
            ("do", wanted),
            ("json", "{\"petId\": 4}"),
        ];
        served.post(TOOL, &own, &form(&fields))
    };
    let asked = sent("call");
    assert!(asked.contains("asks before it is called"), "{asked}");
    assert!(
        asked.contains("value=\"confirm\"") && !asked.contains("value=\"call\""),
        "{asked}"
    );
    let dry = sent("dry-run");
    assert!(
        dry.contains("DELETE") && !dry.contains("asks before"),
        "{dry}"
    );
    let done = sent("confirm");
    assert!(done.contains("204") || done.contains("200"), "{done}");
    assert!(!done.contains("_confirm"), "{done}");
}

/// A request to the management API by somebody who signed in.
fn as_person(
    served: &Served,
    cookie: &str,
    (method, path): (&str, &str),
    body: &Value,
) -> (u16, Value) {
    let token = csrf(&served.get("/keys", cookie));
    let head = format!(
        "{method} /api/v1/{path} HTTP/1.1\r\nCookie: {cookie}\r\nX-CSRF-Token: {token}\r\nContent-Type: application/json"
    );
    let answer = served.ask(&head, &body.to_string());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn an_owner_decides_of_calls_of_their_own_servers_and_of_no_others() {
    let served = serve_with(&["--admin-key", KEY]);
    let password = "correct horse battery";
    let person = |name: &str, role: &str| {
        let new = json!({ "name": name, "role": role, "password": password });
        let (status, made) = api(&served, "POST", "users", &new);
        assert_eq!(status, 201, "{made}");
        let login = served.submit("/login", &[("name", name), ("password", password)]);
        cookie(&login, "causeway_session").expect(&login)
    };
    let (pat, quinn) = (person("pat", "publisher"), person("quinn", "publisher"));
    let mia = person("mia", "member");
    let document = std::fs::read_to_string(crate::program::example("petstore.yaml")).unwrap();
    let new = json!({ "slug": "pats", "document": document });
    let (status, made) = as_person(&served, &pat, ("POST", "servers"), &new);
    assert_eq!(status, 201, "{made}");
    let asks = json!({ "confirm": "human" });
    let place = ("PUT", "servers/pats/tools/deletePet/curation");
    assert_eq!(as_person(&served, &pat, place, &asks).0, 200);
    let (_, key) = api(&served, "POST", "keys", &json!({ "name": "robot" }));
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "deletePet", "arguments": { "petId": 7 } } });
    let head = format!(
        "POST /mcp/pats HTTP/1.1\r\nX-API-Key: {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25",
        key["key"].as_str().unwrap()
    );
    let answer = served.ask(&head, &message.to_string());
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let id = waits(&serde_json::from_str::<Value>(body).unwrap()["result"]);

    let listed = |who: &str| as_person(&served, who, ("GET", "approvals"), &Value::Null);
    let (_, own) = listed(&pat);
    assert_eq!(own["approvals"][0]["id"], id.as_str(), "{own}");
    assert_eq!(own["approvals"][0]["caller"], "robot");
    assert_eq!(
        listed(&quinn),
        (200, json!({ "approvals": [], "nextCursor": null }))
    );
    assert_eq!(listed(&mia).0, 403);
    let page = served.get("/approvals", &pat);
    assert!(
        page.contains("<b>robot</b> wants to call") && page.contains("DELETE /pets/{petId}"),
        "{page}"
    );
    assert!(!served.get("/approvals", &quinn).contains("deletePet"));
    let decide = ("POST", &*format!("approvals/{id}"));
    let once = json!({ "decision": "once" });
    assert_eq!(as_person(&served, &quinn, decide, &once).0, 404);
    assert_eq!(as_person(&served, &mia, decide, &once).0, 403);
    let (status, decided) = as_person(&served, &pat, decide, &once);
    assert_eq!(
        (status, &decided["decidedBy"]),
        (200, &json!("user:pat")),
        "{decided}"
    );
}
