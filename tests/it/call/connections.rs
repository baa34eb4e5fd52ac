//! Connections that processes share: one renews, the others read, and nothing gets lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use causeway::access::upstream_auth::{Pending, Returned, TokenError, Tokens};
use causeway::access::vault::Vault;
use causeway::access::vault::master::MasterKey;
use causeway::credential::oauth::{OAuthClient, Registration, TokenSource};
use causeway::egress::Upstream;
use causeway::openapi::SecurityScheme;
use causeway::store::audit::NewAudit;
use causeway::store::credentials::NewCredential;
use causeway::store::servers::{NewServer, NewVersion};
use causeway::store::{Location, Store};
use causeway::types::{Clock, OrganizationId, ServerId, VersionId};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::call::issuer::{CLIENT_SECRET, Issuer, Manner};
use crate::egress::egress;

/// A database with one client in it, and processes that share it.
pub(crate) struct Shared {
    pub(crate) issuer: Issuer,
    pub(crate) store: Store,
    vault: Arc<Vault>,
    pub(crate) seconds: Arc<Mutex<i64>>,
    pub(crate) source: TokenSource,
    pub(crate) server: ServerId,
    folder: tempfile::TempDir,
}

pub(crate) fn act() -> NewAudit {
    NewAudit {
        organization: OrganizationId::DEFAULT,
        actor: "admin".to_owned(),
        action: "test",
        entity: "server",
        entity_id: "x".to_owned(),
        before: None,
        after: None,
    }
}

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

impl Shared {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::File(folder.path().join("causeway.db"));
        let store = Store::open(&location, 8).await.unwrap();
        store.migrate().await.unwrap();
        let issuer = Issuer::start().await;
        issuer.state.lock().refresh = Some("r3fresh-token-number-0".to_owned());
        let origin = &issuer.origin;
        let scheme = SecurityScheme::OAuth2 {
            flows: json!({"authorizationCode": {
                "authorizationUrl": format!("{origin}/authorize"), "tokenUrl": format!("{origin}/token"),
            }}),
        };
        let text = json!({"id": "us", "secret": CLIENT_SECRET, "revocationUrl": format!("{origin}/revoke")});
        let read = Registration::read(&scheme, &text.to_string())
            .unwrap()
            .unwrap();
        let mut client = OAuthClient::new(read);
        client.origins = BTreeSet::from([origin.clone()]);
        let server = stored(&store, &client).await;
        let needed = BTreeSet::from(["read".to_owned()]);
        let source = TokenSource::new(("oauth", &scheme), &client, None, needed);
        Self {
            issuer,
            store,
            vault: Arc::new(Vault::new(&MasterKey::from_bytes([7; 32]))),
            seconds: Arc::new(Mutex::new(now().timestamp())),
            source,
            server,
            folder,
        }
    }

    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("causeway.db")
    }

    pub(crate) fn process(&self) -> (Tokens, Upstream) {
        let egress = egress(&["127.0.0.0/8"]);
        let upstream = egress.upstream(&[]);
        let seconds = self.seconds.clone();
        let clock = Clock::from_fn(move || DateTime::from_timestamp(*seconds.lock(), 0).unwrap());
        let kept = (self.store.clone(), self.vault.clone());
        (Tokens::stored(egress, clock, kept), upstream)
    }

    /// Begins: the state, and what goes to the authorization server with it.
    async fn begin(&self, (tokens, upstream): &(Tokens, Upstream)) -> (String, url::Url) {
        let with = (
            OrganizationId::DEFAULT,
            "somebody",
            "http://here.example/oauth/callback",
        );
        let begun = tokens.begin(&self.source, upstream, with).await.unwrap();
        let state = begun.url.query_pairs().find(|(name, _)| name == "state");
        (state.unwrap().1.into_owned(), begun.url)
    }

    async fn connect(&mut self, process: &(Tokens, Upstream)) {
        let (state, _) = self.begin(process).await;
        let pending = process.0.take(&state).await.unwrap().unwrap();
        let made = self.complete(process, &pending).await.unwrap();
        self.store
            .connect(self.server, &made, &act(), now())
            .await
            .unwrap();
        self.source.client.connection = Some(made.id);
    }

    async fn complete(
        &self,
        (tokens, upstream): &(Tokens, Upstream),
        pending: &Pending,
    ) -> Result<causeway::store::connections::NewSealed, TokenError> {
        let returned = Returned {
            code: Some("the code"),
            error: None,
            issuer: None,
        };
        tokens
            .complete(&self.source, upstream, (pending, returned))
            .await
    }

    async fn tokens(
        &self,
        processes: &[(Tokens, Upstream)],
        each: usize,
    ) -> Vec<Result<String, TokenError>> {
        let source = Arc::new(self.source.clone());
        let asked = processes
            .iter()
            .flat_map(|process| std::iter::repeat_n(process, each));
        let asked = asked.map(|(tokens, upstream)| {
            let source = source.clone();
            async move {
                let token = tokens.token(&source, upstream).await?;
                Ok(token.value().expose_secret().to_owned())
            }
        });
        futures::future::join_all(asked).await
    }

    pub(crate) fn requests(&self, grant: &str) -> usize {
        let asked = self.issuer.asked();
        asked
            .iter()
            .filter(|asked| asked.form["grant_type"] == grant)
            .count()
    }
}

