//! Tokens of people's own: two people of one client at once, two processes on one database, and a database in
//! which somebody changed whose they are.

use std::collections::BTreeSet;
use std::sync::Arc;

use causeway::access::upstream_auth::{OwnSecret, Returned, TokenError, Tokens};
use causeway::credential::Secret;
use causeway::credential::oauth::TokenSource;
use causeway::egress::Upstream;
use causeway::store::connected::Place;
use causeway::store::users::NewUser;
use causeway::types::{OrganizationId, UserId};
use secrecy::ExposeSecret;
use sqlx::Connection;

use crate::call::connections::{Shared, act, now};

type Process = (Tokens, Upstream);

async fn person(shared: &Shared, name: &str) -> UserId {
    let id = UserId::generate();
    let new = NewUser {
        id,
        name,
        role: "member",
        password_hash: None,
    };
    shared.store.create_user(new, &act(), now()).await.unwrap();
    id
}

fn place(shared: &Shared, user: UserId) -> Place<'static> {
    Place {
        organization: OrganizationId::DEFAULT,
        server: shared.server,
        scheme: "oauth",
        user,
    }
}

fn origins() -> BTreeSet<String> {
    BTreeSet::from(["https://api.example".to_owned()])
}

/// Connects somebody's account: the source of their tokens.
async fn connect(shared: &Shared, process: &Process, user: UserId) -> Arc<TokenSource> {
    let (tokens, upstream) = process;
    let source = shared.source.of_user(user, None);
    let with = (
        OrganizationId::DEFAULT,
        "session",
        "http://here.example/oauth/callback",
    );
    let begun = tokens.begin_for(&source, upstream, (with, origins())).await;
    let url = begun.unwrap().url;
    let state = url
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1;
    let pending = tokens.take(&state).await.unwrap().unwrap();
    assert_eq!((pending.user, &pending.origins), (Some(user), &origins()));
    assert!(tokens.take(&state).await.unwrap().is_none(), "taken once");
    let returned = Returned {
        code: Some("the code"),
        error: None,
        issuer: None,
    };
    // Nobody ends what somebody else began, not even the server itself.
    for other in [
        shared.source.clone(),
        shared.source.of_user(UserId::generate(), None),
    ] {
        let refused = tokens
            .complete(&other, upstream, (&pending, returned))
            .await;
        assert!(matches!(refused, Err(TokenError::Unusable { .. })));
    }
    let made = tokens
        .complete(&source, upstream, (&pending, returned))
        .await
        .unwrap();
    let id = made.id;
    let (act, seen) = (act(), origins());
    let kept = tokens.keep_tokens(place(shared, user), (made, &seen), &act);
    assert!(kept.await.unwrap());
    Arc::new(shared.source.of_user(user, Some(id)))
}

async fn token((tokens, upstream): &Process, source: &Arc<TokenSource>) -> String {
    let token = tokens.token(source, upstream).await.unwrap();
    token.value().expose_secret().to_owned()
}

#[tokio::test]
async fn two_people_of_one_client_have_two_tokens_and_two_masks() {
    let shared = Shared::new().await;
    let (here, there) = (shared.process(), shared.process());
    let (ann, ben) = (person(&shared, "ann").await, person(&shared, "ben").await);
    let anns = connect(&shared, &here, ann).await;
    let bens = connect(&shared, &here, ben).await;
    assert_ne!(anns.identity(), bens.identity());
    for process in [&here, &there] {
        let asked = (0..8).map(|number| {
            let source = if number % 2 == 0 { &anns } else { &bens };
            token(process, source)
        });
        let got = futures::future::join_all(asked).await;
        assert_eq!(got.iter().collect::<BTreeSet<_>>().len(), 2, "{got:?}");
        assert!(got.iter().step_by(2).all(|token| *token == got[0]));
    }
    let (of_ann, of_ben) = (token(&here, &anns).await, token(&here, &bens).await);
    let mask = here.0.mask([&anns]);
    assert_eq!(mask.text(&of_ann), "[masked]");
    assert_eq!(mask.text(&of_ben), of_ben.as_str());
    // Nobody's, and the server's, are nobody's of them.
    let stranger = Arc::new(shared.source.of_user(person(&shared, "eve").await, None));
    for source in [stranger, Arc::new(shared.source.clone())] {
        let got = here.0.token(&source, &here.1).await;
        assert!(matches!(got, Err(TokenError::NeedsConnection { .. })));
    }
}

