//! What calls add up to: the sum of the rows of the ledger, whoever writes them, however often, and
//! whenever days are made of hours.

use std::collections::BTreeMap;

use causeway::live::popularity::summary;
use causeway::search::shelf::Calls;
use causeway::store::Store;
use causeway::store::ledger::LedgerRow;
use causeway::store::usage::{DAY, HOUR, UsageRow, Used};
use causeway::types::{Latency, OrganizationId};
use chrono::{DateTime, TimeDelta};
use uuid::Uuid;

use super::ledger::call;
use super::{Database, ORGANIZATION, at};

/// The first moment of a day.
const START: i64 = 1_799_971_200;

/// Calls of some hours, servers, tools and consumers, from a number on; a tenth of them twice.
fn calls(first: u32, count: u32) -> Vec<LedgerRow> {
    let one = |number: u32| {
        let pick = |n: u32| (number.wrapping_mul(2_654_435_761) >> 8) % n;
        let id = |n: u32| (n > 0).then(|| Uuid::from_u128(u128::from(n)));
        let kinds = [
            "ok",
            "ok",
            "tool_error",
            "refused",
            "cancelled",
            "timeout",
            "closed",
        ];
        LedgerRow {
            id: Uuid::from_u128(u128::from(number)),
            server: id(pick(3)),
            consumer: id(pick(2)),
            tool: (pick(5) > 0).then(|| format!("tool{}", pick(2))),
            status: kinds[usize::try_from(pick(7)).unwrap()],
            request_bytes: i64::from(pick(1000)),
            response_bytes: i64::from(pick(77)),
            upstream_us: i64::from(pick(13)),
            total_us: i64::from(pick(5_000_000)),
            at: (START * 1_000_000) + i64::from(pick(4)) * (HOUR - 1) + i64::from(pick(9)) * DAY,
            tokens_input: (pick(4) == 0).then_some(2),
            tokens_output: (pick(8) == 0).then_some(3),
            cost_nanos: (pick(3) == 0).then_some(5),
            ..call(1, 0)
        }
    };
    let mut calls: Vec<LedgerRow> = (first..first + count).map(one).collect();
    let again: Vec<LedgerRow> = calls.iter().step_by(10).cloned().collect();
    calls.extend(again);
    calls
}

type Summed = BTreeMap<(i64, Uuid, String, Uuid, String), ([i64; 7], Latency)>;

/// What calls add up to by steps of that length, counted here.
fn expected(calls: &[LedgerRow], step: i64) -> Summed {
    let once: BTreeMap<Uuid, &LedgerRow> = calls.iter().map(|call| (call.id, call)).collect();
    let mut summed = Summed::new();
    for call in once.values() {
        let key = (
            call.at / step * step,
            call.server.unwrap_or_default(),
            call.tool.clone().unwrap_or_default(),
            call.consumer.unwrap_or_default(),
            call.status.to_owned(),
        );
        let (sums, latency) = summed.entry(key).or_default();
        let failed = !matches!(call.status, "ok" | "cancelled");
        let more = [
            1,
            i64::from(failed),
            call.request_bytes,
            call.response_bytes,
            call.upstream_us,
            call.tokens_input.unwrap_or(0) + call.tokens_output.unwrap_or(0),
            call.cost_nanos.unwrap_or(0),
        ];
        for (sum, more) in sums.iter_mut().zip(more) {
            *sum += more;
        }
        latency.merge(&Latency::of(u64::try_from(call.total_us).unwrap()));
    }
    summed
}

fn read(rows: Vec<UsageRow>) -> Summed {
    let count = rows.len();
    let entry = |row: UsageRow| {
        let sums = [
            row.calls,
            row.errors,
            row.request_bytes,
            row.response_bytes,
            row.upstream_us,
            row.tokens.unwrap_or(0),
            row.cost_nanos.unwrap_or(0),
        ];
        let key = (
            row.bucket,
            row.server_id,
            row.tool,
            row.consumer_id,
            row.status,
        );
        (key, (sums, Latency::from_text(&row.latency).unwrap()))
    };
    let summed: Summed = rows.into_iter().map(entry).collect();
    assert_eq!(summed.len(), count, "two rows of one kind");
    summed
}

async fn stored(store: &Store, used: &Used) -> Vec<UsageRow> {
    let all = (i64::MIN, i64::MAX);
    store.usage(ORGANIZATION, used, all, 100_000).await.unwrap()
}

/// The sums of both tables, as the database adds.
async fn agree(database: &Database) {
    let sums = "CAST(SUM(request_bytes) AS TEXT), CAST(SUM(response_bytes) AS TEXT), CAST(SUM(upstream_us) AS TEXT), \
                CAST(SUM(cost_nanos) AS TEXT)";
    let of_calls = format!(
        "SELECT status, COALESCE(tool, '') AS t, CAST(COUNT(*) AS TEXT), {sums} FROM ledger GROUP BY status, COALESCE(tool, '') ORDER BY status, t"
    );
    let of_hours = format!(
        "SELECT status, tool AS t, CAST(SUM(calls) AS TEXT), {sums} FROM usage_hourly GROUP BY status, tool ORDER BY status, t"
    );
    let calls = database.texts(&of_calls).await;
    assert!(calls.len() > 5, "{calls:?}");
    assert_eq!(calls, database.texts(&of_hours).await);
}

