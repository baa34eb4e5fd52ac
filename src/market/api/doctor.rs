//! Whether the process is well.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::access::person::Person;
use crate::market::api::Market;
use crate::market::doctor::{Check, examine, worst};
use crate::market::language::Language;
use crate::problem::Problem;

pub(super) async fn show(State(market): State<Market>, _: Person) -> Result<Json<Value>, Problem> {
    let checks = examine(&market).await;
    let state = worst(&checks).as_str();
    let checks: Vec<Value> = checks.iter().map(view).collect();
    Ok(Json(json!({ "state": state, "checks": checks })))
}

fn view(check: &Check) -> Value {
    json!({
        "id": check.id,
        "state": check.state.as_str(),
        "found": check.found(Language::English),
        "advice": check.advice(Language::English),
    })
}