#[tokio::test]
async fn of_two_processes_one_renews_each_persons_token() {
    let shared = Shared::new().await;
    let (here, there) = (shared.process(), shared.process());
    let ann = person(&shared, "ann").await;
    let anns = connect(&shared, &here, ann).await;
    let first = token(&there, &anns).await;
    *shared.seconds.lock() += 3600;
    let asked = (0..8).map(|number| token(if number % 2 == 0 { &here } else { &there }, &anns));
    let got = futures::future::join_all(asked).await;
    assert_eq!(shared.requests("refresh_token"), 1, "{got:?}");
    assert!(got.iter().all(|token| *token == got[0] && *token != first));
    // Disconnected in one process, it is good in neither: each call looks whether it is there.
    let asked = (shared.server, "oauth", ann);
    let row = shared.store.account(asked).await.unwrap().unwrap();
    let act = act();
    let gone = shared.store.disconnect_account(&row, &act, now());
    assert!(gone.await.unwrap());
    here.0.end_own(&anns, &here.1, row).await;
    assert_eq!(shared.issuer.state.lock().revoked.len(), 1);
    for process in [&here, &there] {
        assert!(process.0.own(asked).await.unwrap().is_none());
    }
    let got = here.0.token(&anns, &here.1).await;
    assert!(matches!(got, Err(TokenError::NeedsConnection { .. })));
}

#[tokio::test]
async fn a_row_that_was_given_to_somebody_else_does_not_open() {
    let shared = Shared::new().await;
    let process = shared.process();
    let (ann, ben) = (person(&shared, "ann").await, person(&shared, "ben").await);
    let secret = Secret::Token("anns-own-s3cret".into());
    let (act, seen) = (act(), origins());
    let entered = (&secret, &seen);
    let kept = process.0.keep_entered(place(&shared, ann), entered, &act);
    assert!(kept.await.unwrap());
    let opened = process
        .0
        .own((shared.server, "oauth", ann))
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(
        opened.secret,
        OwnSecret::Entered(Secret::Token(_))
    ));
    let file = shared.file();
    let mut database = sqlx::SqliteConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let swap = sqlx::query("UPDATE connected_accounts SET user_id = $1 WHERE user_id = $2");
    let swapped = swap.bind(ben.0).bind(ann.0).execute(&mut database).await;
    assert_eq!(swapped.unwrap().rows_affected(), 1);
    let opened = process.0.own((shared.server, "oauth", ben)).await;
    assert!(
        matches!(opened, Err(TokenError::Storage { .. })),
        "{opened:?}"
    );
    let opened = process.0.own((shared.server, "oauth", ann)).await;
    assert!(opened.unwrap().is_none());
    // The same of tokens.
    let anns = connect(&shared, &process, ann).await;
    let first = token(&process, &anns).await;
    sqlx::query("DELETE FROM connected_accounts WHERE user_id = $1")
        .bind(ben.0)
        .execute(&mut database)
        .await
        .unwrap();
    let swap = sqlx::query("UPDATE connected_accounts SET user_id = $1 WHERE user_id = $2");
    swap.bind(ben.0)
        .bind(ann.0)
        .execute(&mut database)
        .await
        .unwrap();
    let bens = Arc::new(shared.source.of_user(ben, anns.client.connection));
    let got = process.0.token(&bens, &process.1).await.map(|_| ());
    assert!(
        matches!(got, Err(TokenError::Storage { .. })),
        "{got:?} {first}"
    );
}
