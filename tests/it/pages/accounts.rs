//! Accounts through the real binary: who gets in, how they get out, and what each role may.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use causeway::access::role::Action;
use causeway::market::gate::{self, Need};
use serde_json::{Value, json};

use crate::pages::{Served, cookie, csrf, form, serve, serve_with};

pub(super) const KEY: &str = "an-admin-key-for-tests";
const PASSWORD: &str = "correct horse battery";

/// A server with nothing published by itself but the demo.
fn served() -> Served {
    serve_with(&["--admin-key", KEY])
}

pub(super) fn api(
    served: &Served,
    (method, path): (&str, &str),
    who: &str,
    body: &Value,
) -> (u16, Value) {
    let head = format!("{method} {path} HTTP/1.1\r\n{who}\r\nContent-Type: application/json");
    let answer = served.ask(&head, &body.to_string());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

pub(super) fn by_key() -> String {
    format!("X-API-Key: {KEY}")
}

/// Makes somebody with the one password.
pub(super) fn add(served: &Served, name: &str, role: &str) {
    let new = json!({ "name": name, "role": role, "password": PASSWORD });
    let (status, made) = api(served, ("POST", "/api/v1/users"), &by_key(), &new);
    assert_eq!(status, 201, "{made}");
}

fn log_in(served: &Served, name: &str, password: &str) -> String {
    served.submit("/login", &[("name", name), ("password", password)])
}

/// The cookie of somebody's new session.
pub(super) fn session(served: &Served, name: &str) -> String {
    let answer = log_in(served, name, PASSWORD);
    cookie(&answer, "causeway_session").expect(&answer)
}

/// As a script of our own pages sends it: with the session and its token.
pub(super) fn with_session(served: &Served, cookie: &str) -> String {
    let token = csrf(&served.get("/keys", cookie));
    format!("Cookie: {cookie}\r\nX-CSRF-Token: {token}")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

#[test]
fn the_first_admin_is_made_with_a_link_once() {
    let served = serve();
    let path = served
        .setup
        .split_once(&served.address)
        .unwrap()
        .1
        .to_owned();
    let token = path.split_once("token=").unwrap().1.to_owned();
    let wrong = served.get("/setup?token=0123456789abcdef", "");
    assert_eq!(status(&wrong), "403", "{wrong}");
    let fields = |name, password| {
        [
            ("token", token.as_str()),
            ("name", name),
            ("password", password),
        ]
    };
    let forged = served.post("/setup", "", &form(&fields("eve", PASSWORD)));
    assert_eq!(
        status(&forged),
        "403",
        "without the browser's token: {forged}"
    );
    let short = served.submit(&path, &fields("ann", "short"));
    assert_eq!(status(&short), "422", "{short}");
    assert!(
        !short.contains("value=\"short\""),
        "a password is shown again"
    );
    let made = served.submit(&path, &fields("Ann", PASSWORD));
    let cookie = cookie(&made, "causeway_session").expect(&made);
    assert!(served.get("/admin/users", &cookie).contains("ann"));
    let again = served.get(&path, "");
    assert_eq!(status(&again), "403", "the link was good twice: {again}");
}

#[test]
fn of_many_processes_one_prints_the_link() {
    // Two on one file would not both serve: what claims is asked, as each of them asks it.
    let folder = tempfile::tempdir().unwrap();
    let start = |port: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_causeway"))
            .args(["serve", "--json", "--no-demo", "--listen", port, "--data"])
            .arg(folder.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        line
    };
    let lines: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| start("127.0.0.1:0")))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let links = lines
        .iter()
        .filter(|line| line.contains("/setup?token="))
        .count();
    assert_eq!(links, 1, "{lines:?}");
    assert!(
        !start("127.0.0.1:0").contains("/setup?token="),
        "a second link"
    );
}

#[test]
fn a_password_file_makes_the_first_admin_and_is_never_seen_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password.txt");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let served = serve_with(&[
        "--admin-key",
        KEY,
        "--admin-password-file",
        file.to_str().unwrap(),
    ]);
    assert_eq!(served.setup, "");
    let cookie = session(&served, "admin");
    assert!(served.get("/", &cookie).contains(">admin</a>"));
    let (_, audit) = api(
        &served,
        ("GET", "/api/v1/audit?limit=1000"),
        &by_key(),
        &json!({}),
    );
    let audit = audit.to_string();
    assert!(
        audit.contains("\"setup\"") && !audit.contains(PASSWORD),
        "{audit}"
    );
    assert!(!audit.contains("argon2"), "{audit}");
    let stored = std::fs::read(served.data.path().join("data/causeway.db")).unwrap();
    let wal = std::fs::read(served.data.path().join("data/causeway.db-wal")).unwrap_or_default();
    for bytes in [stored, wal] {
        let found = bytes
            .windows(PASSWORD.len())
            .any(|at| at == PASSWORD.as_bytes());
        assert!(!found, "the password is in the database");
    }
}

