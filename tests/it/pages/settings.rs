//! The settings of a server: every form, its token, its refusals.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::pages::{Served, csrf, echo, form, serve, serve_with};

const CREDENTIALS: &str = "/servers/things/settings/credentials";
const SECRET: &str = "s3cret-value-of-the-key";

struct Owned {
    served: Served,
    cookie: String,
    token: String,
    upstream: SocketAddr,
}

fn document(upstream: &str, title: &str) -> String {
    serde_json::json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1"},
        "servers": [{"url": upstream}],
        "paths": {"/look": {"get": {"operationId": "look", "security": [{"key": []}]}}},
        "components": {"securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "X-Secret"},
            "user <script>": {"type": "http", "scheme": "basic"},
            "badge": {"type": "mutualTLS"},
        }},
    })
    .to_string()
}

/// A server `things` that was published by the form on the page.
fn owned() -> Owned {
    let upstream = echo();
    let served = serve_with(&["--allow-upstream", "127.0.0.1"]);
    let cookie = served.sign_in();
    let token = csrf(&served.get("/publish", &cookie));
    let owned = Owned {
        served,
        cookie,
        token,
        upstream,
    };
    let text = document(&format!("http://{upstream}"), "Things");
    let answer = owned.upload("/publish", &[("slug", "things"), ("document", &text)]);
    assert!(
        answer.contains("location: /servers/things/review"),
        "{answer}"
    );
    let answer = owned.post("/servers/things/review", &[("do", "publish")]);
    assert!(
        answer.contains("location: /servers/things/connect?done=published"),
        "{answer}"
    );
    owned
}

impl Owned {
    fn get(&self, path: &str) -> String {
        self.served.get(path, &self.cookie)
    }

    /// A form with the session's token.
    fn post(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        self.bare(path, &[pairs, &[("csrf", self.token.as_str())]].concat())
    }

    fn bare(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        self.served
            .post(path, &format!("Cookie: {}\r\n", self.cookie), &form(pairs))
    }

    /// The same as multipart/form-data; a name that ends in `!` is a file's.
    fn upload(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        self.upload_with(path, &[pairs, &[("csrf", self.token.as_str())]].concat())
    }

    fn upload_with(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        let mut body = String::new();
        for (name, value) in pairs {
            let (name, file) = name
                .strip_suffix('!')
                .map_or((*name, ""), |name| (name, "; filename=\"api.json\""));
            write!(
                body,
                "--edge\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n"
            )
            .unwrap();
        }
        body += "--edge--\r\n";
        let cookie = &self.cookie;
        let head = format!(
            "POST {path} HTTP/1.1\r\nCookie: {cookie}\r\nContent-Type: multipart/form-data; boundary=edge"
        );
        self.served.ask(&head, &body)
    }

    fn settings(&self) -> serde_json::Value {
        let answer = self.get("/api/v1/servers/things");
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        serde_json::from_str::<serde_json::Value>(body).unwrap()["settings"].clone()
    }

    fn revision(&self) -> String {
        let page = self.get("/servers/things/settings");
        let at = page.split("name=\"revision\" value=\"").nth(1).unwrap();
        at.split('"').next().unwrap().to_owned()
    }

    fn save(&self, revision: &str, change: &[(&str, &str)]) -> String {
        let defaults = [
            ("access", "key"),
            ("upstream", ""),
            ("allow", ""),
            ("legacySse", "default"),
            ("idleSeconds", "300"),
            ("sessionsMax", "1000"),
            ("timeoutSeconds", "60"),
            ("retries", "2"),
            ("failures", "10"),
            ("pauseSeconds", "30"),
            ("toolsPageMax", "1000"),
            ("answerKib", "64"),
            ("tools", "auto"),
            ("profile", "auto"),
            ("toolTokensMax", "1500"),
            ("listTokensMax", "25000"),
        ];
        let kept = defaults
            .iter()
            .filter(|(name, _)| change.iter().all(|(other, _)| other != name));
        let mut pairs: Vec<(&str, &str)> = kept.copied().collect();
        pairs.extend(change);
        pairs.push(("revision", revision));
        self.post("/servers/things/settings", &pairs)
    }

