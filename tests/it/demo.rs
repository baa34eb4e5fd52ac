//! The demo, as the first agent meets it: every operation of both documents, called through MCP,
//! answers within its schema.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::program::{Serving, causeway, document, ended, example, run};

const WOOLF: &str = "00000000-0000-7000-8000-000000000001";
const DALLOWAY: &str = "9780141182803";
const NEW: &str = "9780156907392";

/// Tool, arguments, and what the answer has where: in `structuredContent`, or else in `content`.
type Step = (&'static str, Value, (&'static str, Value));

fn petstore() -> Vec<Step> {
    let mia = json!({ "name": "Bella", "tags": ["cat", "small"], "birthday": "2024-02-29" });
    let sold = json!({ "petId": 5, "name": "Bella", "status": "sold" });
    vec![
        ("listPets", json!({}), ("/result/3/id", json!(4))),
        (
            "listPets",
            json!({ "limit": 1, "tags": ["dog", "bird"], "status": "sold" }),
            ("/result/0/name", json!("Tweety")),
        ),
        ("createPet", mia, ("/id", json!(5))),
        ("getPet", json!({ "petId": 5 }), ("/tags/1", json!("small"))),
        ("replacePet", sold, ("/status", json!("sold"))),
        (
            "getPetPhoto",
            json!({ "petId": 5 }),
            ("/0/mimeType", json!("image/png")),
        ),
        (
            "deletePet",
            json!({ "petId": 5 }),
            ("/0/type", json!("text")),
        ),
    ]
}

fn books() -> Vec<Step> {
    let book = json!({
        "isbn": NEW, "title": "The Waves", "author_ids": [WOOLF], "genre": "novel",
        "price_cents": 1150, "published": "1931-10-08", "pages": 297, "Idempotency-Key": "once",
    });
    vec![
        (
            "listBooks",
            json!({ "page": 2, "page_size": 1, "genre": ["novel", "poetry"], "sort": "title" }),
            ("/items/0/title", json!("Mrs Dalloway")),
        ),
        (
            "listAuthors",
            json!({}),
            ("/result/0/name", json!("Italo Calvino")),
        ),
        (
            "getAuthor",
            json!({ "authorId": WOOLF }),
            ("/books/1/title", json!("To the Lighthouse")),
        ),
        (
            "createBook",
            book.clone(),
            ("/authors/0/name", json!("Virginia Woolf")),
        ),
        // The same key again: added once.
        ("createBook", book, ("/isbn", json!(NEW))),
        (
            "updateBook",
            json!({ "isbn": NEW, "body": { "price_cents": 1200, "subtitle": null } }),
            ("/price_cents", json!(1200)),
        ),
        (
            "getBook",
            json!({ "isbn": NEW }),
            ("/price_cents", json!(1200)),
        ),
        (
            "getBookCover",
            json!({ "isbn": NEW }),
            ("/0/type", json!("image")),
        ),
        (
            "searchBooks",
            json!({ "q": "waves woolf", "price": { "min": 1000, "max": 1500 } }),
            ("/total", json!(1)),
        ),
        (
            "addReview",
            json!({ "isbn": NEW, "stars": 5, "text": "Six voices.", "reviewer": "Ada" }),
            ("/stars", json!(5)),
        ),
        (
            "listReviews",
            json!({ "isbn": NEW, "min_stars": 4 }),
            ("/result/0/reviewer", json!("Ada")),
        ),
        (
            "deleteBook",
            json!({ "isbn": NEW }),
            ("/0/type", json!("text")),
        ),
        ("exportBooks", json!({}), ("/0/type", json!("text"))),
    ]
}

fn orders() -> Vec<Step> {
    let address = json!({ "street": "Mill Lane 4", "city": "Cambridge", "postcode": "02894", "country": "GB" });
    let order = json!({
        "customer": { "name": "Ada", "email": "ada@example.org" },
        "lines": [{ "isbn": DALLOWAY, "quantity": 2 }],
        "delivery": { "kind": "post", "address": address },
        "gift_note": "Happy birthday!",
    });
    let wanted = json!({ "status": ["placed", "sent"], "placed_after": "2020-01-01T00:00:00Z" });
    let login = json!({ "email": "ada@example.org", "password": "reader", "remember": true });
    vec![
        (
            "setStock",
            json!({ "isbn": DALLOWAY, "body": 4 }),
            ("/copies", json!(4)),
        ),
        ("placeOrder", order, ("/total_cents", json!(1998))),
        ("listOrders", wanted, ("/result/0/status", json!("placed"))),
        // The review of a book took the first number.
        (
            "getOrder",
            json!({ "orderId": 2 }),
            ("/gift_note", json!("Happy birthday!")),
        ),
        (
            "cancelOrder",
            json!({ "orderId": 2 }),
            ("/status", json!("cancelled")),
        ),
        (
            "listLowStock",
            json!({ "threshold": 3 }),
            ("/result/0/copies", json!(2)),
        ),
        ("login", login, ("/token", json!("demo-session"))),
    ]
}

