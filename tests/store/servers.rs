//! Servers: made, changed, renamed, and told of.

use causeway::store::servers::ServerChange;
use causeway::store::{Change, Store, StoreError};
use causeway::types::OrganizationId;

use super::{
    ORGANIZATION, act, act_of, at, key, renamed, replaced, server, settings, slug, version,
};

pub(crate) async fn a_server_is_made_versioned_renamed_and_removed(store: &Store) {
    let new = server("pets");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let made = store.server(id).await.unwrap().unwrap();
    assert_eq!(
        (made.slug.as_str(), made.revision, made.number),
        ("pets", 1, 1)
    );
    let taken = store.create_server(&server("pets"), &act(), at(1)).await;
    assert!(
        matches!(&taken, Err(StoreError::Conflict(name)) if name.contains("slug")),
        "{taken:?}"
    );

    store
        .import(id, replaced(&version("pets, again")), &act(), at(2))
        .await
        .unwrap();
    let now = store.server(id).await.unwrap().unwrap();
    assert_eq!(
        (now.title.as_str(), now.revision, now.number),
        ("pets, again", 2, 2)
    );
    assert_eq!(
        store
            .document(ORGANIZATION, &now.document_hash)
            .await
            .unwrap()
            .unwrap(),
        b"pets, again"
    );

    store
        .edit_server(id, renamed(&slug("animals")), &act(), at(3))
        .await
        .unwrap();
    assert_eq!(store.aliases_of(id).await.unwrap()[0].slug, "pets");
    let alias = store.create_server(&server("pets"), &act(), at(4)).await;
    assert!(matches!(alias, Err(StoreError::Conflict(_))), "{alias:?}");
    store
        .edit_server(id, renamed(&slug("pets")), &act(), at(5))
        .await
        .unwrap();
    assert_eq!(store.aliases_of(id).await.unwrap()[0].slug, "animals");

    let stale = store
        .edit_server(id, settings("{\"a\":1}", Some(1)), &act(), at(6))
        .await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    store
        .edit_server(id, settings("{\"a\":1}", Some(4)), &act(), at(6))
        .await
        .unwrap();
    assert_eq!(
        store.index_row(id).await.unwrap().unwrap().settings,
        "{\"a\":1}"
    );

    assert!(store.delete_server(id, &act(), at(7)).await.unwrap());
    assert!(!store.delete_server(id, &act(), at(8)).await.unwrap());
    assert!(store.server(id).await.unwrap().is_none());
}

/// An edit is made as a whole or not at all, and no other organization reaches a server by its id.
pub(crate) async fn an_edit_is_whole_and_of_its_organization(store: &Store) {
    let new = server("mine");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    store
        .create_server(&server("taken"), &act(), at(0))
        .await
        .unwrap();
    let taken = slug("taken");
    let both = ServerChange {
        slug: Some(&taken),
        ..settings("{\"a\":1}", None)
    };
    let refused = store.edit_server(id, both, &act(), at(1)).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    let row = store.index_row(id).await.unwrap().unwrap();
    assert_eq!((row.settings.as_str(), row.revision), ("{}", 1));

    let stranger = OrganizationId::generate();
    let change = settings("{\"a\":1}", None);
    let edited = store
        .edit_server(id, change, &act_of(stranger), at(1))
        .await;
    assert!(matches!(edited, Err(StoreError::Stale)), "{edited:?}");
    let other = slug("theirs");
    let named = store
        .edit_server(id, renamed(&other), &act_of(stranger), at(1))
        .await;
    assert!(matches!(named, Err(StoreError::Stale)), "{named:?}");
    let published = store
        .import(id, replaced(&version("theirs")), &act_of(stranger), at(1))
        .await;
    assert!(matches!(published, Err(StoreError::Stale)), "{published:?}");
    assert!(
        !store
            .delete_server(id, &act_of(stranger), at(1))
            .await
            .unwrap()
    );
    let row = store.index_row(id).await.unwrap().unwrap();
    assert_eq!((row.slug.as_str(), row.revision), ("mine", 1));
}

/// However creations and renames meet, a name leads to one server.
pub(crate) async fn a_name_is_given_once(store: &Store) {
    for round in 0..20 {
        let (old, new) = (format!("old-{round}"), format!("new-{round}"));
        let first = server(&old);
        let id = first.id;
        store.create_server(&first, &act(), at(0)).await.unwrap();
        let (to, change, acting) = (slug(&new), at(1), act());
        let (renamed, created) = tokio::join!(
            store.edit_server(id, renamed(&to), &acting, change),
            async {
                let mut made = store.create_server(&server(&old), &act(), at(1)).await;
                for _ in 0..3 {
                    if made.is_err() {
                        made = store.create_server(&server(&old), &act(), at(1)).await;
                    }
                }
                made
            },
        );
        renamed.unwrap();
        assert!(created.is_err(), "round {round}: the name is an alias now");
    }
}

pub(crate) async fn every_catalog_write_is_told(store: &Store) {
    let mut changes = store.changes();
    let new = server("told");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    store
        .edit_server(id, settings("{}", None), &act(), at(1))
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(changes.recv().await.unwrap(), Change::Server(id));
    }
    let before = store.key_changes().await.unwrap();
    let key = key(7);
    let key_id = key.id;
    store.create_key(key, &act(), at(2)).await.unwrap();
    assert_eq!(changes.recv().await.unwrap(), Change::Key(key_id));
    assert_eq!(store.key_changes().await.unwrap(), before + 1);
}

pub(crate) async fn many_writers_lose_nothing(store: &Store) {
    let new = server("busy");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let writers = (0..10).map(|n| {
        let store = store.clone();
        async move {
            let version = version(&format!("v{}", "x".repeat(n)));
            store.import(id, replaced(&version), &act(), at(1)).await
        }
    });
    for result in futures::future::join_all(writers).await {
        result.unwrap();
    }
    let row = store.server(id).await.unwrap().unwrap();
    assert_eq!((row.revision, row.number), (11, 11));
}
