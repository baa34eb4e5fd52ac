//! The ledger as it is read: newest first, by what is asked for, until it is swept.

use causeway::store::Store;
use causeway::store::ledger::{CallRow, Calls, LedgerRow};
use causeway::store::usage::Used;
use causeway::types::{OrganizationId, VersionId};
use uuid::Uuid;

use super::{ORGANIZATION, act, at, key, server};

/// The numbers of the calls, which are their request bytes.
fn numbers(rows: &[CallRow]) -> Vec<i64> {
    rows.iter().map(|row| row.request_bytes).collect()
}

pub(super) fn call(number: u8, second: i64) -> LedgerRow {
    LedgerRow {
        id: Uuid::from_u128(u128::from(number)),
        organization: ORGANIZATION,
        consumer: None,
        key: None,
        kind: "tool",
        server: None,
        version: None,
        tool: Some("list".into()),
        model: None,
        target: None,
        parent: None,
        trace_id: "0".repeat(32),
        status: "ok",
        upstream_status: Some(200),
        request_bytes: i64::from(number),
        response_bytes: 2,
        at: at(second).timestamp_micros(),
        upstream_us: 3,
        total_us: 4,
        tokens_input: None,
        tokens_cached: None,
        tokens_output: None,
        tokens_reasoning: None,
        cost_nanos: None,
        attempts: 1,
        tokens_cache_write: None,
        first_token_us: None,
        estimated: None,
        arm: None,
    }
}

fn entries(of: Uuid, consumer: Uuid) -> [LedgerRow; 5] {
    // Two of one moment are told apart by their ids.
    [
        call(1, 10),
        LedgerRow {
            server: Some(of),
            ..call(2, 20)
        },
        LedgerRow {
            consumer: Some(consumer),
            tool: Some("get".into()),
            ..call(3, 20)
        },
        LedgerRow {
            server: Some(of),
            consumer: Some(consumer),
            status: "refused",
            upstream_status: None,
            ..call(4, 30)
        },
        LedgerRow {
            server: Some(Uuid::from_u128(99)),
            ..call(5, 40)
        },
    ]
}

/// What is asked of the ledger, and the numbers of the calls that answer it.
fn questions(of: Uuid, consumer: Uuid) -> Vec<(Calls, Vec<i64>)> {
    let micros = |second| Some(at(second).timestamp_micros());
    vec![
        (Calls::default(), vec![5, 4, 3, 2, 1]),
        (
            Calls {
                server: Some(of),
                ..Calls::default()
            },
            vec![4, 2],
        ),
        (
            Calls {
                consumer: Some(consumer),
                ..Calls::default()
            },
            vec![4, 3],
        ),
        (
            Calls {
                tool: Some("get".into()),
                ..Calls::default()
            },
            vec![3],
        ),
        (
            Calls {
                status: Some("refused".into()),
                ..Calls::default()
            },
            vec![4],
        ),
        (
            Calls {
                from: micros(20),
                to: micros(40),
                ..Calls::default()
            },
            vec![4, 3, 2],
        ),
        (
            Calls {
                server: Some(of),
                to: micros(30),
                ..Calls::default()
            },
            vec![2],
        ),
    ]
}

pub(crate) async fn calls_are_read_in_pages_and_swept(store: &Store) {
    let new = server("pets");
    let of = new.id.0;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let consumer = store.create_key(key(1), &act(), at(0)).await.unwrap().0;
    let rows = entries(of, consumer);
    store.append_ledger(&rows).await.unwrap();
    let read = async |calls: Calls| {
        let rows = store.calls(ORGANIZATION, &calls, None, 10).await.unwrap();
        numbers(&rows)
    };
    for (calls, expected) in questions(of, consumer) {
        assert_eq!(read(calls.clone()).await, expected, "{calls:?}");
    }
    let any = Calls::default();
    let all = store.calls(ORGANIZATION, &any, None, 10).await.unwrap();
    let names = |row: &CallRow| (row.server.clone(), row.consumer.clone());
    assert_eq!(names(&all[1]), (Some("pets".into()), Some("agent".into())));
    assert_eq!(names(&all[0]), (None, None), "its server is gone");
    assert_eq!(all[0].server_id, Some(Uuid::from_u128(99)));

    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.calls(ORGANIZATION, &any, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        let place = store.place_of_call(ORGANIZATION, last.id).await.unwrap();
        assert_eq!(place, Some((last.at, last.id)));
        after = place;
        seen.extend(numbers(&page));
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);

    let stranger = OrganizationId(Uuid::from_u128(7));
    let theirs = store.calls(stranger, &any, None, 10).await;
    assert!(theirs.unwrap().is_empty());
    let place = store.place_of_call(stranger, all[0].id).await.unwrap();
    assert_eq!(place, None);

    let before = at(30).timestamp_micros();
    let sweep = async |organization| store.sweep_ledger(organization, before, 2).await.unwrap();
    assert_eq!(sweep(stranger).await, 0);
    assert_eq!(sweep(ORGANIZATION).await, 2);
    assert_eq!(read(Calls::default()).await.len(), 3);
    assert_eq!(
        (sweep(ORGANIZATION).await, sweep(ORGANIZATION).await),
        (1, 0)
    );
    assert_eq!(read(Calls::default()).await, [5, 4]);
}

pub(crate) async fn a_ledger_row_counts_once(store: &Store) {
    let row = LedgerRow {
        id: VersionId::generate().0,
        organization: ORGANIZATION,
        consumer: None,
        key: None,
        kind: "tool",
        server: None,
        version: None,
        tool: Some("listPets".into()),
        model: None,
        target: None,
        parent: None,
        trace_id: "0".repeat(32),
        status: "ok",
        upstream_status: Some(200),
        request_bytes: 1,
        response_bytes: 2,
        at: at(0).timestamp_micros(),
        upstream_us: 3,
        total_us: 4,
        tokens_input: None,
        tokens_cached: None,
        tokens_output: None,
        tokens_reasoning: None,
        cost_nanos: None,
        attempts: 1,
        tokens_cache_write: None,
        first_token_us: None,
        estimated: None,
        arm: None,
    };
    store
        .append_ledger(&[row.clone(), row.clone()])
        .await
        .unwrap();
    store
        .append_ledger(std::slice::from_ref(&row))
        .await
        .unwrap();
    assert_eq!(store.ledger_count(ORGANIZATION).await.unwrap(), 1);
    // More than go in one statement, and once more with one that is new.
    let many = |count: u128| {
        let numbered = (1..=count).map(|number| LedgerRow {
            id: uuid::Uuid::from_u128(number),
            ..row.clone()
        });
        numbered.collect::<Vec<_>>()
    };
    for count in [90, 91] {
        store.append_ledger(&many(count)).await.unwrap();
    }
    assert_eq!(store.ledger_count(ORGANIZATION).await.unwrap(), 92);
    let (used, all) = (Used::default(), (i64::MIN, i64::MAX));
    let added = store.usage(ORGANIZATION, &used, all, 9).await.unwrap();
    assert_eq!(added.iter().map(|row| row.calls).sum::<i64>(), 92);
}
