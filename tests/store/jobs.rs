//! Imports of many documents, and the jobs that do them.

use causeway::store::Store;
use causeway::store::imports::{FailedItem, FailedSource, ImportItem};
use causeway::types::OrganizationId;

use super::{ORGANIZATION, act, at, server};

pub(crate) async fn an_item_of_an_import_remembers_its_server(store: &Store) {
    let item = ImportItem {
        organization: ORGANIZATION,
        collection: "c",
        name: "a/b.yaml",
    };
    assert_eq!(store.slug_of_item(item).await.unwrap(), None);
    let mut first = server("first-item");
    first.version.overlays = Some("[\"overlay: 1.0.0\"]".to_owned());
    let first_id = first.id;
    store.create_server(&first, &act(), at(0)).await.unwrap();
    let row = store.server(first_id).await.unwrap().unwrap();
    assert_eq!(row.overlays.as_deref(), Some("[\"overlay: 1.0.0\"]"));
    let second = server("second-item");
    let second_id = second.id;
    store.create_server(&second, &act(), at(0)).await.unwrap();
    store.remember_item(item, first_id, at(1)).await.unwrap();
    let other = ImportItem {
        collection: "d",
        ..item
    };
    assert_eq!(store.slug_of_item(other).await.unwrap(), None);
    let slug = async || store.slug_of_item(item).await.unwrap();
    assert_eq!(slug().await.as_deref(), Some("first-item"));
    store.remember_item(item, second_id, at(2)).await.unwrap();
    assert_eq!(slug().await.as_deref(), Some("second-item"));
    store.delete_server(second_id, &act(), at(3)).await.unwrap();
    assert_eq!(slug().await, None, "it goes with its server");
}

