//! The search over the tools of a server: making it, and asking it.

use std::fmt::Write;
use std::hint::black_box;

use causeway::search::embed::Averaged;
use causeway::search::intent::Effect;
use causeway::search::{Entry, Field, Index};
use criterion::{Criterion, criterion_group, criterion_main};

const TOOLS: usize = 1_200;

const VERBS: [(&str, Effect); 6] = [
    ("create", Effect::Changes),
    ("list", Effect::Looks),
    ("get", Effect::Looks),
    ("update", Effect::Changes),
    ("delete", Effect::Removes),
    ("archive", Effect::Changes),
];
const NOUNS: [&str; 20] = [
    "invoice",
    "customer",
    "payment",
    "webhook",
    "report",
    "dashboard",
    "team",
    "member",
    "project",
    "folder",
    "image",
    "comment",
    "subscription",
    "order",
    "address",
    "message",
    "playlist",
    "build",
    "domain",
    "token",
];

fn entries() -> Vec<Entry> {
    let made = (0..TOOLS).map(|n| {
        let (verb, effect) = VERBS[n % VERBS.len()];
        let (noun, of) = (NOUNS[n / 6 % 20], NOUNS[n / 120 % 20]);
        let mut description = format!("{verb} a {noun} of a {of}. ");
        for _ in 0..6 {
            let _ = write!(
                description,
                "Needs the right to {verb} what belongs to the {of}. "
            );
        }
        let fields = vec![
            (Field::Name, format!("{verb}_{noun}_{of}_{n}")),
            (Field::Description, description),
            (Field::Action, verb.to_owned()),
            (Field::Path, format!("/v1/{of}s/ /{noun}s/")),
            (
                Field::Arguments,
                format!("{of}_id {noun}_id page limit sort fields"),
            ),
        ];
        Entry { fields, effect }
    });
    made.collect()
}

fn find_tools(criterion: &mut Criterion) {
    let entries = entries();
    criterion.bench_function("search/index of 1,200 tools", |bencher| {
        bencher.iter(|| Index::build(black_box(&entries), &Averaged));
    });
    let index = Index::build(&entries, &Averaged);
    for question in [
        "how much did this client pay us last month?",
        "把这个客户的账单删掉",
    ] {
        criterion.bench_function(&format!("search/{question}"), |bencher| {
            bencher.iter(|| index.find(black_box(question), &Averaged, 100, |_| true));
        });
    }
}

criterion_group!(benches, find_tools);
criterion_main!(benches);