/// Takes the steps, each answer held against the tool's output schema; no tool is left out.
async fn walk(served: &Serving, path: &str, steps: Vec<Step>) {
    let tools = served.tools(path).await;
    let mut left: BTreeSet<&str> = tools.iter().map(|t| t["name"].as_str().unwrap()).collect();
    for (name, arguments, (pointer, expected)) in steps {
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap();
        left.remove(name);
        let result = served.call(path, name, arguments).await;
        assert_ne!(result["isError"], true, "{name}: {result}");
        let answer = match tool.get("outputSchema") {
            // No JSON, or more of it than is worth describing.
            None => result
                .get("structuredContent")
                .unwrap_or(&result["content"]),
            Some(schema) => {
                within(schema, &result["structuredContent"], name);
                &result["structuredContent"]
            }
        };
        assert_eq!(answer.pointer(pointer), Some(&expected), "{name}: {result}");
    }
    assert_eq!(left, BTreeSet::new(), "tools nobody called");
}

fn within(schema: &Value, answer: &Value, name: &str) {
    let options = jsonschema::options().should_validate_formats(true);
    let validator = options.build(schema).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(answer)
        .map(|e| e.to_string())
        .collect();
    assert!(faults.is_empty(), "{name}: {faults:?} in {answer}");
}

#[tokio::test]
async fn every_operation_answers_within_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let served = Serving::on(&folder.path().join("data"), &[]).await;
    assert_eq!(served.ready["servers"], 2);
    walk(&served, "/mcp/petstore", petstore()).await;
    walk(&served, "/mcp/bookshop", [books(), orders()].concat()).await;
}

#[tokio::test]
async fn mistakes_are_told_to_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let served = Serving::on(&folder.path().join("data"), &[]).await;
    let twice =
        json!({ "isbn": DALLOWAY, "title": "Again", "author_ids": [WOOLF], "price_cents": 1 });
    for (path, tool, arguments, said) in [
        (
            "petstore",
            "getPet",
            json!({ "petId": 99 }),
            "no pet of that id",
        ),
        (
            "bookshop",
            "createBook",
            twice,
            "a book of that ISBN already",
        ),
        (
            "bookshop",
            "login",
            json!({ "email": "a@b.example", "password": "x" }),
            "reader",
        ),
    ] {
        let result = served.call(&format!("/mcp/{path}"), tool, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        let text = result["content"].to_string();
        assert!(text.contains(said), "{text}");
    }
}

#[tokio::test]
async fn the_documents_of_the_demo_work_without_a_database_too() {
    let served = Serving::document(&example("petstore.yaml"), &[]).await;
    walk(&served, "/mcp", petstore()).await;
    let served = Serving::document(&example("bookshop.yaml"), &[]).await;
    walk(&served, "/mcp", [books(), orders()].concat()).await;
}

#[tokio::test]
async fn the_documents_of_the_demo_work_over_standard_input_too() {
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let call = json!({ "name": "getPet", "arguments": { "petId": 2 } });
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {} });
    let lines = [("initialize", hello), ("tools/call", call)].map(|(method, params)| {
        let line = json!({ "jsonrpc": "2.0", "id": method, "method": method, "params": params });
        format!("{line}\n")
    });
    std::fs::write(&said, lines.concat()).unwrap();
    let mut command = causeway(&["stdio", &example("petstore.yaml")]);
    command.stdin(std::fs::File::open(said).unwrap());
    let ended = ended(command).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let answer = ended.stdout.lines().nth(1).unwrap();
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(answer["id"], "tools/call");
    assert_eq!(answer["result"]["structuredContent"]["name"], "Rex");
}

#[tokio::test]
async fn a_document_that_names_another_host_too_goes_over_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let operation = |name: &str| {
        let responses = json!({ "200": { "description": "ok" } });
        json!({ "operationId": name, "responses": responses })
    };
    let mut other = operation("other");
    other["servers"] = json!([{ "url": "http://127.0.0.1:9" }]);
    let paths = json!({ "/pets": { "get": operation("pets"), "post": other } });
    let server = format!("http://{}/petstore", causeway::demo::HOST);
    let file = document(folder.path(), &server, json!({ "paths": paths }));
    let served = Serving::document(&file.display().to_string(), &[]).await;
    for tool in ["pets", "other"] {
        let result = served.call("/mcp", tool, json!({})).await;
        assert_eq!(result["isError"], true, "{result}");
    }
}

#[tokio::test]
async fn there_is_no_demo_where_it_is_not_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert_eq!(Serving::on(&data, &["--no-demo"]).await.ready["servers"], 0);
    // The database is not fresh any more.
    assert_eq!(Serving::on(&data, &[]).await.ready["servers"], 0);
    let served = Serving::on(&data, &["--demo"]).await;
    assert_eq!(served.ready["servers"], 0);
    let health = format!("{}/healthz", served.origin);
    assert_eq!(reqwest::get(health).await.unwrap().status(), 200);
    served.terminate();
    let (code, said) = served.ended().await;
    assert!(code == Some(0) && said.contains("is not fresh"), "{said}");
    let both = run(&["serve", "--demo", "--no-demo"]).await;
    assert_eq!(both.code, Some(2), "{both:?}");

    let everywhere = folder.path().join("everywhere").display().to_string();
    let listen = [
        "serve",
        "--json",
        "--listen",
        "0.0.0.0:0",
        "--data",
        &everywhere,
    ];
    let served = Serving::start(causeway(&listen)).await;
    assert_eq!(served.ready["servers"], 0);
    let near = served.ready["url"].as_str().unwrap();
    assert!(near.starts_with("http://127.0.0.1:"), "{near}");
    drop(served);
    std::fs::remove_dir_all(&everywhere).unwrap();
    let asked = [&listen[..], &["--demo"]].concat();
    let served = Serving::start(causeway(&asked)).await;
    assert_eq!(served.ready["servers"], 2);
}
