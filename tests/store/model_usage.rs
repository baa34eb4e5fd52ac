//! What calls of models add up to: the sum of the rows of the ledger, whoever writes them, however often, and whenever
//! days are made of hours.

use std::collections::BTreeMap;

use causeway::store::Store;
use causeway::store::ledger::LedgerRow;
use causeway::store::model_usage::{ModelUsageRow, ModelsUsed};
use causeway::store::usage::{DAY, HOUR, Used};
use causeway::types::Latency;
use uuid::Uuid;

use super::ORGANIZATION;
use super::ledger::call;

/// The first moment of a day.
const START: i64 = 1_799_971_200_000_000;

/// Calls of some hours, models, targets and consumers, from a number on; a tenth of them twice.
fn calls(first: u32, count: u32) -> Vec<LedgerRow> {
    let one = |number: u32| {
        let pick = |n: u32| (number.wrapping_mul(2_654_435_761) >> 8) % n;
        let some = |n: u32, amount: u32| (pick(n) > 0).then(|| i64::from(pick(amount)));
        let kinds = ["ok", "ok", "tool_error", "refused", "cancelled", "timeout"];
        LedgerRow {
            id: Uuid::from_u128(u128::from(number)),
            kind: if pick(7) == 0 { "tool" } else { "llm" },
            tool: None,
            model: Some(format!("model{}", pick(3))),
            target: (pick(5) > 0).then(|| format!("provider/model{}", pick(2))),
            consumer: (pick(2) > 0).then(|| Uuid::from_u128(9)),
            status: kinds[usize::try_from(pick(6)).unwrap()],
            total_us: i64::from(pick(5_000_000)),
            first_token_us: some(2, 900_000),
            at: START + i64::from(pick(4)) * (HOUR - 1) + i64::from(pick(9)) * DAY,
            tokens_input: some(4, 1_000),
            tokens_cached: some(3, 100),
            tokens_cache_write: some(5, 77),
            tokens_output: some(4, 500),
            tokens_reasoning: some(3, 50),
            cost_nanos: some(3, 100_000),
            estimated: (pick(4) == 0).then_some(1),
            // Of the number itself: whatever is picked alike goes together.
            arm: [None, None, Some("stable"), Some("new")]
                [usize::try_from(number / 3 % 4).unwrap()]
            .map(str::to_owned),
            ..call(1, 0)
        }
    };
    let mut calls: Vec<LedgerRow> = (first..first + count).map(one).collect();
    let again: Vec<LedgerRow> = calls.iter().step_by(10).cloned().collect();
    calls.extend(again);
    calls
}

/// When, of what, how it ended, and by which arm.
type Key = (i64, String, String, Uuid, String, String);
type Summed = BTreeMap<Key, ([i64; 10], Latency, Latency)>;

/// What calls add up to by steps of that length, counted here.
fn expected<'a>(calls: impl IntoIterator<Item = &'a LedgerRow>, step: i64) -> Summed {
    let once: BTreeMap<Uuid, &LedgerRow> = calls.into_iter().map(|it| (it.id, it)).collect();
    let mut summed = Summed::new();
    for call in once.values().filter(|call| call.kind == "llm") {
        let key = (
            call.at / step * step,
            call.model.clone().unwrap(),
            call.target.clone().unwrap_or_default(),
            call.consumer.unwrap_or_default(),
            call.status.to_owned(),
            call.arm.clone().unwrap_or_default(),
        );
        let (sums, latency, first) = summed.entry(key).or_default();
        let used = call.tokens_input.or(call.tokens_output).is_some();
        let more = [
            1,
            i64::from(!matches!(call.status, "ok" | "cancelled")),
            call.estimated.unwrap_or(0),
            call.tokens_input.unwrap_or(0),
            call.tokens_cached.unwrap_or(0),
            call.tokens_cache_write.unwrap_or(0),
            call.tokens_output.unwrap_or(0),
            call.tokens_reasoning.unwrap_or(0),
            call.cost_nanos.unwrap_or(0),
            i64::from(used && call.cost_nanos.is_none()),
        ];
        for (sum, more) in sums.iter_mut().zip(more) {
            *sum += more;
        }
        let of = |us: i64| Latency::of(u64::try_from(us).unwrap());
        latency.merge(&of(call.total_us));
        if let Some(us) = call.first_token_us {
            first.merge(&of(us));
        }
    }
    summed
}

fn read(rows: Vec<ModelUsageRow>) -> Summed {
    let count = rows.len();
    let entry = |row: ModelUsageRow| {
        let sums = [
            row.calls,
            row.errors,
            row.estimated,
            row.tokens_input,
            row.tokens_cached,
            row.tokens_cache_write,
            row.tokens_output,
            row.tokens_reasoning,
            row.cost_nanos,
            row.unknown_costs,
        ];
        let times = |text: &str| Latency::from_text(text).unwrap();
        let sums = (sums, times(&row.latency), times(&row.first_token));
        let key = (
            row.bucket,
            row.model,
            row.target,
            row.consumer_id,
            row.status,
            row.arm,
        );
        (key, sums)
    };
    let summed: Summed = rows.into_iter().map(entry).collect();
    assert_eq!(summed.len(), count, "two rows of one kind");
    summed
}

