//! The whole of it through the real binary: settings, credentials, commands.

use serde_json::{Value, json};

use crate::program::{Serving, causeway, run};
use crate::upstream_tls::{Api, Authority, Party, Wants};

const ADMIN: &str = "an-admin-key-for-tests";
const LOCAL: &str = "127.0.0.0/8";
const CREDENTIAL: &str = "servers/partner/credentials/mtls";

fn document(api: &Api, declared: bool) -> Value {
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": "Partner", "version": "1" },
        "servers": [{ "url": api.origin }],
        "paths": { "/who": { "get": {
            "operationId": "who",
            "responses": { "200": { "description": "who asked" } },
        } } },
    });
    if declared {
        document["components"] = json!({ "securitySchemes": {
            "mtls": { "type": "mutualTLS" },
            "token": { "type": "http", "scheme": "bearer" },
        } });
        document["security"] = json!([{ "token": [] }, { "mtls": [] }]);
    }
    document
}

struct Site {
    served: Serving,
    folder: tempfile::TempDir,
    own: Authority,
    clients: Authority,
    api: Api,
}

impl Site {
    async fn start() -> Self {
        let (own, clients) = (Authority::new("own"), Authority::new("clients"));
        let api = Api::start(&own, Wants::Demands(&clients)).await;
        let folder = tempfile::tempdir().unwrap();
        let flags = ["--admin-key", ADMIN, "--no-demo", "--allow-upstream", LOCAL];
        let served = Serving::on(&folder.path().join("data"), &flags).await;
        Self {
            served,
            folder,
            own,
            clients,
            api,
        }
    }

    async fn api(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.served.api(ADMIN, (method, path), &body).await
    }