#[test]
fn whoever_is_wrong_is_told_nothing_and_waits() {
    let served = served();
    add(&served, "ann", "member");
    let text = |name: &str, password: &str| {
        let answer = log_in(&served, name, password);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let at = body.find("role=\"alert\">").expect(&answer);
        let said = body[at..].split("</p>").next().unwrap().to_owned();
        (status(&answer).to_owned(), said)
    };
    let wrong = text("ann", "wrong password");
    assert_eq!(wrong.0, "401");
    assert_eq!(text("nobody", "wrong password"), wrong);
    let (code, _) = api(
        &served,
        ("PATCH", "/api/v1/users/ann"),
        &by_key(),
        &json!({"disabled": true}),
    );
    assert_eq!(code, 200);
    assert_eq!(text("ann", PASSWORD), wrong, "disabled is told");
    let late: Vec<String> = (0..8).map(|_| text("eve", "wrong password").0).collect();
    assert!(late.contains(&"429".to_owned()), "{late:?}");
    let forged = served.post(
        "/login",
        "",
        &form(&[("name", "ann"), ("password", PASSWORD)]),
    );
    assert_eq!(status(&forged), "403", "no token: {forged}");
    let mine = served.get("/login", "");
    let (visit, token) = (cookie(&mine, "causeway_form").unwrap(), csrf(&mine));
    let fields = form(&[("key", KEY), ("csrf", &token)]);
    let other = served.post("/login", "Cookie: causeway_form=another\r\n", &fields);
    assert_eq!(
        status(&other),
        "403",
        "the token of another browser: {other}"
    );
    let own = served.post("/login", &format!("Cookie: {visit}\r\n"), &fields);
    assert_eq!(status(&own), "303", "{own}");
}

#[test]
fn the_session_of_the_admin_key_ends_when_it_is_signed_out_of() {
    let served = served();
    let mine = served.get("/login", "");
    let (form_cookie, token) = (cookie(&mine, "causeway_form").unwrap(), csrf(&mine));
    let fields = form(&[("key", KEY), ("csrf", &token)]);
    let enter = || {
        let answer = served.post("/login", &format!("Cookie: {form_cookie}\r\n"), &fields);
        cookie(&answer, "causeway_session").expect(&answer)
    };
    let (first, second) = (enter(), enter());
    let is_in = |cookie: &str| status(&served.get("/admin/users", cookie)) == "200";
    assert!(is_in(&first) && is_in(&second));
    let token = csrf(&served.get("/admin/users", &first));
    let out = form(&[("csrf", &token)]);
    served.post("/logout", &format!("Cookie: {first}\r\n"), &out);
    assert!(!is_in(&first), "a copy of the cookie is still good");
    assert!(is_in(&second), "another session ended with it");
}

