//! Calls written to the ledger of a SQLite file, in batches as its writer makes them.
//!
//! `cargo bench --bench write_ledger`; a time is that of 500 calls.

use causeway::store::ledger::LedgerRow;
use causeway::store::{Location, Store};
use causeway::types::OrganizationId;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use uuid::Uuid;

fn row(_: usize) -> LedgerRow {
    LedgerRow {
        id: Uuid::now_v7(),
        organization: OrganizationId::DEFAULT,
        consumer: Some(Uuid::from_u128(1)),
        key: Some(Uuid::from_u128(2)),
        kind: "tool",
        server: Some(Uuid::from_u128(3)),
        version: Some(Uuid::from_u128(4)),
        tool: Some("listPets".to_owned()),
        model: None,
        target: None,
        parent: None,
        trace_id: "0".repeat(32),
        status: "ok",
        upstream_status: Some(200),
        request_bytes: 30,
        response_bytes: 1_024,
        at: 1_790_000_000_000_000,
        upstream_us: 300,
        total_us: 400,
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

fn benches(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let directory = tempfile::tempdir().expect("there is a place for a file");
    let location = Location::File(directory.path().join("bench.db"));
    let store = runtime.block_on(async {
        let store = Store::open(&location, 2).await.expect("a new file opens");
        store.migrate().await.expect("a new file migrates");
        store
    });
    c.bench_function("write 500 calls", |b| {
        b.to_async(&runtime).iter_batched(
            || (0..500).map(row).collect::<Vec<_>>(),
            async |rows| store.append_ledger(&rows).await.expect("calls are written"),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(write, benches);
criterion_main!(write);