    async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.api(method, path, body).await;
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    async fn refused(&self, method: &str, path: &str, body: Value) -> String {
        let (status, answer) = self.api(method, path, body).await;
        assert!(
            (400..500).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer["detail"].as_str().unwrap().to_owned()
    }

    async fn publish(&self, slug: &str, declared: bool) {
        let document = document(&self.api, declared);
        self.done(
            "POST",
            "servers",
            json!({ "slug": slug, "document": document }),
        )
        .await;
    }

    async fn call(&self, slug: &str) -> String {
        let params = json!({ "name": "who", "arguments": {} });
        let path = format!("/mcp/{slug}");
        let (_, answer) = self.served.ask(&path, ADMIN, ("tools/call", params)).await;
        answer["result"]["content"][0]["text"]
            .as_str()
            .unwrap_or_else(|| unreachable!("{answer}"))
            .to_owned()
    }

    async fn security(&self, slug: &str) -> Value {
        let tools = self
            .done("GET", &format!("servers/{slug}/tools"), Value::Null)
            .await;
        tools["tools"][0]["security"].clone()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn client(&self) -> Party {
        self.clients.client("client-1", 2100)
    }

    fn destinations(&self) -> Value {
        json!([self.api.origin])
    }
}

#[tokio::test]
async fn what_is_entered_is_checked() {
    let site = Site::start().await;
    site.publish("partner", true).await;
    let client = site.client();
    let other = site.clients.client("client-2", 2100);
    let late = site.clients.client("client-3", 2020);
    for (value, word) in [
        ("a password".to_owned(), "certificate: there is none"),
        (client.certificate.clone(), "private key: there is none"),
        (
            format!("{}{}", client.certificate, other.key.serialize_pem()),
            "does not belong to",
        ),
        (late.pem(), "it expired on 2020-12-31"),
    ] {
        let entered = json!({ "value": value, "origins": site.destinations() });
        let said = site.refused("PUT", CREDENTIAL, entered).await;
        assert!(
            said.starts_with("`value`: ") && said.contains(word),
            "{said}"
        );
    }
    let gone = Authority::lasting("gone", 2020).pem;
    for (authorities, word) in [
        ("no certificate", "holds no certificate"),
        (&*client.pem(), "private key"),
        (&gone, "expired on 2020-12-31"),
    ] {
        let change = json!({ "certificateAuthorities": authorities });
        let said = site.refused("PATCH", "servers/partner", change).await;
        assert!(said.starts_with("`certificateAuthorities`: "), "{said}");
        assert!(said.contains(word), "{said}");
    }
    let change = json!({ "proxy": "http://user:secret@proxy:3128" });
    let said = site.refused("PATCH", "servers/partner", change).await;
    assert!(
        said.starts_with("`proxy`: ") && !said.contains("secret"),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_entered_is_used_and_kept_to_itself() {
    let site = Site::start().await;
    site.publish("partner", true).await;
    let said = site.call("partner").await;
    assert!(said.contains("needs a credential"), "{said}");
    let client = site.client();
    let entered = json!({ "value": client.pem(), "origins": site.destinations() });
    site.done("PUT", CREDENTIAL, entered).await;
    // The API's own certificate is signed by nobody the system knows.
    let said = site.call("partner").await;
    assert!(said.contains("UnknownIssuer"), "{said}");
    let change = json!({ "certificateAuthorities": site.own.pem });
    site.done("PATCH", "servers/partner", change).await;
    let said = site.call("partner").await;
    assert!(said.contains("client-1"), "{said}");

    // The key is in no answer, no file and no log.
    let listed = site
        .done("GET", "servers/partner/credentials", Value::Null)
        .await;
    let data = site.folder.path().join("data");
    site.served.terminate();
    let (_, logged) = site.served.ended().await;
    let mut kept = vec![listed.to_string(), logged];
    for file in std::fs::read_dir(data).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        kept.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    let key = client.key.serialize_pem();
    let secret: Vec<&str> = key.lines().filter(|line| line.len() == 64).collect();
    assert!(!secret.is_empty());
    for line in secret {
        assert!(kept.iter().all(|kept| !kept.contains(line)));
    }
}

#[tokio::test]
async fn the_alternative_in_use_is_told_with_the_reason() {
    let site = Site::start().await;
    site.publish("partner", true).await;
    let security = site.security("partner").await;
    assert_eq!(security["used"], Value::Null);
    assert_eq!(security["reason"], "incomplete");
    assert_eq!(security["missing"], json!(["token"]));
    let entered = json!({ "value": site.client().pem(), "origins": site.destinations() });
    site.done("PUT", CREDENTIAL, entered).await;
    let security = site.security("partner").await;
    assert_eq!(security["used"], 1);
    assert_eq!(security["reason"], "firstComplete");
    let state = |at: usize| security["alternatives"][at]["schemes"][0]["state"].clone();
    assert_eq!(state(0), "missing");
    assert_eq!(state(1), "stored");
    for (scheme, used, reason) in [
        ("token", Value::Null, "incomplete"),
        ("mtls", json!(1), "chosen"),
    ] {
        let curation = json!({ "security": [scheme] });
        let path = "servers/partner/tools/who/curation";
        let view = site.done("PUT", path, curation).await;
        assert_eq!(view["security"]["used"], used);
        assert_eq!(view["security"]["reason"], reason);
        assert_eq!(view["security"]["alternatives"][1]["complete"], true);
    }
    // Nobody else is told.
    site.done("PATCH", "servers/partner", json!({ "access": "open" }))
        .await;
    let asked = ("GET", "servers/partner/tools");
    let (status, tools) = site.served.api("", asked, &Value::Null).await;
    assert_eq!(status, 200, "{tools}");
    assert_eq!(tools["tools"][0]["security"], Value::Null);
}

#[tokio::test]
async fn a_setting_shows_one_that_the_document_does_not_ask_for() {
    let site = Site::start().await;
    site.publish("silent", false).await;
    let change = json!({
        "certificateAuthorities": site.own.pem, "clientCertificate": "partner",
    });
    site.done("PATCH", "servers/silent", change).await;
    let said = site.call("silent").await;
    assert!(
        said.contains("\"partner\" (a TLS client certificate"),
        "{said}"
    );
    let entered = json!({ "value": site.client().pem(), "origins": site.destinations() });
    site.done("PUT", "servers/silent/credentials/partner", entered)
        .await;
    assert!(site.call("silent").await.contains("client-1"));
    let security = site.security("silent").await;
    assert_eq!(security["used"], 0);
    assert_eq!(security["reason"], "only");

    // Taken away, the server calls as its document says.
    let change = json!({ "clientCertificate": null });
    site.done("PATCH", "servers/silent", change).await;
    let said = site.call("silent").await;
    assert!(said.contains("was not reached"), "{said}");
    site.publish("declared", true).await;
    for (name, word) in [
        ("", "1 to 128"),
        ("a b", "1 to 128"),
        ("token", "another name"),
    ] {
        let change = json!({ "clientCertificate": name });
        let said = site.refused("PATCH", "servers/declared", change).await;
        assert!(said.contains(word), "{name}: {said}");
    }
}

#[tokio::test]
async fn commands_read_it_from_a_file() {
    let site = Site::start().await;
    let pem = site.file("client.pem", &site.client().pem());
    let declared = site.file("declared.json", &document(&site.api, true).to_string());
    let silent = site.file("silent.json", &document(&site.api, false).to_string());
    let authority = site.file("own.pem", &site.own.pem);

    let given = format!("mtls=@{pem}");
    let flags = [
        "import",
        &declared,
        "--slug",
        "partner",
        "--credential",
        &given,
    ];
    let ended = site.served.command(ADMIN, &flags).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let change = json!({ "certificateAuthorities": site.own.pem });
    site.done("PATCH", "servers/partner", change).await;
    assert!(site.call("partner").await.contains("client-1"));

    // Without a database the system's trust is all there is, and it can be named.
    for (file, name) in [(&declared, "mtls"), (&silent, "mutualTLS")] {
        let given = format!("{name}=@{pem}");
        let flags = ["run", file, "--json", "--listen", "127.0.0.1:0"];
        let more = ["--allow-upstream", LOCAL, "--credential", &given];
        let mut command = causeway(&[&flags[..], &more].concat());
        command.env("SSL_CERT_FILE", &authority);
        let served = Serving::start(command).await;
        let answer = served.call("/mcp", "who", json!({})).await;
        assert!(answer.to_string().contains("client-1"), "{answer}");
    }

    let late = site.clients.client("client-3", 2020).pem();
    let late = site.file("late.pem", &late);
    let given = format!("mtls=@{late}");
    let ended = run(&["run", &declared, "--credential", &given]).await;
    ended.refused(&["--credential mtls", "expired on 2020-12-31"]);
}
