//! Versions beside the one that is served, and what was found where they came from.

use causeway::store::Store;
use causeway::store::servers::NewVersion;
use causeway::store::sources::Checked;
use causeway::store::versions::Rollout;

use super::{act, at, replaced, server, version};

pub(crate) async fn what_stands_beside_an_older_version_ends(store: &Store) {
    let new = server("rollouts");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let beside = async || {
        let rows = store.rollouts(id).await.unwrap();
        rows.iter().map(|row| row.number).collect::<Vec<_>>()
    };
    let second = version("second");
    let number = store.stage_version(id, &second, &act(), at(1)).await;
    assert_eq!(number.unwrap(), 2);
    store.start_canary((id, 2), 5, &act(), at(2)).await.unwrap();
    assert_eq!(beside().await, [2, 2]);
    // What is promoted ends the canary, and what waits and is newer goes on waiting.
    store
        .promote_version((id, 1), None, &act(), at(3))
        .await
        .unwrap();
    assert_eq!(beside().await, [2]);
    let third = version("third-one");
    let number = store.import(id, replaced(&third), &act(), at(4)).await;
    assert_eq!(number.unwrap(), Some(3));
    assert_eq!(beside().await, [0; 0]);
}

pub(crate) async fn a_version_that_was_let_go_of_is_known(store: &Store) {
    let new = server("discarded");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let second = version("second-one");
    store
        .stage_version(id, &second, &act(), at(1))
        .await
        .unwrap();
    let known = async || {
        let known = store.versions_of(id, &second.document_hash).await;
        let mut known = known.unwrap();
        assert_eq!(known.len(), 1);
        known.remove(0)
    };
    let row = known().await;
    assert!((row.number, row.discarded) == (2, 0) && row.is(&second));
    let other = NewVersion {
        overlays: Some("[]".into()),
        ..version("second-one")
    };
    assert!(!row.is(&other));
    let ended = store.end_rollout(id, Rollout::Staged, &act(), at(2)).await;
    assert!(ended.unwrap());
    assert_eq!(known().await.discarded, 1);
    store.stage_again(id, &row, &act(), at(3)).await.unwrap();
    assert_eq!(known().await.discarded, 0);
    assert_eq!(store.rollouts(id).await.unwrap()[0].number, 2);
}

pub(crate) async fn a_look_is_noted_for_where_it_looked(store: &Store) {
    let new = server("looked-at");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    for url in ["https://old.example", "https://new.example"] {
        store
            .put_source(id, (url, 60), &act(), at(1))
            .await
            .unwrap();
    }
    let checked = Checked {
        validators: Some((Some("\"1\""), None)),
        outcome: "published",
        detail: None,
    };
    for (url, etag) in [
        ("https://old.example", None),
        ("https://new.example", Some("\"1\"")),
    ] {
        store
            .source_checked((id, url), checked, at(2))
            .await
            .unwrap();
        let source = store.source(id).await.unwrap().unwrap();
        assert_eq!(source.etag.as_deref(), etag);
        assert_eq!(source.outcome.is_some(), etag.is_some());
    }
}
