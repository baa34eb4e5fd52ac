//! Keys that take the place of others, issuers, and the consumers that come with their tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use causeway::access::key::Keys;
use causeway::access::vault::kept::HashKey;
use causeway::store::issuers::{NewIssuer, NewSubject};
use causeway::store::keys::{NewSecret, OWNED_MAX, Replaced};
use causeway::store::users::NewUser;
use causeway::store::{Change, Store, StoreError};
use causeway::types::{Clock, KeyId, UserId};
use chrono::Duration;
use secrecy::{ExposeSecret, SecretString};

use super::{ORGANIZATION, act, at, key};

fn secret(replaces: KeyId, digit: u8, ends: i64) -> NewSecret {
    NewSecret {
        id: KeyId::generate(),
        prefix: "cw_1111".into(),
        hash: [digit; 32],
        replaces,
        ends_at: at(ends),
        owned_max: None,
    }
}

pub(crate) async fn a_key_is_replaced_once_and_goes_on_for_a_while(store: &Store) {
    let mut old = key(1);
    let id = old.id;
    old.grants = Some("[]".into());
    old.expires_at = Some(at(1_000));
    store.create_key(old, &act(), at(100)).await.unwrap();
    let before = store.key_changes().await.unwrap();
    let new = secret(id, 2, 500);
    let new_id = new.id;
    let replaced = store.replace_key(new, &act(), at(400)).await.unwrap();
    let Replaced::Done(row) = replaced else {
        unreachable!("{replaced:?}");
    };
    assert_eq!((row.id, row.replaces), (new_id.0, Some(id.0)));
    assert_eq!(row.grants.as_deref(), Some("[]"));
    // It was made for 900 seconds, and so is the new one.
    assert_eq!(row.expires_at, Some(at(1_300).timestamp_micros()));
    let old = store.key_by_hash(&[1; 32]).await.unwrap().unwrap();
    assert_eq!(old.expires_at, Some(at(500).timestamp_micros()));
    assert_eq!((&old.name, old.consumer_id), (&row.name, row.consumer_id));
    assert_eq!(store.key_changes().await.unwrap(), before + 1);
    let again = store.replace_key(secret(id, 3, 500), &act(), at(401)).await;
    assert!(matches!(again, Ok(Replaced::Already)));
    // An overlap never makes a key last longer.
    let next = secret(new_id, 4, 9_000);
    let next = store.replace_key(next, &act(), at(402)).await;
    assert!(matches!(next, Ok(Replaced::Done(_))));
    let row = store.key_by_hash(&[2; 32]).await.unwrap().unwrap();
    assert_eq!(row.expires_at, Some(at(1_300).timestamp_micros()));
    let nobody = secret(KeyId::generate(), 5, 500);
    let missing = store.replace_key(nobody, &act(), at(1)).await;
    assert!(matches!(missing, Ok(Replaced::Missing)));
    let gone = key(6);
    let gone_id = gone.id;
    store.create_key(gone, &act(), at(1)).await.unwrap();
    store.revoke_key(gone_id, &act(), at(2)).await.unwrap();
    let late = secret(gone_id, 7, 500);
    let ended = store.replace_key(late, &act(), at(3)).await;
    assert!(matches!(ended, Ok(Replaced::Ended)));
}

