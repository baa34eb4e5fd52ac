//! What calls add up to, as the API tells it.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]

use serde_json::{Value, json};

use crate::cli::ADMIN_KEY;
use crate::program::{PATIENCE, Serving};

async fn text(served: &Serving, path: &str) -> String {
    let client = reqwest::Client::builder().timeout(PATIENCE).build();
    let url = format!("{}/api/v1/{path}", served.origin);
    let answer = client
        .unwrap()
        .get(url)
        .bearer_auth(ADMIN_KEY)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    assert!(
        answer.headers()["content-disposition"]
            .to_str()
            .unwrap()
            .contains("usage.")
    );
    answer.text().await.unwrap()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn usage_is_told_in_steps_and_groups_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let served = Serving::on(&folder.path().join("data"), &["--admin-key", ADMIN_KEY]).await;
    let read = async |query: &str| {
        let path = format!("usage{query}");
        served.api(ADMIN_KEY, ("GET", &path), &Value::Null).await
    };
    let (status, empty) = read("").await;
    assert_eq!(status, 200, "{empty}");
    assert_eq!(
        (
            &empty["totals"]["calls"],
            &empty["totals"]["successPerMille"]
        ),
        (&json!(0), &Value::Null)
    );
    let steps = empty["series"].as_array().unwrap();
    assert_eq!(steps.len(), 25, "24 hours, and the one that runs");
    assert_eq!(
        (&steps[0]["p50Micros"], &steps[0]["partial"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(steps[24]["partial"], true);

    for limit in 1..=3 {
        served
            .call("/mcp/petstore", "listPets", json!({ "limit": limit }))
            .await;
    }
    served
        .call("/mcp/petstore", "listPets", json!({ "limit": "many" }))
        .await;
    let wait = async {
        loop {
            let (_, page) = read("?by=tool&server=petstore").await;
            if page["totals"]["calls"] == 4 {
                return page;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let page = tokio::time::timeout(PATIENCE, wait).await.unwrap();
    assert_eq!(
        (
            &page["totals"]["errors"],
            &page["totals"]["successPerMille"]
        ),
        (&json!(1), &json!(750))
    );
    assert!(page["totals"]["p50Micros"].as_i64().unwrap() > 0, "{page}");
    let group = &page["groups"][0];
    assert_eq!(group["of"]["server"], "petstore");
    assert_eq!(group["of"]["tool"], "listPets");
    assert_eq!(group["totals"], page["totals"]);
    let calls = |series: &Value| -> i64 {
        series
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["calls"].as_i64().unwrap())
            .sum()
    };
    assert_eq!((calls(&group["series"]), calls(&page["series"])), (4, 4));
    assert_eq!(page["groupsLeftOut"], 0);
    for (query, calls) in [
        ("?step=day&by=consumer", 4),
        ("?step=day&by=server&tool=listPets", 4),
        ("?tool=nothing", 0),
        ("?server=bookshop", 0),
        (
            "?from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z&step=day",
            0,
        ),
    ] {
        let (status, page) = read(query).await;
        assert_eq!(
            (status, &page["totals"]["calls"]),
            (200, &json!(calls)),
            "{query}: {page}"
        );
    }
    for query in [
        "?step=minute",
        "?by=x",
        "?server=nobody",
        "?consumer=nobody",
        "?more=1",
        "?from=x",
        "?from=2030-01-01T00:00:00Z&to=2029-01-01T00:00:00Z",
        "?from=2020-01-01T00:00:00Z",
        "?from=2000-01-01T00:00:00Z&step=day",
    ] {
        let (status, problem) = read(query).await;
        assert_eq!(status, 400, "{query}: {problem}");
    }

    let csv = text(&served, "usage.csv?by=tool").await;
    let lines: Vec<&str> = csv.trim_end().split("\r\n").collect();
    assert!(
        lines[0].starts_with("at,partial,server,server_id,tool,"),
        "{csv}"
    );
    assert!(lines.len() > 1 && lines[1].contains(",petstore,"), "{csv}");
    let file: Value = serde_json::from_str(&text(&served, "usage.json?by=tool").await).unwrap();
    assert_eq!(
        (calls(&file), &file[0]["of"]["tool"]),
        (4, &json!("listPets"))
    );
    let all: Value = serde_json::from_str(&text(&served, "usage.json").await).unwrap();
    assert_eq!((all.as_array().unwrap().len(), calls(&all)), (25, 4));
}
