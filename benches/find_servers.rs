//! The catalog of 10,000 servers with 300,000 tools: searched, and shown as the home page.
//!
//! `cargo bench --bench find_servers`; says first what the index weighs and takes to make.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use causeway::market::pages::Frame;
use causeway::market::pages::home::{Choice, Home, ServerCard};
use causeway::mcp::server::Access;
use causeway::search::shelf::{ListedTool, Listing, Shelf, Wanted};
use causeway::types::ServerId;
use criterion::{Criterion, criterion_group, criterion_main};

const SERVERS: usize = 10_000;
const TOOLS: usize = 30;
const VERBS: [&str; 10] = [
    "list", "get", "create", "update", "delete", "search", "export", "import", "cancel", "archive",
];
const THINGS: [&str; 40] = [
    "pet",
    "order",
    "invoice",
    "customer",
    "payment",
    "refund",
    "shipment",
    "ticket",
    "comment",
    "user",
    "group",
    "role",
    "project",
    "branch",
    "commit",
    "build",
    "release",
    "metric",
    "alert",
    "dashboard",
    "message",
    "channel",
    "contact",
    "calendar",
    "event",
    "file",
    "folder",
    "report",
    "product",
    "price",
    "discount",
    "cart",
    "address",
    "device",
    "sensor",
    "map",
    "route",
    "订单",
    "客户",
    "库存",
];

fn listing(number: usize) -> Listing {
    let thing = |at: usize| THINGS[at % THINGS.len()];
    let tool = |at: usize| {
        let (verb, thing) = (VERBS[(number + at) % 10], thing(number * 7 + at * 3));
        ListedTool {
            name: format!("{verb}_{thing}_v{number}_{at}").into(),
            title: format!("{verb} a {thing} of account {number}").into(),
            tokens: 120,
        }
    };
    Listing {
        id: ServerId(uuid::Uuid::from_u128(number as u128)),
        slug: format!("{}-{number}", VERBS[number % 10]),
        title: format!("{} and {} API", thing(number), thing(number / 40)),
        summary: format!(
            "Everything about {} for those who have many.",
            thing(number)
        ),
        category: Some(format!("Category {}", number % 20)),
        tags: vec![thing(number).to_owned(), thing(number / 7).to_owned()],
        tools: (0..TOOLS).map(tool).collect(),
        created_at: i64::try_from(number).unwrap_or_default(),
    }
}

/// What the process has in memory, in MiB.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse::<usize>().ok());
    pages.unwrap_or_default() * 4 / 1024
}

fn home(shelf: &Shelf, query: &str) -> Home {
    let wanted = Wanted {
        text: query,
        ..Wanted::default()
    };
    let seen = shelf.seen(|_| true);
    let found = seen.find(wanted, (0, 24));
    let (categories, tags) = seen.facets();
    let cards = found.listings.iter();
    Home {
        frame: Frame::default(),
        query: query.to_owned(),
        filtered: true,
        sort: "relevance".to_owned(),
        categories: Choice::all(categories, ""),
        tags: Choice::all(tags, ""),
        total: found.total,
        servers: cards
            .map(|it| ServerCard::new(it, Access::Open, query))
            .collect(),
        more: None,
        models: "https://causeway.example.com/v1".to_owned(),
        has_demo: true,
    }
}

fn benches(c: &mut Criterion) {
    let before = resident();
    let listings: Vec<_> = (0..SERVERS).map(|at| Arc::new(listing(at))).collect();
    let texts = resident();
    let began = Instant::now();
    let shelf = Shelf::new(listings);
    eprintln!(
        "{} tools: texts {} MiB, index {} MiB, made in {:.0} ms",
        SERVERS * TOOLS,
        texts - before,
        resident() - texts,
        began.elapsed().as_secs_f64() * 1e3,
    );
    for query in [
        "",
        "a",
        "p",
        "pay",
        "payment",
        "create order",
        "客",
        "客户 订单",
        "v77",
        "zzz",
    ] {
        c.bench_function(&format!("find {query:?}"), |b| {
            let wanted = Wanted {
                text: query,
                ..Wanted::default()
            };
            b.iter(|| black_box(shelf.seen(|_| true).find(wanted, (0, 24))));
        });
        let wanted = Wanted {
            text: query,
            ..Wanted::default()
        };
        let found = shelf.seen(|_| true).find(wanted, (0, 24)).listings;
        c.bench_function(&format!("tools that fit {query:?}"), |b| {
            let fitting = || {
                let listings = found.iter();
                listings
                    .map(|it| it.matching(query, 3).len())
                    .sum::<usize>()
            };
            b.iter(|| black_box(fitting()));
        });
    }
    c.bench_function("facets", |b| {
        b.iter(|| black_box(shelf.seen(|_| true).facets()));
    });
    for query in ["", "payment"] {
        c.bench_function(&format!("home page {query:?}"), |b| {
            b.iter(|| home(&shelf, query).render());
        });
    }
    let changed = Arc::new(listing(1));
    c.bench_function("a change", |b| {
        b.iter(|| black_box(shelf.with(changed.id, Some(changed.clone()))));
    });
}

criterion_group!(find, benches);
criterion_main!(find);