pub(crate) async fn of_many_one_replaces_a_key(store: &Store) {
    let old = key(1);
    let id = old.id;
    store.create_key(old, &act(), at(0)).await.unwrap();
    let tries = (2..8).map(|digit| {
        let store = store.clone();
        async move { store.replace_key(secret(id, digit, 5), &act(), at(1)).await }
    });
    let done = futures::future::join_all(tries).await;
    let count = |wanted: fn(&Replaced) -> bool| {
        let matching = done.iter().filter(|done| wanted(done.as_ref().unwrap()));
        matching.count()
    };
    assert_eq!(count(|done| matches!(done, Replaced::Done(_))), 1);
    assert_eq!(count(|done| matches!(done, Replaced::Already)), 5);

    // And through the keys of a process, by its clock: both are good while they overlap.
    let hand = Arc::new(AtomicI64::new(1_000));
    let seconds = hand.clone();
    let clock = Clock::from_fn(move || at(seconds.load(Ordering::SeqCst)));
    let hash_key = HashKey(vec![7; 32].into());
    let admin = SecretString::from("admin");
    let keys = Keys::new(store.clone(), &hash_key, &admin, clock);
    let request = causeway::access::key::KeyRequest {
        organization: ORGANIZATION,
        actor: "test".into(),
        owner: (None, false),
        name: "rotated".into(),
        grants: None,
        models: None,
        expires_at: None,
    };
    let made = keys.create(request).await.unwrap();
    let good = async |secret: &SecretString| keys.recognise(secret.expose_secret()).await.ok();
    let old = good(&made.secret).await.unwrap().0;
    let who = (ORGANIZATION, "test".to_owned());
    let rotated = keys
        .rotate(who, made.id, Duration::seconds(60))
        .await
        .unwrap();
    let new = good(&rotated.secret).await.unwrap().0;
    assert_eq!(
        new.principal(),
        old.principal(),
        "sessions outlive a rotation"
    );
    assert_ne!(new.key, old.key);
    for (second, old_is_good) in [(1_000, true), (1_059, true), (1_060, false)] {
        hand.store(second, Ordering::SeqCst);
        assert_eq!(good(&made.secret).await.is_some(), old_is_good, "{second}");
        assert!(good(&rotated.secret).await.is_some());
    }
}

pub(crate) async fn somebody_has_so_many_keys_that_are_good(store: &Store) {
    let owner = UserId::generate();
    let ann = NewUser {
        id: owner,
        name: "ann",
        role: "member",
        password_hash: None,
    };
    store.create_user(ann, &act(), at(0)).await.unwrap();
    let theirs = |digit, owner| {
        let mut key = key(digit);
        key.owner = owner;
        key.owned_max = Some(3);
        key.consumer = format!("agent {digit}");
        key
    };
    // Of many at once as many as there is room for.
    let tries = (1..9).map(|digit| {
        let (store, key) = (store.clone(), theirs(digit, Some(owner)));
        async move { (key.id, store.create_key(key, &act(), at(1)).await) }
    });
    let (mut made, mut full) = (Vec::new(), 0);
    for (id, result) in futures::future::join_all(tries).await {
        match result {
            Ok(_) => made.push(id),
            Err(StoreError::Conflict(constraint)) if constraint == OWNED_MAX => full += 1,
            Err(other) => unreachable!("{other}"),
        }
    }
    assert_eq!((made.len(), full), (3, 5));
    // A key that is replaced counts for as long as it goes on.
    let mut later = secret(made[0], 20, 500);
    later.owned_max = Some(3);
    let refused = store.replace_key(later, &act(), at(2)).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    let mut at_once = secret(made[0], 21, 2);
    at_once.owned_max = Some(3);
    let replaced = store.replace_key(at_once, &act(), at(2)).await;
    assert!(matches!(replaced, Ok(Replaced::Done(_))), "{replaced:?}");
    // Whoever has more than that, since it was lowered, still replaces one by one, and makes none beside.
    let Ok(Replaced::Done(newest)) = replaced else {
        unreachable!()
    };
    for (digit, ends, goes) in [(24, 500, false), (25, 2, true)] {
        let mut lowered = secret(KeyId(newest.id), digit, ends);
        lowered.owned_max = Some(2);
        let replaced = store.replace_key(lowered, &act(), at(2)).await;
        assert_eq!(replaced.is_ok(), goes, "{replaced:?}");
    }
    // One that ended makes room, and keys of nobody are not counted.
    assert!(
        store
            .create_key(theirs(22, Some(owner)), &act(), at(3))
            .await
            .is_err()
    );
    store.revoke_key(made[1], &act(), at(3)).await.unwrap();
    store
        .create_key(theirs(23, Some(owner)), &act(), at(4))
        .await
        .unwrap();
    for digit in 30..34 {
        store
            .create_key(theirs(digit, None), &act(), at(5))
            .await
            .unwrap();
    }
}