    /// One part of the settings, over what the page shows.
    fn part(&self, part: &str, change: &[(&str, &str)]) -> String {
        let revision = self.revision();
        let own = [("part", part), ("revision", revision.as_str())];
        self.post("/servers/things/settings", &[&own, change].concat())
    }

    fn look(&self) -> String {
        self.post("/servers/things/tools/look", &[("do", "call")])
    }
}

/// What is said of a form that was sent, which stands in that form's section.
fn told<'p>(page: &'p str, section: &str) -> &'p str {
    let rest = page.split(&format!("id=\"{section}\"")).nth(1);
    let rest = rest.expect("a section of that name");
    let section = rest.split("<div class=\"setting\">").next().unwrap();
    let told = section.split("id=\"told\"").nth(1).unwrap_or_default();
    told.split("</p>").next().unwrap()
}

#[test]
fn a_probe_is_chosen_among_what_only_reads_and_wants_nothing() {
    let owned = owned();
    let operation = |parameters: serde_json::Value| serde_json::json!({"parameters": parameters});
    let id = serde_json::json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let page = serde_json::json!([{"name": "page", "in": "query", "schema": {"type": "integer"}}]);
    let document = serde_json::json!({
        "openapi": "3.1.0",
        "info": {"title": "Things", "version": "2"},
        "servers": [{"url": format!("http://{}", owned.upstream)}],
        "paths": {
            "/free": {"get": operation(page.clone()), "head": operation(page), "delete": operation(serde_json::json!([]))},
            "/things/{id}": {"get": operation(id.clone()), "head": operation(id)},
        },
    });
    let path = "/servers/things/settings/document";
    let answer = owned.upload(path, &[("document", &document.to_string())]);
    assert!(answer.contains("in=import#told"), "{answer}");
    let choices = || {
        let page = owned.get("/servers/things/settings");
        let choices = page.split("id=\"probeOperation\"").nth(1).unwrap();
        choices.split("</datalist>").next().unwrap().to_owned()
    };
    let shown = choices();
    for route in ["GET /free", "HEAD /free"] {
        let proposed = format!("<option value=\"{route}\">");
        assert!(shown.contains(&proposed), "{shown}");
    }
    assert_eq!(shown.matches("<option").count(), 2, "{shown}");
    // What is not proposed can be typed, as the document writes it or as it is kept.
    for typed in [
        "GET /things/{id}",
        "HEAD /things/{anything}",
        "GET /things/{}",
    ] {
        let set = [
            ("probeOperation", typed),
            ("probeArguments", "{\"id\": \"1\"}"),
        ];
        let saved = owned.part("probe", &set);
        assert!(saved.contains("?done=saved&in=probe"), "{saved}");
        let method = typed.split(' ').next().unwrap();
        let kept = format!("value=\"{method} /things/{{id}}\" list=\"probes\"");
        assert!(choices().contains(&kept), "{}", choices());
    }
    let health = owned.get("/servers/things/health");
    assert!(health.contains("GET /things/{id}"), "{health}");
}