#[test]
fn sessions_end_when_they_are_said_to() {
    let served = served();
    add(&served, "ann", "member");
    let (first, second) = (session(&served, "ann"), session(&served, "ann"));
    let is_in = |cookie: &str| status(&served.get("/account", cookie)) == "200";
    assert!(is_in(&first) && is_in(&second));
    let post = |cookie: &str, path: &str, fields: &[(&str, &str)]| {
        let token = csrf(&served.get("/account", cookie));
        let fields = [fields, &[("csrf", token.as_str())]].concat();
        served.post(path, &format!("Cookie: {cookie}\r\n"), &form(&fields))
    };
    post(&first, "/logout", &[]);
    assert!(!is_in(&first), "the cookie is good after signing out");
    let third = session(&served, "ann");
    let changed = post(
        &second,
        "/account",
        &[
            ("do", "password"),
            ("old", PASSWORD),
            ("password", "another password"),
        ],
    );
    let fresh = cookie(&changed, "causeway_session").expect(&changed);
    assert!(is_in(&fresh) && !is_in(&second) && !is_in(&third));
    assert_eq!(status(&log_in(&served, "ann", PASSWORD)), "401");
    let page = served.get("/account", &fresh);
    let id = page.split("name=\"session\" value=\"").nth(1).unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    post(
        &fresh,
        "/account",
        &[("do", "end-session"), ("session", &id)],
    );
    assert!(!is_in(&fresh));
    let answer = log_in(&served, "ann", "another password");
    let fourth = cookie(&answer, "causeway_session").unwrap();
    let (_, made) = api(
        &served,
        ("POST", "/api/v1/users/ann/reset"),
        &by_key(),
        &json!({}),
    );
    let link = made["link"].as_str().unwrap();
    let path = link.split_once(&served.address).unwrap().1;
    let token = path.split_once("token=").unwrap().1;
    assert!(is_in(&fourth), "a link alone ends nothing");
    let fields = [("token", token), ("password", PASSWORD)];
    let chosen = served.submit(path, &fields);
    assert_eq!(status(&chosen), "303", "{chosen}");
    assert!(!is_in(&fourth), "a session outlived the reset");
    assert_eq!(status(&served.submit("/login", &fields)), "401");
    assert_eq!(
        status(&served.get(path, "")),
        "403",
        "the link is good twice"
    );
    let fifth = session(&served, "ann");
    let disabled = json!({ "disabled": true });
    api(
        &served,
        ("PATCH", "/api/v1/users/ann"),
        &by_key(),
        &disabled,
    );
    assert!(!is_in(&fifth), "a session outlived its owner");
}

#[test]
fn somebody_has_no_more_keys_than_the_process_allows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("causeway.toml");
    std::fs::write(&file, "[limits]\nkeys_per_person = 2\n").unwrap();
    let served = serve_with(&["--admin-key", KEY, "--config", file.to_str().unwrap()]);
    add(&served, "ann", "member");
    let ann = with_session(&served, &session(&served, "ann"));
    let make = |who: &str, name: &str| {
        let new = json!({ "name": name });
        api(&served, ("POST", "/api/v1/keys"), who, &new)
    };
    let first = make(&ann, "one");
    assert_eq!(first.0, 201, "{}", first.1);
    assert_eq!(make(&ann, "two").0, 201);
    let path = format!("/api/v1/keys/{}/rotate", first.1["id"].as_str().unwrap());
    for (status, said) in [
        make(&ann, "three"),
        api(&served, ("POST", &path), &ann, &json!({})),
    ] {
        let detail = said["detail"].as_str().unwrap();
        assert_eq!(status, 409, "{said}");
        assert!(detail.contains("`limits.keys_per_person`"), "{detail}");
    }
    let (status, said) = api(&served, ("POST", &path), &ann, &json!({ "overlap": "0s" }));
    assert_eq!(status, 201, "{said}");
    // Keys of admins are nobody's.
    for name in ["a", "b", "c"] {
        assert_eq!(make(&by_key(), name).0, 201);
    }
}

/// What a caller may be: how it says who it is.
fn callers(served: &Served) -> BTreeMap<&'static str, String> {
    for (name, role) in [
        ("mia", "member"),
        ("pat", "publisher"),
        ("pia", "publisher"),
        ("ada", "admin"),
    ] {
        add(served, name, role);
    }
    let (code, made) = api(
        served,
        ("POST", "/api/v1/keys"),
        &by_key(),
        &json!({"name": "agent"}),
    );
    assert_eq!(code, 201, "{made}");
    let consumer = format!("X-API-Key: {}", made["key"].as_str().unwrap());
    let person = |name: &str| with_session(served, &session(served, name));
    let owner = person("pat");
    let document = json!({
        "openapi": "3.1.0", "info": { "title": "Pats", "version": "1" },
        "servers": [{ "url": "https://api.example.com" }],
        "paths": { "/a": { "get": { "operationId": "a" } } },
    });
    let new = json!({ "document": document, "slug": "pats" });
    let (code, made) = api(served, ("POST", "/api/v1/servers"), &owner, &new);
    assert_eq!(code, 201, "{made}");
    let stolen = api(served, ("POST", "/api/v1/servers"), &person("pia"), &new);
    assert_eq!(
        stolen.0, 409,
        "publishing is a way into others' servers: {}",
        stolen.1
    );
    let open = json!({ "document": document, "slug": "inside", "allowUpstream": ["10.0.0.0/8"] });
    let opened = api(served, ("POST", "/api/v1/servers"), &owner, &open);
    assert_eq!(
        opened.0, 403,
        "a publisher opened the network: {}",
        opened.1
    );
    let edit = json!({ "allowUpstream": ["10.0.0.0/8"] });
    let opened = api(served, ("PATCH", "/api/v1/servers/pats"), &owner, &edit);
    assert_eq!(opened.0, 403, "{}", opened.1);
    BTreeMap::from([
        ("anonymous", "Accept: */*".to_owned()),
        ("consumer", consumer),
        ("member", person("mia")),
        ("owner", owner),
        ("other", person("pia")),
        ("admin", person("ada")),
        ("key", by_key()),
    ])
}

