//! The life of a server in the database: closed, given away, deleted, restored, removed for good.

use causeway::store::credentials::NewCredential;
use causeway::store::lifecycle::{NewClosed, RESTORABLE};
use causeway::store::users::{NewUser, UserEdit};
use causeway::store::{Store, StoreError};
use causeway::types::{CredentialId, ServerId, UserId};

use super::database::Database;
use super::{ORGANIZATION, act, at, renamed, replaced, server, slug, version};

const DAY: i64 = 86_400;

fn credential(server: ServerId) -> NewCredential {
    NewCredential {
        id: CredentialId::generate(),
        organization: ORGANIZATION,
        server,
        scheme: "key".into(),
        subject: None,
        key_id: "k".into(),
        sealed: b"sealed".to_vec(),
        origins: "[]".into(),
        token_origins: None,
    }
}

pub(crate) async fn a_closed_server_says_since_when(store: &Store) {
    let new = server("pets");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let close = async |word: &str, note, second| {
        let closed = Some(NewClosed { word, note });
        store
            .close_server(id, closed, &act(), at(second))
            .await
            .unwrap();
        let row = store.index_row(id).await.unwrap().unwrap();
        (row.closed, row.closed_at, row.closed_note, row.revision)
    };
    let micros = |second| Some(at(second).timestamp_micros());
    let disabled = || Some("disabled".to_owned());
    assert_eq!(
        close("disabled", None, 5).await,
        (disabled(), micros(5), None, 2)
    );
    let note = Some("ask ann");
    let noted = close("disabled", note, 6).await;
    assert_eq!(
        noted,
        (disabled(), micros(5), note.map(str::to_owned), 3),
        "it was closed before"
    );
    let other = close("unpublished", None, 7).await;
    assert_eq!(other, (Some("unpublished".to_owned()), micros(7), None, 4));
    store.close_server(id, None, &act(), at(8)).await.unwrap();
    let row = store.index_row(id).await.unwrap().unwrap();
    assert_eq!((row.closed, row.closed_at, row.revision), (None, None, 5));
    let nonsense = Some(NewClosed {
        word: "gone",
        note: None,
    });
    let refused = store.close_server(id, nonsense, &act(), at(9)).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
}

