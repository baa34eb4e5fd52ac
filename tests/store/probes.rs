//! Who asks an API whether it is well, and what is kept of the answers.

use causeway::store::Store;
use causeway::store::lifecycle::NewClosed;
use causeway::store::probes::{ProbeResult, RESULTS_MAX};
use causeway::types::ServerId;

use super::{act, at, server};

fn result(at: i64) -> ProbeResult {
    ProbeResult {
        at,
        ok: at % 2,
        status: (at % 3 > 0).then_some(200),
        took_ms: at,
        reason: (at % 2 == 0).then(|| format!("reason {at}")),
    }
}

pub(crate) async fn of_many_one_asks_an_api(store: &Store) {
    let new = server("pets");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let claimed = async |times| {
        let claims = (0..8).map(|_| store.claim_probe(id, times));
        let claims = futures::future::join_all(claims).await;
        claims
            .into_iter()
            .filter(|it| *it.as_ref().unwrap())
            .count()
    };
    assert_eq!(claimed((100, 400, 700)).await, 1);
    assert_eq!(claimed((399, 700, 999)).await, 0, "not due");
    assert_eq!(claimed((400, 700, 1_000)).await, 1);
    // Its owner wants it more often now.
    assert_eq!(claimed((410, 500, 600)).await, 1);
    assert_eq!(claimed((411, 501, 601)).await, 0);
    let closed = NewClosed {
        word: "disabled",
        note: None,
    };
    store
        .close_server(id, Some(closed), &act(), at(1))
        .await
        .unwrap();
    assert_eq!(claimed((9_000, 9_300, 9_600)).await, 0, "it is disabled");
    store.close_server(id, None, &act(), at(2)).await.unwrap();
    assert_eq!(claimed((9_000, 9_300, 9_600)).await, 1);
    assert!(store.delete_server(id, &act(), at(3)).await.unwrap());
    assert_eq!(claimed((19_000, 19_300, 19_600)).await, 0, "it is deleted");
    let nobody = ServerId::generate();
    assert!(!store.claim_probe(nobody, (1, 2, 3)).await.unwrap());
}

pub(crate) async fn the_last_results_of_a_probe_are_kept(store: &Store) {
    let (new, beside) = (server("pets"), server("other"));
    let id = new.id;
    for new in [&new, &beside] {
        store.create_server(new, &act(), at(0)).await.unwrap();
    }
    assert!(store.claim_probe(id, (0, 1, 2)).await.unwrap());
    store.probed(beside.id, &result(1)).await.unwrap();
    let last = RESULTS_MAX + 7;
    for at in 1..=last {
        store.probed(id, &result(at)).await.unwrap();
    }
    let kept = store.probe_results(id).await.unwrap();
    let expected: Vec<ProbeResult> = (8..=last).rev().map(result).collect();
    assert_eq!(kept, expected);
    assert_eq!(store.probe_results(beside.id).await.unwrap(), [result(1)]);
    let rows = store.probes().await.unwrap();
    let row = rows.iter().find(|row| row.server_id == id.0).unwrap();
    assert_eq!((row.last_at, row.last_ok), (Some(last), Some(last % 2)));
    // What came to nobody is kept for nobody.
    store
        .probed(ServerId::generate(), &result(1))
        .await
        .unwrap();
}