#[test]
fn settings_are_refused_by_the_name_of_the_field() {
    let owned = owned();
    let revision = owned.revision();
    for (field, value, words) in [
        (
            "upstream",
            "not a url",
            "“Address of the API” has to be an http or https URL",
        ),
        (
            "upstream",
            "ftp://x/\"><script>",
            "“Address of the API” has to be",
        ),
        (
            "allow",
            "10.0.0.0/99",
            "“Allowed private destinations”: &#34;10.0.0.0/99&#34; is not an allowed",
        ),
        ("timeoutSeconds", "soon", "“Time for a call”: write seconds"),
        ("timeoutSeconds", "0.01", "“Time for a call” is 100 to"),
        ("retries", "6", "“Repeats of a request” is 0 to 5"),
        ("failures", "x", "“Failures in a row”: write a whole number"),
        ("pauseSeconds", "0.5", "“Pause” is 1000 to"),
        ("connectSeconds", "900", "“Time to connect” is 100 to"),
        (
            "toolsPageMax",
            "0",
            "“Tools in one page of the list” is 1 to",
        ),
        ("toolTokensMax", "1", "“Tokens of a tool” is 200 to"),
        (
            "sessionsMax",
            "many",
            "“Sessions at most”: write a whole number",
        ),
    ] {
        let refused = owned.save(&revision, &[(field, value), ("access", "open")]);
        assert!(refused.starts_with("HTTP/1.1 4"), "{field}: {refused}");
        assert!(refused.contains(words), "{field}: {refused}");
        assert!(!refused.contains("<script>"), "{refused}");
        assert_eq!(
            owned.settings()["access"],
            "key",
            "{field} was refused and the rest saved"
        );
    }
    let idle = owned.save(&revision, &[("sessions", "on"), ("idleSeconds", "0.5")]);
    assert!(
        idle.contains("“Idle time of a session” is 1000 to"),
        "{idle}"
    );
}

#[test]
fn a_part_of_the_settings_is_refused_beside_its_form() {
    let owned = owned();
    for (part, field, value, words) in [
        (
            "probe",
            "probeOperation",
            "POST /look",
            "“Whether the API is well”: the server has no operation",
        ),
        ("price", "price", "1,5", "“Price of a call”: write dollars"),
        (
            "approvals",
            "approvalMinutes",
            "0",
            "“Time to approve” is 1 to",
        ),
        (
            "approvals",
            "approvalWebhook",
            "ftp://x",
            "“Webhook for approvals” is an http or https URL",
        ),
    ] {
        let refused = owned.part(part, &[(field, value)]);
        assert!(refused.starts_with("HTTP/1.1 4"), "{field}: {refused}");
        assert!(told(&refused, part).contains(words), "{field}: {refused}");
        assert!(
            refused.contains(&format!("value=\"{value}\"")),
            "what was entered in {field} is kept: {refused}"
        );
    }
    assert!(owned.settings()["callPriceMicros"].is_null());
}

#[test]
fn a_part_of_the_settings_changes_what_it_shows_and_nothing_else() {
    let owned = owned();
    let revision = owned.revision();
    owned.save(&revision, &[("access", "open"), ("timeoutSeconds", "2.5")]);
    let mut expected = owned.settings();
    assert_eq!(expected["access"], "open");
    for (part, change) in [
        (
            "probe",
            [("probeOperation", "GET /look"), ("probeMinutes", "5")],
        ),
        (
            "approvals",
            [
                ("approvalMinutes", "15"),
                ("approvalWebhook", "https://hook.example/x"),
            ],
        ),
        ("price", [("price", "0.0005"), ("access", "private")]),
    ] {
        let saved = owned.part(part, &change);
        assert!(
            saved.contains(&format!("?done=saved&in={part}#told")),
            "{saved}"
        );
    }
    for (name, value) in [
        (
            "probe",
            serde_json::json!({"operation": "GET /look", "everyMinutes": 5}),
        ),
        ("approvalMinutes", 15.into()),
        ("approvalWebhook", "https://hook.example/x".into()),
        ("callPriceMicros", 500.into()),
    ] {
        expected[name] = value;
    }
    assert_eq!(owned.settings(), expected);
    let saved = owned.save(
        &owned.revision(),
        &[("access", "open"), ("timeoutSeconds", "2.5")],
    );
    assert!(saved.contains("in=settings#told"), "{saved}");
    assert_eq!(
        owned.settings(),
        expected,
        "the large form leaves them alone"
    );
}

