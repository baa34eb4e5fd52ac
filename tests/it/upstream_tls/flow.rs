//! Calls of tools whose API asks for a client certificate.

use causeway::credential::{Credential, Credentials, Secret};
use causeway::mcp::call::{dry_run, explain};
use causeway::mcp::server::{Access, Server, ServerSettings};
use causeway::types::Clock;
use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::call::{Bench, context, credential, document, text, tool_call};
use crate::upstream_tls::{Api, Authority, Party, Wants};

struct Scene {
    own: Authority,
    clients: Authority,
    api: Api,
    bench: Bench,
}

impl Scene {
    async fn start() -> Self {
        let (own, clients) = (Authority::new("own"), Authority::new("clients"));
        let api = Api::start(&own, Wants::Demands(&clients)).await;
        Self {
            api,
            own,
            clients,
            bench: Bench::local(),
        }
    }

    fn client(&self) -> Party {
        self.clients.client("client-1", 2100)
    }

    fn settings(&self) -> ServerSettings {
        ServerSettings {
            access: Access::Open,
            certificate_authorities: Some(self.own.pem.clone()),
            ..ServerSettings::default()
        }
    }

    fn server(&self, security: Value, held: Vec<(&str, Credential)>) -> Server {
        let document = document(&self.api.origin, schemes(), security);
        self.bench
            .server_with(&document, credentials(held), self.settings())
    }

    async fn call(&self, server: &Server) -> String {
        let outcome = self.bench.call(server, "echo", json!({})).await;
        text(&outcome.unwrap())
    }
}

fn schemes() -> Value {
    json!({
        "mtls": { "type": "mutualTLS" },
        "other": { "type": "mutualTLS" },
        "bearer": { "type": "http", "scheme": "bearer" },
    })
}

fn credentials(held: Vec<(&str, Credential)>) -> Credentials {
    let held = held.into_iter();
    Credentials::new(
        held.map(|(name, credential)| (name.to_owned(), credential))
            .collect::<IndexMap<_, _>>(),
    )
}

#[tokio::test]
async fn a_certificate_and_a_token_are_sent_together() {
    let scene = Scene::start().await;
    let origin = &scene.api.origin;
    let both = json!([{ "mtls": [], "bearer": [] }]);
    let token = || credential(Secret::Token("a-bearer-token".into()), origin);
    let identity = || credential(scene.client().secret(), origin);

    let server = scene.server(
        both.clone(),
        vec![("mtls", identity()), ("bearer", token())],
    );
    let said = scene.call(&server).await;
    assert!(said.contains("client-1"), "{said}");
    assert!(said.contains("Bearer [masked]"), "{said}");
    assert_eq!(
        scene.api.seen()[0]["headers"]["authorization"],
        "Bearer a-bearer-token"
    );

    // Half of it is nothing: no connection is made.
    let connections = scene.api.connections();
    for (held, missing) in [
        (vec![("mtls", identity())], "bearer"),
        (vec![("bearer", token())], "TLS client certificate"),
        (vec![], "TLS client certificate"),
    ] {
        let said = scene.call(&scene.server(both.clone(), held)).await;
        assert!(said.contains("Nothing was sent"), "{said}");
        assert!(said.contains(missing), "{said}");
    }
    assert_eq!(scene.api.connections(), connections);
}

#[tokio::test]
async fn a_certificate_goes_where_it_was_entered_for_and_over_tls() {
    let scene = Scene::start().await;
    let elsewhere = credential(scene.client().secret(), "https://api.example");
    let said = scene
        .call(&scene.server(json!([{ "mtls": [] }]), vec![("mtls", elsewhere)]))
        .await;
    assert!(said.contains("not approved for"), "{said}");

    let http = scene.api.origin.replace("https", "http");
    let bound = credential(scene.client().secret(), &http);
    let document = document(&http, schemes(), json!([{ "mtls": [] }]));
    let held = credentials(vec![("mtls", bound)]);
    let server = scene.bench.server_with(&document, held, scene.settings());
    let said = scene.call(&server).await;
    assert!(said.contains("over https only"), "{said}");

    let origin = &scene.api.origin;
    let two = vec![
        ("mtls", credential(scene.client().secret(), origin)),
        ("other", credential(scene.client().secret(), origin)),
    ];
    let said = scene
        .call(&scene.server(json!([{ "mtls": [], "other": [] }]), two))
        .await;
    assert!(said.contains("two credentials in one place"), "{said}");
    assert_eq!(scene.api.connections(), 0);
}

