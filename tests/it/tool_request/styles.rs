//! The style tables of the specifications, as data: `tests/data/styles.json`. The same rows go
//! through swagger-client in `tests/clients/styles.mjs`.

use serde_json::{Map, Value, json};

use super::{planned, tools};

#[test]
fn every_row_of_the_tables_is_sent_as_the_specification_writes_it() {
    let text = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/styles.json"),
    );
    let table: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let mut rows = 0;
    let mut wrong = Vec::new();
    for row in table["rows"].as_array().unwrap() {
        let tool = tools(&document(row)).remove(0);
        for (value, expected) in cases(&table["values"], row) {
            rows += 1;
            let sent = planned(&tool, &format!("{{\"color\":{value}}}"));
            let sent = match &sent {
                Ok(request) => json!(place(row, request)),
                Err(error) if error.to_string().contains("`color") => json!({"refused": true}),
                Err(error) => json!(error.to_string()),
            };
            if sent != expected {
                wrong.push(format!(
                    "{} {} {} {value}: sent {sent}, expected {expected}",
                    row["version"], row["in"], row["parameter"]
                ));
            }
        }
    }
    assert!(rows > 250, "only {rows} rows were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The values of a row as JSON text, and what each sends.
fn cases(values: &Value, row: &Value) -> Vec<(String, Value)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    if let Some(own) = row["own"].as_array() {
        return own
            .iter()
            .map(|pair| (text(&pair[0]), pair[1].clone()))
            .collect();
    }
    let sends: &Map<String, Value> = row["sends"].as_object().unwrap();
    sends
        .iter()
        .map(|(kind, sent)| (text(&values[kind]), sent.clone()))
        .collect()
}

fn document(row: &Value) -> Value {
    let mut parameter = row["parameter"].clone();
    let place = row["in"].as_str().unwrap();
    parameter["name"] = json!("color");
    parameter["in"] = json!(place);
    let swagger = row["version"] == "2.0";
    if parameter.get("content").is_none() && parameter.get("schema").is_none() && !swagger {
        parameter["schema"] = json!({});
    }
    if place == "path" {
        parameter["required"] = json!(true);
    }
    let path = match row.get("path") {
        Some(path) => path.as_str().unwrap(),
        None if place == "path" => "/{color}",
        None => "/",
    };
    let paths = json!({path: {"post": {
        "operationId": "t", "parameters": [parameter], "responses": {"204": {"description": "ok"}}}}});
    let info = json!({"title": "T", "version": "1"});
    if swagger {
        json!({"swagger": "2.0", "info": info, "host": "h", "schemes": ["https"],
            "consumes": ["application/x-www-form-urlencoded"], "paths": paths})
    } else {
        json!({"openapi": row["version"], "info": info, "servers": [{"url": "https://h"}],
            "paths": paths})
    }
}

/// What stands at the parameter's place; `None` where nothing does.
fn place(row: &Value, request: &causeway::types::UpstreamRequest) -> Option<String> {
    let header = |name: &str| {
        let value = request.headers.get(name)?;
        Some(String::from_utf8(value.as_bytes().to_vec()).unwrap())
    };
    match row["in"].as_str().unwrap() {
        "path" => Some(request.url.path().to_owned()),
        "query" | "querystring" => request.url.query().map(str::to_owned),
        "header" => header("color"),
        "cookie" => header("cookie"),
        _ => Some(String::from_utf8(request.body.to_vec()).unwrap()),
    }
}