#[test]
fn settings_are_saved_as_a_whole_and_only_over_what_the_form_showed() {
    let owned = owned();
    let revision = owned.revision();
    let change = [
        ("access", "open"),
        ("upstream", "https://api.example.com/v1"),
        ("allow", "10.0.0.5:8080\r\n\r\ndb.internal"),
        ("legacySse", "off"),
        ("sessions", "on"),
        ("idleSeconds", "12.5"),
        ("sessionsMax", "7"),
        ("timeoutSeconds", "2.5"),
        ("retries", "1"),
        ("failures", "4"),
        ("pauseSeconds", "2.5"),
        ("connectSeconds", ""),
        ("firstByteSeconds", "1.5"),
        ("toolsPageMax", "50"),
        ("answerKib", "32"),
        ("tools", "search"),
        ("profile", "gemini"),
        ("toolTokensMax", "900"),
        ("listTokensMax", "9000"),
    ];
    let saved = owned.save(&revision, &change);
    assert!(
        saved.contains("location: /servers/things/settings?done=saved&in=settings#told"),
        "{saved}"
    );
    let expected = serde_json::json!({
        "access": "open", "upstream": "https://api.example.com/v1",
        "allowUpstream": ["10.0.0.5:8080", "db.internal"], "legacySse": false,
        "sessions": {"idleMs": 12_500, "sessionsMax": 7}, "callTimeoutMs": 2_500, "toolsPageMax": 50,
        "resilience": {"firstByteTimeoutMs": 1_500, "retries": 1, "breaker": {"failures": 4, "pauseMs": 2_500}},
        "answerBytesMax": 32_768,
        "tools": "search", "profile": "gemini", "toolTokensMax": 900, "listTokensMax": 9_000,
    });
    assert_eq!(owned.settings(), expected);
    let page = owned.get("/servers/things/settings?done=saved&in=limits");
    assert!(
        told(&page, "limits").contains("The settings are live."),
        "{page}"
    );
    assert_eq!(page.matches("The settings are live.").count(), 1, "{page}");
    assert!(
        page.contains("value=\"12.5\"") && page.contains("db.internal</textarea>"),
        "{page}"
    );

    // The form was made before that change.
    let stale = owned.save(&revision, &[]);
    assert!(
        stale.starts_with("HTTP/1.1 412") && stale.contains("Somebody changed"),
        "{stale}"
    );
    assert_eq!(owned.settings(), expected);
}

#[test]
fn credentials_are_set_replaced_and_removed_and_never_echoed() {
    let owned = owned();
    let page = owned.get("/servers/things/settings");
    assert!(
        page.contains("an API key in the header X-Secret") && page.contains("not set"),
        "{page}"
    );
    assert!(
        page.contains("<code>user &#60;script&#62;</code>"),
        "{page}"
    );
    assert!(
        owned
            .get("/servers/things")
            .contains("cannot be called yet")
    );
    assert!(owned.look().contains("nothing was sent"));

    let set = |pairs: &[(&str, &str)]| owned.post(CREDENTIALS, pairs);
    let home = format!("http://{}", owned.upstream);
    // The page says where it will go, and the form carries it.
    assert!(
        page.contains(&format!("will be sent to <code>{home}</code>")),
        "{page}"
    );
    assert!(
        page.contains(&format!("name=\"origins\" value=\"{home}\"")),
        "{page}"
    );
    for seen in [None, Some("https://elsewhere.example")] {
        let mut pairs = vec![("scheme", "key"), ("value", SECRET), ("do", "set")];
        pairs.extend(seen.map(|origin| ("origins", origin)));
        let refused = set(&pairs);
        assert!(
            refused.starts_with("HTTP/1.1 409") && refused.contains("The destinations changed"),
            "{refused}"
        );
        assert!(!refused.contains(SECRET) && owned.look().contains("nothing was sent"));
    }
    let done = set(&[
        ("scheme", "key"),
        ("value", SECRET),
        ("origins", &home),
        ("do", "set"),
    ]);
    assert!(
        done.contains("?done=credential-set&in=credentials&scheme=key#told"),
        "{done}"
    );
    let page =
        owned.get("/servers/things/settings?done=credential-set&in=credentials&scheme=badge");
    let badge = page.split("<h3><code>badge</code></h3>").nth(1).unwrap();
    let badge = badge.split("<h3>").next().unwrap();
    assert!(badge.contains("id=\"told\""), "said beside it: {page}");
    let page = owned.get("/servers/things/settings");
    assert!(
        page.contains("badge good\">set") && !page.contains(SECRET),
        "{page}"
    );
    assert!(
        page.contains(&format!("Sent to <code>http://{}</code>", owned.upstream)),
        "{page}"
    );
    assert!(
        !owned
            .get("/servers/things")
            .contains("cannot be called yet")
    );
    assert!(owned.look().contains("The call succeeded"));
    assert!(set(&[("scheme", "key"), ("do", "remove")]).contains("?done=credential-removed"));
    assert!(owned.look().contains("nothing was sent"));
}