/// The calls of one arm since a moment, without those whose client left.
async fn what_an_arm_came_to(store: &Store, written: &[LedgerRow]) {
    let (begun, ended_from) = (START + 1, START + HOUR);
    let of = ("model0", "new");
    let since = (begun, ended_from);
    let counted = store.calls_of_arm(ORGANIZATION, of, since).await.unwrap();
    let once: BTreeMap<Uuid, &LedgerRow> = written.iter().map(|it| (it.id, it)).collect();
    let mut ended = 0;
    let mut badly = 0;
    for call in once.values() {
        let is_of = call.model.as_deref() == Some("model0") && call.arm.as_deref() == Some("new");
        let is_since = call.at >= begun && call.at + call.total_us >= ended_from;
        if is_of && is_since && call.status != "cancelled" {
            ended += 1;
            badly += i64::from(call.status != "ok");
        }
    }
    assert!(badly > 0 && ended > badly);
    assert_eq!((counted.calls, counted.errors), (ended, badly));
    // Those of a shadow are nobody's, and stay apart.
    let shadow = LedgerRow {
        id: Uuid::from_u128(77_777_777),
        kind: "llm",
        tool: None,
        model: Some("shadowed".into()),
        arm: Some("shadow".into()),
        at: START,
        ..call(1, 0)
    };
    store.append_ledger(&[shadow]).await.unwrap();
    let mut used = ModelsUsed {
        model: Some("shadowed".into()),
        ..ModelsUsed::default()
    };
    let all = (i64::MIN, i64::MAX);
    let rows = store.model_usage(ORGANIZATION, &used, all, 10).await;
    assert!(rows.unwrap().is_empty());
    used.arm = Some("shadow".into());
    let rows = store.model_usage(ORGANIZATION, &used, all, 10).await;
    assert_eq!(rows.unwrap().len(), 1);
}

pub(crate) async fn calls_of_models_add_up_by_hours_and_days(store: &Store) {
    let stored = async |used: &ModelsUsed| {
        let all = (i64::MIN, i64::MAX);
        let rows = store.model_usage(ORGANIZATION, used, all, 100_000).await;
        read(rows.unwrap())
    };
    let write = async |first: u32| {
        for batch in calls(first, 300).chunks(70) {
            store.append_ledger(batch).await.unwrap();
        }
    };
    // The same calls once more, by another one.
    tokio::join!(write(1), write(10_001), write(1));
    let mut written = calls(1, 300);
    written.extend(calls(10_001, 300));
    let any = ModelsUsed::default();
    assert_eq!(stored(&any).await, expected(&written, HOUR));
    let some = ModelsUsed {
        model: Some("model1".into()),
        provider: Some("provider".into()),
        target: Some("provider/model0".into()),
        consumer: Some(Uuid::nil()),
        arm: None,
    };
    let of_some = written.iter().filter(|call| {
        call.model == some.model && call.target == some.target && call.consumer.is_none()
    });
    let of_some = expected(of_some, HOUR);
    assert!(!of_some.is_empty());
    assert_eq!(stored(&some).await, of_some);
    let of = |provider: &str| ModelsUsed {
        provider: Some(provider.into()),
        ..ModelsUsed::default()
    };
    let with_target = written.iter().filter(|call| call.target.is_some());
    assert_eq!(stored(&of("provider")).await, expected(with_target, HOUR));
    // A part of a name is none, and no pattern is one.
    for provider in ["provide", "provider/", "%", ""] {
        assert!(stored(&of(provider)).await.is_empty(), "{provider:?}");
    }
    let of_arm = ModelsUsed {
        arm: Some("new".into()),
        ..ModelsUsed::default()
    };
    let new = written.iter().filter(|call| call.arm == of_arm.arm);
    assert_eq!(stored(&of_arm).await, expected(new, HOUR));
    what_an_arm_came_to(store, &written).await;
    // Tools have their own.
    let used = Used::default();
    let tools = store.usage(ORGANIZATION, &used, (0, i64::MAX), 10_000);
    let tools: i64 = tools.await.unwrap().iter().map(|row| row.calls).sum();
    let models: i64 = stored(&any).await.values().map(|(sums, ..)| sums[0]).sum();
    assert_eq!((tools + models, tools > 0), (600, true));

    // Days of all but the last ones, by two at once.
    let middle = START + 5 * DAY;
    let compact = async || {
        while store
            .compact_model_usage(ORGANIZATION, middle)
            .await
            .unwrap()
            > 0
        {}
    };
    tokio::join!(compact(), compact());
    let (old, new): (Vec<&LedgerRow>, Vec<&LedgerRow>) =
        written.iter().partition(|call| call.at < middle);
    let mut both = expected(old, DAY);
    both.extend(expected(new, HOUR));
    assert_eq!(stored(&any).await, both);
    let until = START + 2 * DAY;
    while store.sweep_model_usage(ORGANIZATION, until).await.unwrap() > 0 {}
    both.retain(|(bucket, ..), _| *bucket >= until);
    assert_eq!(stored(&any).await, both);
}

pub(crate) async fn what_no_sum_holds_is_refused_for_good(store: &Store) {
    let absurd = |number: u8| LedgerRow {
        kind: "llm",
        model: Some("m".into()),
        tokens_input: Some(i64::MAX),
        ..call(number, 0)
    };
    store.append_ledger(&[absurd(1)]).await.unwrap();
    let refused = store.append_ledger(&[absurd(2)]).await.unwrap_err();
    assert!(refused.is_refusal(), "{refused}");
}