pub(crate) async fn an_issuer_has_one_name_and_one_iss(store: &Store) {
    let mut changes = store.changes();
    let put = async |name, issuer, settings| {
        let new = NewIssuer {
            name,
            issuer,
            settings,
        };
        store.put_issuer(new, &act(), at(1)).await
    };
    assert!(put("a", "https://a", "{}").await.unwrap());
    let first = store.issuer(ORGANIZATION, "a").await.unwrap().unwrap();
    assert_eq!(changes.recv().await.unwrap(), Change::Key(KeyId(first.id)));
    assert!(matches!(
        put("b", "https://a", "{}").await,
        Err(StoreError::Conflict(_))
    ));
    assert!(put("a", "https://a", "{\"x\":1}").await.unwrap());
    let second = store.issuer(ORGANIZATION, "a").await.unwrap().unwrap();
    assert_ne!(
        first.id, second.id,
        "what is known of the former is not of this one"
    );
    let all = store.all_issuers().await.unwrap();
    assert_eq!(all, std::slice::from_ref(&second));
    assert_eq!(store.issuers(ORGANIZATION).await.unwrap(), [second]);
    assert!(store.delete_issuer("a", &act(), at(2)).await.unwrap());
    assert!(!store.delete_issuer("a", &act(), at(3)).await.unwrap());
    assert!(store.all_issuers().await.unwrap().is_empty());
}

pub(crate) async fn a_subject_is_one_consumer(store: &Store) {
    store.create_key(key(1), &act(), at(0)).await.unwrap();
    let of = async |issuer, subject, name, subjects_max| {
        let new = NewSubject {
            organization: ORGANIZATION,
            issuer,
            subject,
            name,
            subjects_max,
        };
        store.consumer_of(new, at(1)).await.unwrap()
    };
    let tries = (0..6).map(|_| of("https://a", "sub:1", "a/1", 2));
    let found = futures::future::join_all(tries).await;
    let first = found[0].unwrap();
    assert!(found.iter().all(|id| *id == Some(first)));
    // A consumer that was made here has the name already, and stays who it is.
    let second = of("https://a", "sub:2", "agent", 2).await.unwrap();
    let agent = store
        .consumer(ORGANIZATION, "agent")
        .await
        .unwrap()
        .unwrap();
    assert_ne!(second.0, agent.id);
    assert_eq!(of("https://a", "sub:3", "a/3", 2).await, None);
    assert_eq!(of("https://a", "sub:1", "a/1", 2).await, Some(first));
    let elsewhere = of("https://b", "sub:1", "b/1", 2).await;
    assert!(elsewhere.is_some_and(|id| id != first && id != second));
    let limits = store.consumer_limits(ORGANIZATION, first).await.unwrap();
    assert_eq!(limits, None);
}

pub(crate) async fn keys_are_found_by_hash_until_they_are_revoked(store: &Store) {
    let (first, second) = (key(1), key(2));
    let id = first.id;
    let consumer = store.create_key(first, &act(), at(0)).await.unwrap();
    assert_eq!(
        store.create_key(second, &act(), at(1)).await.unwrap(),
        consumer
    );
    assert_eq!(store.key_by_hash(&[1; 32]).await.unwrap().unwrap().id, id.0);
    assert!(store.key_by_hash(&[9; 32]).await.unwrap().is_none());
    assert!(store.revoke_key(id, &act(), at(2)).await.unwrap());
    assert!(!store.revoke_key(id, &act(), at(3)).await.unwrap());
    assert!(
        store
            .key_by_hash(&[1; 32])
            .await
            .unwrap()
            .unwrap()
            .revoked_at
            .is_some()
    );
    store
        .note_key_use(&[(id, at(4).timestamp_micros())])
        .await
        .unwrap();
    let rows = store.keys(ORGANIZATION, None).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter()
            .any(|row| row.last_used_at == Some(at(4).timestamp_micros()))
    );
}