/// Batches of two processes at once, to the same hours.
pub(crate) async fn two_writers_add_up(one: &Store, other: &Store, database: &Database) {
    let write = async |store: &Store, first: u32| {
        for batch in 0..10 {
            let calls = calls(first + batch * 50, 50);
            store.append_ledger(&calls).await.unwrap();
        }
    };
    tokio::join!(
        write(one, 1),
        write(other, 10_001),
        write(one, 20_001),
        // The same calls once more, from the other one.
        write(other, 1)
    );
    let mut written = Vec::new();
    for first in [1, 10_001, 20_001] {
        for batch in 0..10 {
            written.extend(calls(first + batch * 50, 50));
        }
    }
    let rows = read(stored(one, &Used::default()).await);
    assert_eq!(rows, expected(&written, HOUR));
    agree(database).await;
}

pub(crate) async fn a_roll_up_is_the_sum_of_its_calls(store: &Store, database: &Database) {
    Box::pin(two_writers_add_up(store, store, database)).await;
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
pub(crate) async fn usage_is_the_same_by_days_until_it_is_swept(store: &Store) {
    let written = calls(1, 400);
    for batch in written.chunks(100) {
        store.append_ledger(batch).await.unwrap();
    }
    let server = Some(Uuid::from_u128(1));
    let used = [
        Used::default(),
        Used {
            server,
            ..Used::default()
        },
        Used {
            consumer: Some(Uuid::nil()),
            tool: Some("tool1".into()),
            ..Used::default()
        },
    ];
    for used in &used {
        let of = |call: &&LedgerRow| {
            used.server.is_none_or(|id| call.server == Some(id))
                && used
                    .consumer
                    .is_none_or(|id| call.consumer.unwrap_or_default() == id)
                && used
                    .tool
                    .as_ref()
                    .is_none_or(|tool| call.tool.as_ref() == Some(tool))
        };
        let some: Vec<LedgerRow> = written.iter().filter(of).cloned().collect();
        assert_eq!(
            read(stored(store, used).await),
            expected(&some, HOUR),
            "{used:?}"
        );
    }
    let stranger = OrganizationId(Uuid::from_u128(7));
    let rows = store.usage(stranger, &used[0], (0, i64::MAX), 10).await;
    assert!(rows.unwrap().is_empty());
    assert_eq!(store.compact_usage(stranger, i64::MAX).await.unwrap(), 0);

    // Days of all but the last ones, by two at once.
    let middle = START * 1_000_000 + 5 * DAY;
    let compact = async || while store.compact_usage(ORGANIZATION, middle).await.unwrap() > 0 {};
    tokio::join!(compact(), compact());
    let (old, new): (Vec<LedgerRow>, Vec<LedgerRow>) =
        written.iter().cloned().partition(|call| call.at < middle);
    let mut both = expected(&old, DAY);
    both.extend(expected(&new, HOUR));
    assert_eq!(read(stored(store, &used[0]).await), both);
    // One that is late is added to its day, later.
    let late = LedgerRow {
        id: Uuid::from_u128(1 << 40),
        at: old[0].at,
        ..old[0].clone()
    };
    store
        .append_ledger(std::slice::from_ref(&late))
        .await
        .unwrap();
    compact().await;
    let mut all = written.clone();
    all.push(late);
    let (old, new): (Vec<LedgerRow>, Vec<LedgerRow>) =
        all.into_iter().partition(|call| call.at < middle);
    let mut both = expected(&old, DAY);
    both.extend(expected(&new, HOUR));
    assert_eq!(read(stored(store, &used[0]).await), both);

    // A window has its first moment, and not its last.
    let day = (START * 1_000_000 + DAY, START * 1_000_000 + 2 * DAY);
    let rows = store
        .usage(ORGANIZATION, &used[0], day, 1_000)
        .await
        .unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.bucket == day.0));
    let swept = async || while store.sweep_usage(ORGANIZATION, day.1).await.unwrap() > 0 {};
    swept().await;
    both.retain(|(bucket, ..), _| *bucket >= day.1);
    assert_eq!(read(stored(store, &used[0]).await), both);
    assert!(at(0).timestamp() > START);
}

/// Calls of the last seven days, of each server, also where some hours were made days of already.
pub(crate) async fn the_calls_of_servers_are_added_up(store: &Store) {
    let written = calls(1, 400);
    for batch in written.chunks(100) {
        store.append_ledger(batch).await.unwrap();
    }
    let middle = START * 1_000_000 + 5 * DAY;
    while store.compact_usage(ORGANIZATION, middle).await.unwrap() > 0 {}
    for days in [7, 9, 12, 40] {
        let now = DateTime::from_timestamp(START, 0).unwrap() + TimeDelta::days(days);
        let from = now.timestamp_micros() - 7 * DAY;
        let once: BTreeMap<Uuid, &LedgerRow> = written.iter().map(|call| (call.id, call)).collect();
        let mut expected: BTreeMap<Uuid, Calls> = BTreeMap::new();
        // What was turned away is no call that could have gone well.
        let counted = |call: &&&LedgerRow| call.at >= from && call.status != "closed";
        for call in once.values().filter(counted) {
            let calls = expected.entry(call.server.unwrap_or_default()).or_default();
            calls.all += 1;
            calls.well += u64::from(call.status == "ok");
        }
        let told = summary(store, now).await.unwrap();
        let told: BTreeMap<Uuid, Calls> =
            told.counts.into_iter().map(|(id, it)| (id.0, it)).collect();
        assert_eq!(told, expected, "{days}");
        assert_eq!(told.is_empty(), days == 40);
    }
}