/// Who of the callers passes the gate.
fn passing(need: Need) -> &'static [&'static str] {
    match need {
        Need::Nobody | Need::Caller => &[
            "anonymous",
            "consumer",
            "member",
            "owner",
            "other",
            "admin",
            "key",
        ],
        Need::Person(Action::ManageServer) => &["owner", "admin", "key"],
        Need::Person(Action::Publish | Action::FollowImport | Action::DecideCall) => {
            &["owner", "other", "admin", "key"]
        }
        Need::Person(Action::UseKeys | Action::EndKey | Action::AskModels | Action::OwnAccount) => {
            &["member", "owner", "other", "admin", "key"]
        }
        Need::Person(Action::Administer | Action::OpenNetwork) => &["admin", "key"],
    }
}

type Row = (&'static str, &'static str, Need);

/// Whether the gate turned somebody back.
fn refused(answer: &str, pages: bool, who: &str) -> bool {
    match (pages, who) {
        (true, "anonymous") => answer.contains("location: /login"),
        (true, _) => answer.contains("our role does not allow"),
        (false, "anonymous") => status(answer) == "401",
        (false, _) => answer.contains("your role") || answer.contains("this needs the admin key"),
    }
}

/// Asks one route as every caller.
fn ask_as_all(
    served: &Served,
    callers: &BTreeMap<&'static str, String>,
    (method, path, need): Row,
    pages: bool,
) {
    let filled = path
        .replace("{slug}", "pats")
        .replace("{tool}", "a")
        .replace("{scheme}", "key")
        .replace("{number}", "1")
        .replace("{id}", "01900000-0000-7000-8000-000000000001")
        .replace("{name}", "nobody")
        .replace("{key}", "main");
    // What the next rows need is not ended by those who may.
    let ends = ["/logout", "/api/v1/servers/{slug}"].contains(&path) && method != "GET";
    for (who, says) in callers {
        // Whose server a connection is for, its state says: it is asked for after the gate.
        let may = passing(need).contains(who) || path == "/oauth/callback" && *who == "other";
        let keys_on_pages = pages && ["consumer", "key"].contains(who);
        if may && ends || keys_on_pages {
            continue;
        }
        let head =
            format!("{method} {filled} HTTP/1.1\r\n{says}\r\nContent-Type: application/json");
        let answer = served.ask(&head, "{\"no such field\": 1}");
        let open = matches!(need, Need::Nobody | Need::Caller);
        let passed = !refused(&answer, pages, who);
        assert!(
            open || passed == may,
            "{who}: {method} {path}: {may} is expected: {answer}"
        );
        assert_ne!(status(&answer), "500", "{who}: {method} {path}: {answer}");
    }
}

#[test]
fn each_route_lets_in_whom_the_table_says() {
    let served = served();
    let callers = callers(&served);
    for (routes, rows, pages) in [
        (causeway::market::api::ROUTES, gate::API, false),
        (causeway::market::pages::routes::ROUTES, gate::PAGES, true),
    ] {
        let routes = routes
            .iter()
            .flat_map(|(path, methods)| methods.iter().map(move |method| (*method, *path)));
        let routes: Vec<_> = routes.collect();
        assert_eq!(routes.len(), rows.len(), "a row is for no route");
        for (method, path) in routes {
            let row = rows.iter().find(|(m, p, _)| *m == method && *p == path);
            assert!(row.is_some(), "{method} {path} has no row in market::gate");
            ask_as_all(&served, &callers, *row.unwrap(), pages);
        }
    }
}

