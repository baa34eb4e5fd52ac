//! Credentials, and the connections that are made with them.

use causeway::store::Store;
use causeway::store::connections::{ConnectionRow, Lease, NewSealed};
use causeway::store::credentials::NewCredential;
use causeway::types::{CredentialId, ServerId};

use super::{ORGANIZATION, act, approved, at, server};

/// A server with one credential.
async fn with_credential(store: &Store, slug: &str) -> (ServerId, CredentialId) {
    let new = server(slug);
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let credential = NewCredential {
        id: CredentialId::generate(),
        organization: ORGANIZATION,
        server: new.id,
        scheme: "oauth".into(),
        subject: None,
        key_id: "k".into(),
        sealed: b"client".to_vec(),
        origins: "[]".into(),
        token_origins: Some("[\"https://a\"]".into()),
    };
    let id = credential.id;
    store
        .put_credential(credential, &act(), at(0))
        .await
        .unwrap();
    (new.id, id)
}

fn sealed(credential: CredentialId) -> NewSealed {
    NewSealed {
        id: uuid::Uuid::now_v7(),
        organization: ORGANIZATION,
        credential,
        key_id: "k".into(),
        sealed: b"first".to_vec(),
    }
}

pub(crate) async fn of_many_one_renews_a_connection(store: &Store) {
    let (server, credential) = with_credential(store, "connected").await;
    let new = sealed(credential);
    store.connect(server, &new, &act(), at(1)).await.unwrap();
    let seen = store.connection(credential).await.unwrap().unwrap();
    assert_eq!((seen.generation, seen.state.as_str()), (1, "connected"));
    let owners: Vec<String> = (0..8).map(|number| format!("process {number}")).collect();
    let lease = |owner| Lease {
        connection: seen.id,
        generation: 1,
        owner,
        personal: false,
    };
    let tries = owners
        .iter()
        .map(|owner| store.lease_connection(lease(owner), (at(2), at(62))));
    let taken = futures::future::join_all(tries).await;
    let winners: Vec<usize> = (0..8).filter(|i| *taken[*i].as_ref().unwrap()).collect();
    assert_eq!(winners.len(), 1, "{taken:?}");
    let (winner, loser) = (&owners[winners[0]], &owners[(winners[0] + 1) % 8]);
    let renewing = store.renew_connection(lease(loser), ("k", b"stolen"), at(3));
    assert!(!renewing.await.unwrap(), "it has no lease");
    let renewing = store.renew_connection(lease(winner), ("k", b"second"), at(3));
    assert!(renewing.await.unwrap());
    let renewed = store.connection(credential).await.unwrap().unwrap();
    assert_eq!(
        (renewed.generation, renewed.sealed.as_slice()),
        (2, &b"second"[..])
    );
    // Who saw the first tokens has seen the wrong ones.
    assert!(
        !store
            .lease_connection(lease(loser), (at(4), at(64)))
            .await
            .unwrap()
    );
    a_lease_ends_with_time(store, (credential, &seen), (winner, loser)).await;
    let ended = store.connection(credential).await.unwrap().unwrap();
    assert_eq!((ended.state.as_str(), ended.sealed.len()), ("ended", 0));
    let rows = store.shared_credentials(server).await.unwrap();
    assert_eq!(rows[0].connection_id, Some(ended.id));
    assert_eq!(rows[0].connection_state.as_deref(), Some("ended"));
    // With its credential goes a connection.
    let target = (server, "oauth");
    assert!(
        store
            .delete_credential(target, &act(), at(68))
            .await
            .unwrap()
    );
    assert!(store.connection(credential).await.unwrap().is_none());
}

/// A process that died with a lease loses it, and what it says afterwards counts for nothing.
async fn a_lease_ends_with_time(
    store: &Store,
    (credential, seen): (CredentialId, &ConnectionRow),
    (winner, loser): (&String, &String),
) {
    let lease = |owner| Lease {
        connection: seen.id,
        generation: 2,
        owner,
        personal: false,
    };
    assert!(
        store
            .lease_connection(lease(winner), (at(5), at(65)))
            .await
            .unwrap()
    );
    assert!(
        !store
            .lease_connection(lease(loser), (at(6), at(66)))
            .await
            .unwrap()
    );
    assert!(
        store
            .lease_connection(lease(loser), (at(66), at(126)))
            .await
            .unwrap()
    );
    store.end_connection(lease(winner), at(67)).await.unwrap();
    assert_eq!(
        store.connection(credential).await.unwrap().unwrap().state,
        "connected"
    );
    store.end_connection(lease(loser), at(67)).await.unwrap();
}

pub(crate) async fn what_was_begun_is_taken_once(store: &Store) {
    let (server, credential) = with_credential(store, "begun").await;
    let new = sealed(credential);
    let begin = store.begin_authorization((&new, None), (at(1), at(601)));
    begin.await.unwrap();
    let takes = (0..8).map(|_| store.take_authorization(new.id));
    let taken = futures::future::join_all(takes).await;
    let taken: Vec<_> = taken.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(
        (taken[0].server_id, taken[0].scheme.as_str()),
        (server.0, "oauth")
    );
    assert_eq!(taken[0].credential_id, credential.0);
    // The oldest make room.
    let ids: Vec<_> = (0..101).map(|_| sealed(credential)).collect();
    for (number, new) in ids.iter().enumerate() {
        let until = at(602 + i64::try_from(number).unwrap());
        store
            .begin_authorization((new, None), (at(2), until))
            .await
            .unwrap();
    }
    assert!(store.take_authorization(ids[0].id).await.unwrap().is_none());
    assert!(store.take_authorization(ids[1].id).await.unwrap().is_some());
}

pub(crate) async fn a_credential_takes_the_place_of_the_one_before(store: &Store) {
    let new = server("sealed");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    for sealed in [b"one".to_vec(), b"two".to_vec()] {
        let credential = NewCredential {
            id: CredentialId::generate(),
            organization: ORGANIZATION,
            server: id,
            scheme: "key".into(),
            subject: None,
            key_id: "k".into(),
            sealed,
            origins: "[]".into(),
            token_origins: None,
        };
        store
            .put_credential(credential, &act(), at(1))
            .await
            .unwrap();
    }
    let rows = store.shared_credentials(id).await.unwrap();
    assert_eq!(
        (rows.len(), rows[0].sealed.as_slice()),
        (1, b"two".as_slice())
    );
    assert!(
        store
            .approve_origins((id, "key"), approved("[\"https://a\"]"), &act(), at(2))
            .await
            .unwrap()
    );
    assert_eq!(
        store.shared_credentials(id).await.unwrap()[0].origins,
        "[\"https://a\"]"
    );
    assert!(
        store
            .delete_credential((id, "key"), &act(), at(3))
            .await
            .unwrap()
    );
    assert!(store.shared_credentials(id).await.unwrap().is_empty());
    // Four changes and the making of it.
    assert_eq!(store.index_row(id).await.unwrap().unwrap().revision, 5);
}
