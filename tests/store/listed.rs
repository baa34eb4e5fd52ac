//! The catalog's search gives the same answers whatever database the rows are in.

use causeway::live::listed::shelf;
use causeway::search::shelf::{ListedTool, Listing, Shelf, Sort, Wanted};
use causeway::store::Store;
use causeway::store::listed::NewListed;
use causeway::store::servers::NewServer;
use causeway::types::ServerId;
use serde_json::json;

use super::{act, at, server, slug, version};

const SUBJECTS: [&str; 8] = [
    "pet",
    "order",
    "invoice",
    "Wetter",
    "宠物",
    "订单",
    "école",
    "HTTPStatus",
];
const KINDS: [&str; 5] = ["store", "Service", "管理", "api", "hub"];

/// One of forty servers, as it is stored and as it has to be read.
fn made(number: usize) -> (NewServer, Listing) {
    let (subject, kind) = (SUBJECTS[number % 8], KINDS[number % 5]);
    let name = format!("s{number}-{}", KINDS[number % 5].to_ascii_lowercase());
    let name = name.replace("管理", "admin");
    let title = format!("{subject} {kind} {number}");
    let tools = [
        format!("list{subject}s"),
        format!("get_{subject}_by_{number}"),
    ];
    let tools: Vec<String> = tools.iter().filter(|it| it.is_ascii()).cloned().collect();
    let category = number.is_multiple_of(3).then(|| "Trade".to_owned());
    let stored: Vec<_> = tools
        .iter()
        .map(|tool| json!([format!("GET /{tool}"), tool, format!("{subject} {kind}"), 7]))
        .collect();
    let mut new = server(&name);
    new.settings = json!({ "category": category }).to_string();
    new.version.title.clone_from(&title);
    new.version.listed = NewListed {
        summary: format!("All about {subject}"),
        tags: json!([subject]).to_string(),
        tools: json!(stored).to_string(),
    };
    let listing = Listing {
        id: new.id,
        slug: name,
        title,
        summary: format!("All about {subject}"),
        category,
        tags: vec![subject.to_owned()],
        tools: tools
            .iter()
            .map(|tool| ListedTool {
                name: tool.as_str().into(),
                title: format!("{subject} {kind}").into(),
                tokens: 7,
            })
            .collect(),
        created_at: at(i64::try_from(number).unwrap()).timestamp_micros(),
    };
    (new, listing)
}

fn ten(shelf: &Shelf, wanted: Wanted<'_>, hidden: ServerId) -> Vec<String> {
    let found = shelf.seen(|id| id != hidden).find(wanted, (0, 10));
    found.listings.iter().map(|it| it.slug.clone()).collect()
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
pub(crate) async fn the_catalog_is_searched_the_same(store: &Store) {
    let mut listings = Vec::new();
    for number in 0..40 {
        let (new, listing) = made(number);
        let now = at(i64::try_from(number).unwrap());
        store.create_server(&new, &act(), now).await.unwrap();
        listings.push(listing.into());
    }
    let expected = Shelf::new(listings);
    let stored = shelf(store).await.unwrap();
    let hidden = expected
        .seen(|_| true)
        .find(Wanted::default(), (3, 1))
        .listings[0]
        .id;
    let texts = [
        "",
        "p",
        "pe",
        "pet",
        "PET",
        "pets",
        "listpet",
        "list pet",
        "o",
        "ord",
        "order s",
        "inv",
        "invoice 2",
        "wetter",
        "宠",
        "宠物",
        "宠物 管",
        "管理",
        "订单",
        "订单管理",
        "ecole",
        "école",
        "http",
        "httpstatus",
        "status",
        "store",
        "service",
        "svc",
        "get by",
        "by",
        "1",
        "12",
        "s1",
        "s1-service",
        "admin",
        "hub",
        "trade",
        "all about",
        "nothing",
        "!",
    ];
    let mut asked = 0;
    let mut found = 0;
    for (at, text) in texts.into_iter().chain(texts).enumerate() {
        let wanted = Wanted {
            text,
            category: if at >= texts.len() { "trade" } else { "" },
            tag: "",
            sort: [Sort::Relevance, Sort::Newest, Sort::Name][at % 3],
            counts: None,
        };
        let (one, other) = (ten(&stored, wanted, hidden), ten(&expected, wanted, hidden));
        assert_eq!(one, other, "{wanted:?}");
        asked += 1;
        found += usize::from(!one.is_empty());
    }
    assert!(
        asked >= 50 && found >= 50,
        "{found} of {asked} found anything"
    );
}

/// A version from before there were lists is listed when the catalog is read.
pub(crate) async fn a_version_without_a_list_gets_one(store: &Store) {
    let (mut new, _) = made(1);
    new.version = version("Old");
    new.slug = slug("old");
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let read = shelf(store).await.unwrap();
    assert_eq!(read.get(new.id).unwrap().title, "Old");
    assert!(store.unlisted().await.unwrap().is_empty());
    assert!(store.delete_server(new.id, &act(), at(1)).await.unwrap());
    assert!(shelf(store).await.unwrap().get(new.id).is_none());
}