#[test]
fn a_member_sees_and_ends_its_own_keys_only() {
    let served = served();
    let callers = callers(&served);
    let (member, other) = (&callers["member"], &callers["other"]);
    let new = json!({ "name": "mias" });
    let (code, mine) = api(&served, ("POST", "/api/v1/keys"), member, &new);
    assert_eq!(code, 201, "{mine}");
    let joined = api(&served, ("POST", "/api/v1/keys"), other, &new);
    assert_eq!(
        joined.0, 409,
        "somebody else's consumer was joined: {}",
        joined.1
    );
    let names = |who: &str| {
        let (_, listed) = api(&served, ("GET", "/api/v1/keys"), who, &json!({}));
        let keys = listed["keys"].as_array().unwrap().clone();
        keys.iter()
            .map(|key| key["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(member), ["mias"]);
    assert!(names(other).is_empty());
    assert_eq!(names(&by_key()).len(), 2);
    let path = format!("/api/v1/keys/{}", mine["id"].as_str().unwrap());
    assert_eq!(api(&served, ("DELETE", &path), other, &json!({})).0, 404);
    let key = format!("X-API-Key: {}", mine["key"].as_str().unwrap());
    let tools = ("GET", "/api/v1/servers/pats/tools");
    assert_eq!(api(&served, tools, &key, &json!({})).0, 200);
    let out = json!({ "disabled": true });
    api(&served, ("PATCH", "/api/v1/users/mia"), &by_key(), &out);
    assert_eq!(
        api(&served, tools, &key, &json!({})).0,
        401,
        "a key outlived its owner"
    );
    let (_, audit) = api(
        &served,
        ("GET", "/api/v1/audit?limit=1000"),
        &by_key(),
        &json!({}),
    );
    assert!(
        audit.to_string().contains("\"actor\":\"user:mia\""),
        "{audit}"
    );
    assert!(!audit.to_string().contains(PASSWORD));
}

/// What somebody's device shows at a time step, after the secret it was told.
fn code(secret: &str, step: i64) -> String {
    let mut bits = String::new();
    for letter in secret.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
            .iter()
            .position(|c| *c == letter);
        let value = value.unwrap();
        let ones = (0..5).rev().map(|bit| value >> bit & 1 == 1);
        bits.extend(ones.map(|one| if one { '1' } else { '0' }));
    }
    let bits = bits.as_bytes().chunks_exact(8);
    let key: Vec<u8> = bits
        .map(|bits| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap())
        .collect();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = aws_lc_rs::hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let word = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

#[test]
fn a_code_is_asked_for_and_good_once() {
    let served = served();
    add(&served, "ann", "member");
    let cookie_of = session(&served, "ann");
    let token = csrf(&served.get("/account", &cookie_of));
    let post = |fields: &[(&str, &str)]| {
        let fields = [fields, &[("csrf", token.as_str())]].concat();
        served.post(
            "/account",
            &format!("Cookie: {cookie_of}\r\n"),
            &form(&fields),
        )
    };
    let offered = post(&[("do", "offer-codes")]);
    assert!(
        offered.contains("<svg") && offered.contains("otpauth://totp/"),
        "{offered}"
    );
    let secret = offered.split("?secret=").nth(1).unwrap();
    let secret: String = secret
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    // The code of the step before is taken in this step only, of which there has to be enough left.
    let clock = causeway::types::Clock::system();
    let gone = clock.now().timestamp() % 30;
    if gone > 20 {
        std::thread::sleep(Duration::from_secs((30 - gone).unsigned_abs()));
    }
    let step = clock.now().timestamp() / 30;
    let wrong = post(&[("do", "confirm-codes"), ("code", "12345")]);
    assert_eq!(status(&wrong), "401");
    assert!(
        wrong.contains(&secret),
        "the secret is another one after a mistake"
    );
    // The one before: later ones are left to sign in with.
    let first = code(&secret, step - 1);
    let confirmed = post(&[("do", "confirm-codes"), ("code", &first)]);
    let recovery = confirmed.split("<code>").nth(1).expect(&confirmed);
    let recovery = recovery.split('<').next().unwrap().to_owned();
    assert_eq!(confirmed.matches("</code><br>").count(), 8);
    let shown = served.get("/account", &cookie_of);
    assert!(
        !shown.contains(&recovery) && !shown.contains(&secret),
        "shown again"
    );
    sign_in_with_codes(&served, (&secret, step), &recovery);
}

/// Signs ann in, whose device was first heard of with the code before `step`.
fn sign_in_with_codes(served: &Served, (secret, step): (&str, i64), recovery: &str) {
    let first = code(secret, step - 1);
    let ticket = |answer: &str| {
        let found = answer.split("name=\"ticket\" value=\"").nth(1);
        let found = found.expect(answer);
        found.split('"').next().unwrap().to_owned()
    };
    let asked = log_in(served, "ann", PASSWORD);
    assert!(
        cookie(&asked, "causeway_session").is_none(),
        "in without a code"
    );
    let ticket = ticket(&asked);
    let with = |code: &str| served.submit("/login", &[("ticket", &ticket), ("code", code)]);
    let is_in = |answer: String| cookie(&answer, "causeway_session").is_some();
    assert!(!is_in(with(&first)), "a code was good twice");
    assert!(!is_in(with("")));
    let next = code(secret, step);
    assert!(is_in(with(&next)), "the code is not taken");
    assert!(!is_in(with(&next)), "a code was good twice");
    assert!(is_in(with(&recovery.to_uppercase())));
    assert!(!is_in(with(recovery)), "a recovery code was good twice");
    let forged = served.submit("/login", &[("ticket", "x.y"), ("code", &next)]);
    assert!(!is_in(forged));
    let (status, _) = api(
        served,
        ("DELETE", "/api/v1/users/ann/codes"),
        &by_key(),
        &json!({}),
    );
    assert_eq!(status, 204);
    assert!(is_in(log_in(served, "ann", PASSWORD)));
}

#[test]
fn what_an_admin_takes_away_its_owner_does_not_bring_back() {
    let served = served();
    add(&served, "pat", "publisher");
    let pat = with_session(&served, &session(&served, "pat"));
    let document = std::fs::read_to_string(crate::program::example("petstore.yaml")).unwrap();
    let hook = json!({ "approvalWebhook": "https://hook.example/x" });
    let new = json!({ "slug": "pats", "document": document });
    assert_eq!(api(&served, ("POST", "/api/v1/servers"), &pat, &new).0, 201);
    let state = |who: &str, state: &str| {
        let wanted = json!({ "state": state });
        api(&served, ("PUT", "/api/v1/servers/pats/state"), who, &wanted).0
    };
    assert_eq!((state(&pat, "disabled"), state(&pat, "served")), (200, 200));
    assert_eq!(state(&by_key(), "disabled"), 200);
    assert_eq!(state(&pat, "served"), 403);
    let place = "/api/v1/servers/pats";
    assert_eq!(api(&served, ("DELETE", place), &pat, &Value::Null).0, 403);
    assert_eq!(state(&by_key(), "served"), 200);
    assert_eq!((state(&pat, "disabled"), state(&pat, "served")), (200, 200));
    assert_eq!(
        api(&served, ("DELETE", place), &by_key(), &Value::Null).0,
        204
    );
    let restore = ("POST", "/api/v1/deleted-servers/pats/restore");
    assert_eq!(api(&served, restore, &pat, &Value::Null).0, 403);
    assert_eq!(api(&served, restore, &by_key(), &Value::Null).0, 200);

    // What is sent may not be led past others by whoever publishes.
    for (setting, value) in [
        ("proxy", json!("http://8.8.8.8:3128")),
        (
            "certificateAuthorities",
            json!("-----BEGIN CERTIFICATE-----"),
        ),
    ] {
        let (status, said) = api(&served, ("PATCH", place), &pat, &json!({ setting: value }));
        assert_eq!(status, 403, "{said}");
        assert!(said["detail"].as_str().unwrap().contains(setting), "{said}");
    }
    // A former owner hears of no calls.
    assert_eq!(api(&served, ("PATCH", place), &pat, &hook).0, 200);
    add(&served, "pia", "publisher");
    let give = ("POST", "/api/v1/servers/pats/transfer");
    let given = api(&served, give, &pat, &json!({ "to": "pia" }));
    assert_eq!(given.0, 200, "{}", given.1);
    let (_, now) = api(&served, ("GET", place), &by_key(), &Value::Null);
    assert!(now["settings"]["approvalWebhook"].is_null(), "{now}");
    // A key's next secret is its owner's alone.
    let (_, key) = api(
        &served,
        ("POST", "/api/v1/keys"),
        &pat,
        &json!({ "name": "robot" }),
    );
    let path = format!("/api/v1/keys/{}/rotate", key["id"].as_str().unwrap());
    assert_eq!(api(&served, ("POST", &path), &by_key(), &json!({})).0, 403);
    assert_eq!(api(&served, ("POST", &path), &pat, &json!({})).0, 201);
}