#[tokio::test]
async fn an_expired_certificate_is_not_shown() {
    let mut scene = Scene::start().await;
    let client = scene.clients.client("client-1", 2030);
    let held = || credential(client.secret(), &scene.api.origin);
    let server = scene.server(json!([{ "mtls": [] }]), vec![("mtls", held())]);
    assert!(scene.call(&server).await.contains("client-1"));
    let before = scene.api.connections();
    scene.bench.mcp.clock = Clock::from_fn(|| "2031-01-01T00:00:00Z".parse().unwrap());
    let said = scene.call(&server).await;
    assert!(said.contains("has expired"), "{said}");
    assert_eq!(scene.api.connections(), before);
}

#[tokio::test]
async fn a_server_may_show_one_that_its_document_does_not_ask_for() {
    let scene = Scene::start().await;
    let origin = &scene.api.origin;
    let settings = ServerSettings {
        client_certificate: Some("partner".to_owned()),
        ..scene.settings()
    };
    for security in [json!([]), json!([{}]), json!([{ "bearer": [] }])] {
        let document = document(origin, schemes(), security.clone());
        let bearer = || {
            (
                "bearer",
                credential(Secret::Token("a-bearer-token".into()), origin),
            )
        };
        let partner = ("partner", credential(scene.client().secret(), origin));
        let held = credentials(vec![partner, bearer()]);
        let server = scene.bench.server_with(&document, held, settings.clone());
        let said = scene.call(&server).await;
        assert!(said.contains("client-1"), "{security}: {said}");
        // And nothing goes out without it.
        let before = scene.api.connections();
        let held = credentials(vec![bearer()]);
        let server = scene.bench.server_with(&document, held, settings.clone());
        let said = scene.call(&server).await;
        assert!(said.contains("\"partner\""), "{security}: {said}");
        assert_eq!(scene.api.connections(), before, "{security}");
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let scene = Scene::start().await;
    let origin = &scene.api.origin;
    let stranger = Authority::new("stranger").client("client-9", 2100);
    let held = vec![("mtls", credential(stranger.secret(), origin))];
    let said = scene
        .call(&scene.server(json!([{ "mtls": [] }]), held))
        .await;
    assert!(said.contains("The API was not reached"), "{said}");
    // A document that asks for none goes there without one.
    let said = scene.call(&scene.server(json!([]), vec![])).await;
    assert!(said.contains("The API was not reached"), "{said}");
    assert!(scene.api.seen().is_empty());
}

#[tokio::test]
async fn no_trace_shows_a_key() {
    let scene = Scene::start().await;
    let client = scene.client();
    let held = vec![("mtls", credential(client.secret(), &scene.api.origin))];
    let server = scene.server(json!([{ "mtls": [] }]), held);
    let caller = causeway::access::caller::Caller::anonymous();
    let (mcp, context) = (&scene.bench.mcp, context());
    let call = || tool_call("echo", json!({}));
    let sent = explain(mcp, &caller, &server, call(), &context).await;
    let rehearsed = dry_run(mcp, &caller, &server, call(), &context).await;
    for trace in [sent.unwrap(), rehearsed.unwrap()] {
        let shown = serde_json::to_string(&trace).unwrap();
        for line in client.pem().lines().filter(|line| line.len() > 30) {
            assert!(!shown.contains(line), "{shown}");
        }
    }
    assert_eq!(scene.api.seen().len(), 1);
}