pub(crate) async fn a_server_is_given_to_those_who_publish(store: &Store) {
    let new = server("pets");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let person = async |name, role| {
        let id = UserId::generate();
        let new = NewUser {
            id,
            name,
            role,
            password_hash: None,
        };
        store.create_user(new, &act(), at(0)).await.unwrap();
        id
    };
    let (mia, pat, out) = (
        person("mia", "member").await,
        person("pat", "publisher").await,
        person("out", "publisher").await,
    );
    let disabled = UserEdit {
        disabled: Some(true),
        ..UserEdit::default()
    };
    store.edit_user(out, disabled, &act(), at(1)).await.unwrap();
    for (to, may) in [
        (mia, false),
        (out, false),
        (UserId::generate(), false),
        (pat, true),
    ] {
        let given = store.transfer_server(id, to, &act(), at(2)).await.unwrap();
        assert_eq!(given, may);
    }
    let row = store.index_row(id).await.unwrap().unwrap();
    assert_eq!((row.owner_id, row.revision), (Some(pat.0), 2));
    // Whoever manages it as it was before is neither shown the new owner's secret nor replaces it.
    let seen = (id, None);
    assert_eq!(store.webhook_secret_of(seen).await.unwrap(), None);
    let renewed = store.renew_webhook_secret(seen, &act(), at(3)).await;
    assert!(matches!(renewed, Err(StoreError::Stale)), "{renewed:?}");
    let now = (id, Some(pat));
    assert_eq!(store.webhook_secret_of(now).await.unwrap(), Some(1));
    let renewed = store.renew_webhook_secret(now, &act(), at(3)).await;
    assert_eq!(renewed.unwrap(), 2);
    assert_eq!(store.webhook_secret(id).await.unwrap(), 2);
    assert!(store.delete_server(id, &act(), at(4)).await.unwrap());
    assert_eq!(store.webhook_secret_of(now).await.unwrap(), None);
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
pub(crate) async fn a_deleted_server_is_held_and_restored(store: &Store, database: &Database) {
    let mut new = server("pets");
    let id = new.id;
    new.credentials.push(credential(id));
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let animals = slug("animals");
    store
        .edit_server(id, renamed(&animals), &act(), at(1))
        .await
        .unwrap();
    assert!(store.delete_server(id, &act(), at(2)).await.unwrap());
    assert!(!store.delete_server(id, &act(), at(3)).await.unwrap());
    // Nothing serves it, lists it, or does anything to it.
    assert_eq!(
        database.count("credentials").await,
        0,
        "they are destroyed at once"
    );
    assert!(store.server(id).await.unwrap().is_none());
    assert!(store.index_row(id).await.unwrap().is_none());
    assert!(store.index().await.unwrap().is_empty());
    assert!(store.revisions().await.unwrap().is_empty());
    assert!(store.listed().await.unwrap().is_empty());
    let again = version("again");
    let imported = store.import(id, replaced(&again), &act(), at(4)).await;
    assert!(matches!(imported, Err(StoreError::Stale)), "{imported:?}");
    let put = store.put_credential(credential(id), &act(), at(4)).await;
    assert!(matches!(put, Err(StoreError::Stale)), "{put:?}");
    assert_eq!(database.count("credentials").await, 0);
    // Both of its names are held.
    for name in ["pets", "animals"] {
        assert!(store.is_taken(&slug(name)).await.unwrap(), "{name}");
        let made = store.create_server(&server(name), &act(), at(5)).await;
        assert!(
            matches!(&made, Err(StoreError::Conflict(it)) if it.contains("slug")),
            "{made:?}"
        );
    }
    let until = at(2) + RESTORABLE;
    let before = until - chrono::TimeDelta::microseconds(1);
    assert_eq!(
        store
            .deleted_servers(ORGANIZATION, before)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        store.purge_servers(before, 10).await.unwrap(),
        0,
        "it is too early"
    );
    assert!(store.restore_server(id, &act(), before).await.unwrap());
    assert!(
        !store.restore_server(id, &act(), before).await.unwrap(),
        "it is back"
    );
    let row = store.server(id).await.unwrap().unwrap();
    assert_eq!((row.slug.as_str(), row.revision), ("animals", 4));
    assert!(store.shared_credentials(id).await.unwrap().is_empty());

    assert!(store.delete_server(id, &act(), at(2)).await.unwrap());
    assert!(
        store
            .deleted_servers(ORGANIZATION, until)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        !store.restore_server(id, &act(), until).await.unwrap(),
        "it is too late"
    );
    assert_eq!(store.purge_servers(until, 10).await.unwrap(), 1);
    assert_eq!(database.count("servers").await, 0);
    assert_eq!(database.count("server_versions").await, 0);
    assert!(!store.is_taken(&slug("pets")).await.unwrap());
    let acts = database
        .texts("SELECT actor, action, entity_id FROM audit ORDER BY seq DESC LIMIT 1")
        .await;
    let row = ["maintenance", "purge", "animals"].map(|text| Some(text.to_owned()));
    assert_eq!(acts, [row]);
}

pub(crate) async fn servers_are_removed_in_batches(store: &Store) {
    for number in 0..5 {
        let new = server(&format!("s{number}"));
        store.create_server(&new, &act(), at(0)).await.unwrap();
        store
            .delete_server(new.id, &act(), at(number))
            .await
            .unwrap();
    }
    let late = at(31 * DAY);
    for expected in [2, 2, 1, 0] {
        assert_eq!(store.purge_servers(late, 2).await.unwrap(), expected);
    }
}

/// Two processes whose clocks differ: whoever is first decides, and it is one of the two.
pub(crate) async fn of_restore_and_removal_one_happens(store: &Store) {
    for round in 0..12 {
        let new = server(&format!("r{round}"));
        let id = new.id;
        store.create_server(&new, &act(), at(0)).await.unwrap();
        store.delete_server(id, &act(), at(0)).await.unwrap();
        let act = act();
        let restore = store.restore_server(id, &act, at(29 * DAY));
        let purge = store.purge_servers(at(31 * DAY), 10);
        let (restored, purged) = if round % 2 == 0 {
            tokio::join!(restore, purge)
        } else {
            let (purged, restored) = tokio::join!(purge, restore);
            (restored, purged)
        };
        let (restored, purged) = (restored.unwrap(), purged.unwrap());
        assert_eq!(restored, purged == 0, "round {round}");
        assert_eq!(
            store.server(id).await.unwrap().is_some(),
            restored,
            "round {round}"
        );
    }
}

/// A credential that is stored while its server is deleted does not stay behind.
pub(crate) async fn no_credential_outlives_its_server(store: &Store, database: &Database) {
    for round in 0..12 {
        let new = server(&format!("c{round}"));
        let id = new.id;
        store.create_server(&new, &act(), at(0)).await.unwrap();
        let act = act();
        let put = store.put_credential(credential(id), &act, at(1));
        let delete = store.delete_server(id, &act, at(1));
        let (put, deleted) = tokio::join!(put, delete);
        assert!(deleted.unwrap());
        assert!(matches!(put, Ok(()) | Err(StoreError::Stale)), "{put:?}");
        assert_eq!(database.count("credentials").await, 0, "round {round}");
    }
}