async fn stored(store: &Store, client: &OAuthClient) -> ServerId {
    let id = ServerId::generate();
    let new = NewServer {
        id,
        slug: "connected".parse().unwrap(),
        owner: None,
        closed: None,
        settings: "{}".to_owned(),
        version: NewVersion {
            id: VersionId::generate(),
            document: b"{}".to_vec(),
            document_hash: [7; 32],
            document_url: None,
            overlays: None,
            converter: "test".to_owned(),
            title: "Connected".to_owned(),
            description: None,
            tools: "[]".to_owned(),
            schemes: "{}".to_owned(),
            findings: "[]".to_owned(),
            listed: causeway::store::listed::NewListed::default(),
        },
        credentials: vec![NewCredential {
            id: client.credential,
            organization: OrganizationId::DEFAULT,
            server: id,
            scheme: "oauth".to_owned(),
            subject: None,
            key_id: "k".to_owned(),
            sealed: Vec::new(),
            origins: "[]".to_owned(),
            token_origins: None,
        }],
    };
    store.create_server(&new, &act(), now()).await.unwrap();
    id
}

#[tokio::test]
async fn what_goes_out_comes_back_once_and_in_time() {
    let shared = Shared::new().await;
    let process = shared.process();
    let (state, url) = shared.begin(&process).await;
    let sent = |name: &str| {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, text)| text.into_owned())
    };
    assert_eq!(sent("code_challenge_method").as_deref(), Some("S256"));
    assert_eq!(sent("response_type").as_deref(), Some("code"));
    assert_eq!(sent("scope").as_deref(), Some("read"));
    assert_eq!(
        sent("redirect_uri").as_deref(),
        Some("http://here.example/oauth/callback")
    );
    assert!(!url.as_str().contains("cl1ent"), "{url}");
    assert!(process.0.take("another state").await.unwrap().is_none());
    // Another replica takes it; nobody does after that.
    let other = shared.process();
    let pending = other.0.take(&state).await.unwrap().unwrap();
    assert_eq!(
        (pending.who.as_str(), pending.scheme.as_str()),
        ("somebody", "oauth")
    );
    assert!(process.0.take(&state).await.unwrap().is_none(), "replayed");
    shared.complete(&other, &pending).await.unwrap();
    let asked = &shared.issuer.asked()[0];
    assert_eq!(asked.form["code"], "the code");
    assert_eq!(
        asked.form["redirect_uri"],
        "http://here.example/oauth/callback"
    );
    // RFC 7636 section 4.2.
    let hash = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        asked.form["code_verifier"].as_bytes(),
    );
    let challenge = URL_SAFE_NO_PAD.encode(hash);
    assert_eq!(sent("code_challenge").as_deref(), Some(challenge.as_str()));
    let (late, _) = shared.begin(&process).await;
    *shared.seconds.lock() += 600;
    assert!(
        process.0.take(&late).await.unwrap().is_none(),
        "after ten minutes"
    );
}