#[test]
fn a_credential_is_refused_by_the_name_of_its_scheme() {
    let owned = owned();
    let set = |pairs: &[(&str, &str)]| owned.post(CREDENTIALS, pairs);
    let basic = [
        ("scheme", "user <script>"),
        ("user", "ada"),
        ("password", "p:w"),
        ("do", "set"),
    ];
    assert!(set(&basic).contains("?done=credential-set"));
    for (pairs, words) in [
        (
            vec![("scheme", "key"), ("value", " ")],
            "“key”: “Value”: the credential is empty",
        ),
        (
            vec![("scheme", "user <script>"), ("user", ""), ("password", "x")],
            "“User name” is needed",
        ),
        (
            vec![
                ("scheme", "user <script>"),
                ("user", "a:b"),
                ("password", "x"),
            ],
            "“User name” is needed",
        ),
        (
            vec![("scheme", "badge"), ("value", "x")],
            "“Value”: certificate: there is none",
        ),
        (
            vec![
                ("scheme", "badge"),
                (
                    "value",
                    "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----",
                ),
            ],
            "“Value”: certificate: there is none",
        ),
        (
            vec![("scheme", "key"), ("value", "a\nb")],
            "“key”: “Value”: ",
        ),
        (
            vec![("scheme", "<script>"), ("value", "x")],
            "“&#60;script&#62;”: there is nothing here",
        ),
    ] {
        let refused = set(&pairs);
        assert!(refused.starts_with("HTTP/1.1 4"), "{pairs:?}: {refused}");
        assert!(
            refused.contains(words) && !refused.contains("<script>"),
            "{pairs:?}: {refused}"
        );
    }
}