pub(crate) async fn a_job_is_leased_to_one(store: &Store) {
    store
        .enqueue(ORGANIZATION, ("sync", "{}"), at(0))
        .await
        .unwrap();
    let window = (at(1), at(60));
    let (a, b) = tokio::join!(
        store.lease("sync", "a", window),
        store.lease("sync", "b", window)
    );
    let taken: Vec<_> = [a.unwrap(), b.unwrap()].into_iter().flatten().collect();
    assert_eq!(taken.len(), 1, "both or none took the job");
    assert!(store.lease("sync", "c", window).await.unwrap().is_none());
    let again = store
        .lease("sync", "c", (at(61), at(120)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.attempts, 1);
    let job = causeway::types::JobId(again.id);
    assert!(!store.renew(job, "a", at(200), None).await.unwrap());
    assert!(store.renew(job, "c", at(200), Some("{}")).await.unwrap());
    assert!(store.finish_job(job, "c", at(70)).await.unwrap());
    assert!(
        store
            .lease("sync", "d", (at(300), at(400)))
            .await
            .unwrap()
            .is_none()
    );
}

/// Many who look at once each find a job, as long as there are some.
pub(crate) async fn jobs_are_shared_out(store: &Store) {
    for _ in 0..8 {
        let job = store.enqueue(ORGANIZATION, ("sync", "{}"), at(0));
        job.await.unwrap();
    }
    let tries = (0..8).map(|n| {
        let store = store.clone();
        async move {
            let owner = format!("owner-{n}");
            store.lease("sync", &owner, (at(1), at(60))).await.unwrap()
        }
    });
    let taken = futures::future::join_all(tries).await;
    let mut ids: Vec<_> = taken.into_iter().flatten().map(|job| job.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8, "somebody found nothing, or two found one");
}

pub(crate) async fn what_failed_is_kept_with_the_last_jobs(store: &Store) {
    let start = async |began| {
        let (times, what) = ((at(began), at(began + 60)), ("import", "a", "{\"a\":1}"));
        let job = store.start_job((ORGANIZATION, None), what, times).await;
        job.unwrap()
    };
    let (first, second) = (start(0).await, start(1).await);
    let state = store.job(ORGANIZATION, "import", first).await.unwrap();
    assert_eq!(state.unwrap().payload, "{\"a\":1}");
    let bytes = [0, 255, b'x'];
    let files = vec![("b/root", &b"root"[..]), ("a", &bytes[..])];
    for (position, source) in [
        (7, FailedSource::Url("https://api.example.com")),
        (3, FailedSource::Files(files)),
    ] {
        let item = FailedItem {
            position,
            name: "item",
            source,
        };
        for job in [first, second] {
            let job = (ORGANIZATION, job);
            store.keep_failed(job, &item).await.unwrap();
        }
    }
    let kept = async |job| {
        let rows = store.failed_items(ORGANIZATION, job).await.unwrap();
        let rows = rows.into_iter();
        rows.map(|row| (row.position, row.url, row.file, row.bytes))
            .collect::<Vec<_>>()
    };
    let all = vec![
        (3, None, Some("b/root".to_owned()), Some(b"root".to_vec())),
        (3, None, Some("a".to_owned()), Some(bytes.to_vec())),
        (7, Some("https://api.example.com".to_owned()), None, None),
    ];
    assert_eq!(kept(first).await, all);
    let elsewhere = OrganizationId(first.0);
    assert!(
        store
            .failed_items(elsewhere, first)
            .await
            .unwrap()
            .is_empty()
    );
    store
        .forget_failed(ORGANIZATION, "import", 2)
        .await
        .unwrap();
    assert_eq!(kept(first).await, all);
    store
        .forget_failed(ORGANIZATION, "import", 1)
        .await
        .unwrap();
    assert_eq!(kept(first).await, []);
    assert_eq!(kept(second).await, all);
    // With its job, it is forgotten too.
    assert!(store.complete_job(second, "a", at(5), "").await.unwrap());
    assert_eq!(store.forget_jobs("import", at(50), 1).await.unwrap(), 1);
    assert_eq!(kept(second).await, []);
}

pub(crate) async fn a_job_that_runs_is_told_of_until_it_is_forgotten(store: &Store) {
    let start = async |began| {
        let times = (at(began), at(began + 60));
        store
            .start_job((ORGANIZATION, None), ("import", "a", "{}"), times)
            .await
            .unwrap()
    };
    let state = async |job| store.job(ORGANIZATION, "import", job).await.unwrap();
    let (first, second, third) = (start(0).await, start(1).await, start(2).await);
    let running = state(first).await.unwrap();
    assert_eq!(
        (running.run_at, running.finished_at),
        (at(0).timestamp_micros(), None)
    );
    assert_eq!(running.lease_until, Some(at(60).timestamp_micros()));
    let elsewhere = OrganizationId(first.0);
    assert!(
        store
            .job(elsewhere, "import", first)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .job(ORGANIZATION, "sync", first)
            .await
            .unwrap()
            .is_none()
    );
    assert!(!store.complete_job(first, "b", at(5), "{}").await.unwrap());
    for (job, ended) in [(first, 5), (second, 6)] {
        assert!(
            store
                .complete_job(job, "a", at(ended), "well")
                .await
                .unwrap()
        );
    }
    assert!(
        !store
            .complete_job(first, "a", at(7), "again")
            .await
            .unwrap()
    );
    let ended = state(first).await.unwrap();
    assert_eq!(ended.progress.as_deref(), Some("well"));
    assert_eq!(
        (ended.lease_until, ended.finished_at),
        (None, Some(at(5).timestamp_micros()))
    );
    // Of what ended, the last one is kept; what runs always is.
    assert_eq!(store.forget_jobs("import", at(0), 1).await.unwrap(), 1);
    assert!(state(first).await.is_none() && state(second).await.is_some());
    assert_eq!(store.forget_jobs("import", at(50), 1).await.unwrap(), 1);
    assert!(state(second).await.is_none() && state(third).await.is_some());
    // It is an hour old and nobody has it any more.
    assert_eq!(store.forget_jobs("import", at(100), 1).await.unwrap(), 1);
    assert!(state(third).await.is_none());
}