#[tokio::test]
async fn of_many_processes_one_renews_and_no_refresh_token_is_used_twice() {
    let mut shared = Shared::new().await;
    let processes = [shared.process(), shared.process(), shared.process()];
    shared.connect(&processes[0]).await;
    for round in 1..4 {
        let got = shared.tokens(&processes, 50).await;
        let first = got[0].clone().unwrap();
        assert!(
            got.iter().all(|token| token.as_ref() == Ok(&first)),
            "{round}: {got:?}"
        );
        assert_eq!(shared.requests("refresh_token"), round - 1);
        *shared.seconds.lock() += 3600;
    }
    // A process that starts later finds the last one in the database.
    let got = shared.tokens(&[shared.process()], 1).await;
    assert!(got[0].is_ok(), "{got:?}");
    assert_eq!(shared.requests("refresh_token"), 3);
    assert_eq!(shared.requests("authorization_code"), 1);
}

#[tokio::test]
async fn a_revoked_connection_says_that_it_has_to_be_made_again() {
    let mut shared = Shared::new().await;
    let process = shared.process();
    let unconnected = |got: &[Result<String, TokenError>]| {
        assert!(
            matches!(got[0], Err(TokenError::NeedsConnection { .. })),
            "{got:?}"
        );
    };
    unconnected(&shared.tokens(std::slice::from_ref(&process), 1).await);
    shared.connect(&process).await;
    *shared.seconds.lock() += 3600;
    // Down is not revoked.
    shared.issuer.behave(Manner::Answers(
        StatusCode::SERVICE_UNAVAILABLE,
        "text/plain",
        String::new(),
    ));
    let got = shared.tokens(std::slice::from_ref(&process), 1).await;
    assert!(
        matches!(got[0], Err(TokenError::NoToken { status: 503, .. })),
        "{got:?}"
    );
    shared.issuer.behave(Manner::Issues(json!(3600)));
    *shared.seconds.lock() += 11;
    assert!(shared.tokens(std::slice::from_ref(&process), 1).await[0].is_ok());
    *shared.seconds.lock() += 3600;
    shared.issuer.state.lock().refresh = None;
    let got = shared.tokens(std::slice::from_ref(&process), 1).await;
    unconnected(&got);
    assert!(
        got[0]
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("has to connect it")
    );
    let row = shared
        .store
        .connection(shared.source.client.credential)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((row.state.as_str(), row.sealed.len()), ("ended", 0));
    let refreshes = shared.requests("refresh_token");
    unconnected(&shared.tokens(std::slice::from_ref(&process), 5).await);
    assert_eq!(
        shared.requests("refresh_token"),
        refreshes,
        "it is not tried again"
    );
    // Connected again, the same process uses the new connection.
    shared.issuer.state.lock().refresh = Some("r3fresh-another".to_owned());
    shared.connect(&process).await;
    assert!(shared.tokens(std::slice::from_ref(&process), 1).await[0].is_ok());
    assert!(process.0.revoke(&shared.source, &process.1).await);
    let revoked = shared.issuer.state.lock().revoked.clone();
    assert_eq!(revoked[0]["token"], "r3fresh-another");
    assert_eq!(revoked[0]["token_type_hint"], "refresh_token");
}

#[tokio::test]
async fn a_caller_that_leaves_takes_no_refresh_token_with_it() {
    let mut shared = Shared::new().await;
    let process = shared.process();
    shared.connect(&process).await;
    *shared.seconds.lock() += 3600;
    let source = Arc::new(shared.source.clone());
    let call = process.0.token(&source, &process.1);
    let left = tokio::time::timeout(std::time::Duration::from_millis(20), call).await;
    assert!(left.is_err(), "the issuer takes longer than that");
    assert!(shared.tokens(std::slice::from_ref(&process), 1).await[0].is_ok());
    assert_eq!(shared.requests("refresh_token"), 1);
}