#[test]
fn a_credential_stays_behind_until_its_new_destination_is_approved() {
    let owned = owned();
    let set = |pairs: &[(&str, &str)]| owned.post(CREDENTIALS, pairs);
    let home = format!("http://{}", owned.upstream);
    let first = [("scheme", "key"), ("value", SECRET), ("origins", &home)];
    assert!(set(&first).contains("?done=credential-set"));
    let other = format!("http://{}", echo());
    assert!(
        owned
            .save(&owned.revision(), &[("upstream", &other)])
            .contains("?done=saved")
    );
    assert!(owned.look().contains("approve the new destination"));
    let page = owned.get("/servers/things/settings");
    assert!(
        page.contains("Approve the new destination") && page.contains(&other),
        "{page}"
    );
    assert!(
        page.contains(&format!("name=\"origins\" value=\"{other}\"")),
        "{page}"
    );
    for seen in [
        &[][..],
        &[("origins", &*home)],
        &[("origins", &home), ("origins", &other)],
    ] {
        let refused = set(&[&[("scheme", "key"), ("do", "approve")], seen].concat());
        assert!(
            refused.starts_with("HTTP/1.1 409") && refused.contains("The destinations changed"),
            "{refused}"
        );
    }
    assert!(owned.look().contains("approve the new destination"));
    let approve = [("scheme", "key"), ("origins", &*other), ("do", "approve")];
    assert!(set(&approve).contains("?done=credential-approved"));
    assert!(owned.look().contains("The call succeeded"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
fn a_server_is_renamed_imported_again_and_deleted() {
    let owned = owned();
    let rename = |slug: &str| owned.post("/servers/things/settings/name", &[("slug", slug)]);
    for (slug, words) in [
        ("Big Name", "“Short name”: a slug is 1 to 40"),
        ("sse", "“Short name”: &#34;sse&#34; is reserved"),
        ("petstore", "choose another “Short name”"),
        ("\"><script>", "“Short name”: a slug is 1 to 40"),
    ] {
        let refused = rename(slug);
        assert!(
            refused.starts_with("HTTP/1.1 4") && refused.contains(words),
            "{slug}: {refused}"
        );
        assert!(!refused.contains("<script>"), "{refused}");
    }
    let renamed = rename("gadgets");
    assert!(
        renamed.contains("location: /servers/gadgets/settings?done=renamed"),
        "{renamed}"
    );
    let old = owned.get("/servers/things");
    assert!(
        old.starts_with("HTTP/1.1 303") && old.contains("location: /servers/gadgets"),
        "{old}"
    );

    let path = "/servers/gadgets/settings/document";
    let refused = owned.upload(path, &[("document", "<script>no</script>")]);
    assert!(
        refused.starts_with("HTTP/1.1 422") && refused.contains("role=\"alert\""),
        "{refused}"
    );
    assert!(!refused.contains("<script>"), "{refused}");
    let nothing = owned.upload(path, &[("document", " ")]);
    assert!(
        nothing.contains("Send one of “Text”, “Address” or “File”"),
        "{nothing}"
    );
    let next = document(&format!("http://{}", owned.upstream), "Gadgets of today");
    let imported = owned.upload(path, &[("file!", &next)]);
    assert!(
        imported.contains("location: /servers/gadgets/settings?done=imported"),
        "{imported}"
    );
    let page = owned.get("/servers/gadgets/settings");
    assert!(
        page.contains("Gadgets of today") && page.contains("Version 2,"),
        "{page}"
    );
    assert!(
        owned
            .upload(path, &[("document", &next)])
            .contains("?done=unchanged")
    );

    let delete = |name: &str| owned.post("/servers/gadgets/settings/delete", &[("confirm", name)]);
    let refused = delete("things");
    assert!(
        refused.starts_with("HTTP/1.1 422") && refused.contains("type gadgets to delete"),
        "{refused}"
    );
    assert!(delete("gadgets").contains("location: /deleted?done=deleted"));
    assert!(owned.get("/servers/gadgets").starts_with("HTTP/1.1 404"));
    let page = owned.get("/deleted?done=deleted");
    assert!(
        page.contains("its credentials are destroyed") && page.contains("<code>gadgets</code>"),
        "{page}"
    );
    let restored = owned.post("/deleted", &[("slug", "gadgets")]);
    assert!(
        restored.contains("location: /servers/gadgets/settings?done=restored"),
        "{restored}"
    );
    assert!(owned.get("/servers/gadgets").starts_with("HTTP/1.1 200"));
    assert!(owned.get("/deleted").contains("Nothing was deleted"));
    assert!(!owned.get("/?done=%3Cscript%3E").contains("<script>"));
}

#[test]
fn no_form_works_without_its_token_or_a_session() {
    let owned = owned();
    let before = owned.settings();
    let forms = [
        ("/servers/things/settings", vec![("access", "open")]),
        (
            "/servers/things/settings/credentials",
            vec![("scheme", "key"), ("value", SECRET)],
        ),
        ("/servers/things/settings/name", vec![("slug", "other")]),
        (
            "/servers/things/settings/delete",
            vec![("confirm", "things")],
        ),
    ];
    for (path, pairs) in &forms {
        let wrong = [pairs.as_slice(), &[("csrf", "00")]].concat();
        for pairs in [pairs, &wrong] {
            let refused = owned.bare(path, pairs);
            assert!(refused.starts_with("HTTP/1.1 403"), "{path}: {refused}");
        }
        let with_token = [pairs.as_slice(), &[("csrf", owned.token.as_str())]].concat();
        let visitor = owned.served.post(path, "", &form(&with_token));
        assert!(
            visitor.starts_with("HTTP/1.1 303") && visitor.contains("location: /login"),
            "{path}: {visitor}"
        );
        let cross = format!("Cookie: {}\r\nSec-Fetch-Site: cross-site\r\n", owned.cookie);
        let cross = owned.served.post(path, &cross, &form(&with_token));
        assert!(cross.starts_with("HTTP/1.1 403"), "{path}: {cross}");
    }
    let document = document("https://evil.example", "Evil");
    for path in ["/servers/things/settings/document", "/publish"] {
        let refused = owned.upload_with(path, &[("document", &document)]);
        assert!(refused.starts_with("HTTP/1.1 403"), "{path}: {refused}");
    }
    assert!(
        owned
            .served
            .get("/servers/things/settings", "")
            .starts_with("HTTP/1.1 303")
    );
    assert_eq!(owned.settings(), before);
    assert!(
        owned
            .get("/servers/things/settings")
            .contains("<h1>Things</h1>")
    );
}

#[test]
fn a_server_inside_the_process_has_no_address_to_set() {
    let served = serve();
    let cookie = served.sign_in();
    let page = served.get("/servers/petstore/settings", &cookie);
    assert!(
        page.contains("answered inside the process") && !page.contains("name=\"upstream\""),
        "{page}"
    );
}

#[test]
fn a_credential_the_document_no_longer_names_can_be_removed() {
    let owned = owned();
    let home = format!("http://{}", owned.upstream);
    let set = [
        ("scheme", "key"),
        ("value", SECRET),
        ("origins", &*home),
        ("do", "set"),
    ];
    assert!(
        owned
            .post(CREDENTIALS, &set)
            .contains("?done=credential-set")
    );
    let open =
        document(&format!("http://{}", owned.upstream), "Open").replace("\"key\"", "\"other\"");
    let imported = owned.upload("/servers/things/settings/document", &[("document", &open)]);
    assert!(imported.contains("?done=imported"), "{imported}");
    let page = owned.get("/servers/things/settings");
    assert!(
        page.contains("badge plain\">unused") && page.contains("sent nowhere"),
        "{page}"
    );
    let rows = owned.get("/api/v1/servers/things/credentials");
    let rows = rows.split("\r\n\r\n").nth(1).unwrap();
    let rows: serde_json::Value = serde_json::from_str(rows).unwrap();
    let left = rows["credentials"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&left["scheme"], &left["type"]),
        (&"key".into(), &serde_json::Value::Null)
    );
    let remove = [("scheme", "key"), ("do", "remove")];
    assert!(
        owned
            .post(CREDENTIALS, &remove)
            .contains("?done=credential-removed")
    );
    assert!(
        !owned
            .get("/servers/things/settings")
            .contains("badge plain\">unused")
    );
}

#[test]
fn a_server_is_closed_and_given_away_with_forms() {
    let owned = owned();
    let state = |state: &str| {
        let fields = [("state", state), ("note", "use <things-2>")];
        owned.post("/servers/things/settings/state", &fields)
    };
    assert!(state("gone").starts_with("HTTP/1.1 422"));
    for (word, badge) in [("disabled", "disabled"), ("unpublished", "unpublished")] {
        let closed = state(word);
        let to = format!("location: /servers/things/settings?done={word}&in=state#told");
        assert!(closed.contains(&to), "{closed}");
        for path in ["/", "/servers/things", "/servers/things/settings"] {
            let page = owned.get(path);
            let shown = page.contains(&format!(">{badge}</span>")) || path.ends_with("settings");
            assert!(shown, "{path}: {page}");
        }
        let page = owned.get("/servers/things");
        assert!(page.contains("use &#60;things-2&#62;"), "{page}");
        let anonymous = owned.served.get("/", "");
        assert!(!anonymous.contains("/servers/things"), "{anonymous}");
    }
    assert!(state("served").contains("?done=served&in=state#told"));
    let transfer = |to: &str, confirm: &str| {
        let fields = [("to", to), ("confirm", confirm)];
        owned.post("/servers/things/settings/transfer", &fields)
    };
    let unsure = transfer("ann", "other");
    assert!(unsure.contains("type things to transfer"), "{unsure}");
    let nobody = transfer("ann", "things");
    assert!(nobody.contains("there is nobody of that name"), "{nobody}");
    assert!(nobody.contains("value=\"ann\""), "{nobody}");
}
