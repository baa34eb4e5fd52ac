//! The caller's own user is asked: by a token, by a form in the answer, by a form over the stream.

use causeway::access::ledger::LedgerStatus;
use serde_json::{Value, json};

use crate::confirming::{ANNA, BEN, Shop, said, searched, token, with_sessions};
use crate::endpoint::{Events, request};

fn with_token(arguments: &Value, token: &str) -> Value {
    let mut arguments = arguments.clone();
    arguments["_confirm"] = json!(token);
    arguments
}

#[tokio::test]
async fn without_forms_a_token_confirms_one_call_of_one_caller() {
    let mut shop = Shop::open().await;
    let order = json!({ "order": 7, "note": "late \u{202e}", "pin": "4711", "answer": "Rex" });
    let told = said(&shop.call(0, ANNA, ("cancel", order.clone())).await, true);
    for word in [
        "Shop",
        "`cancel`",
        "\"order\": 7",
        "late \\u202e",
        "5 minutes",
    ] {
        assert!(told.contains(word), "{word} is not in {told}");
    }
    assert!(!told.contains("4711") && !told.contains("Rex"), "{told}");
    assert_eq!(told.matches("[masked]").count(), 2, "{told}");
    let good = token(&told);
    let refused = async |place: usize, key: &str, call: (&str, Value), reason: &str| {
        let said = said(&shop.call(place, key, call).await, true);
        assert!(said.contains(reason), "{reason} is not in {said}");
        assert_eq!(shop.sent(), 0, "{said}");
    };
    let mut changed = with_token(&order, &good);
    changed["order"] = json!(8);
    refused(0, ANNA, ("cancel", changed), "other arguments").await;
    let mut changed = with_token(&order, &good);
    changed["pin"] = json!("4712");
    refused(0, ANNA, ("cancel", changed), "other arguments").await;
    refused(
        1,
        BEN,
        ("cancel", with_token(&order, &good)),
        "another caller",
    )
    .await;
    refused(
        0,
        ANNA,
        ("other", with_token(&order, &good)),
        "another tool",
    )
    .await;
    refused(
        0,
        ANNA,
        ("cancel", with_token(&order, "yes")),
        "not a token",
    )
    .await;
    // On the other replica, and whatever the order of the arguments.
    let done = shop
        .call(1, ANNA, ("cancel", with_token(&order, &good)))
        .await;
    assert_eq!(said(&done, false), "done");
    let body: Value = serde_json::from_str(&shop.bodies.lock()[0]).unwrap();
    assert_eq!(body, order, "the token does not reach the API");
    let again = shop
        .call(0, ANNA, ("cancel", with_token(&order, &good)))
        .await;
    assert!(said(&again, true).contains("used before"), "{again}");
    assert_eq!(shop.sent(), 1);
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(shop.status().await);
    }
    let mut wanted = vec![LedgerStatus::Refused; 8];
    wanted[6] = LedgerStatus::Ok;
    assert_eq!(statuses, wanted);
}

#[tokio::test]
async fn a_token_ends_and_of_two_processes_one_takes_it() {
    let shop = Shop::open().await;
    let order = json!({ "order": 7 });
    let first = async || {
        token(&said(
            &shop.call(0, ANNA, ("cancel", order.clone())).await,
            true,
        ))
    };
    let late = first().await;
    shop.later(5 * 60);
    let late = shop
        .call(0, ANNA, ("cancel", with_token(&order, &late)))
        .await;
    let told = said(&late, true);
    assert!(told.contains("are over"), "{told}");
    // A refusal says how to go on.
    let raced = token(&told);
    let calls =
        (0..8).map(|number| shop.call(number % 2, ANNA, ("cancel", with_token(&order, &raced))));
    let results = futures::future::join_all(calls).await;
    let went = results.iter().filter(|result| result["isError"] == false);
    assert_eq!((went.count(), shop.sent()), (1, 1));
}

#[tokio::test]
async fn what_does_not_fit_bothers_nobody_and_what_asks_nobody_is_just_called() {
    let shop = Shop::open().await;
    let wrong = said(
        &shop
            .call(0, ANNA, ("cancel", json!({ "order": "x" })))
            .await,
        true,
    );
    assert!(
        wrong.contains("input schema") && !wrong.contains("_confirm"),
        "{wrong}"
    );
    let done = shop.call(0, ANNA, ("look", json!({ "order": 1 }))).await;
    assert_eq!((said(&done, false).as_str(), shop.sent()), ("done", 1));
    // Where nobody is asked, the argument is one like any other that is not known.
    let odd = shop
        .call(0, ANNA, ("look", json!({ "order": 1, "_confirm": "x" })))
        .await;
    assert!(said(&odd, true).contains("_confirm"));
    let large = json!({ "order": 1, "note": "n".repeat(300), "more": [] });
    assert!(said(&shop.call(0, ANNA, ("cancel", large)).await, true).contains("input schema"));
}

#[tokio::test]
async fn a_tool_that_asks_is_listed_as_one_that_destroys_and_no_more() {
    let shop = Shop::open().await;
    let (headers, body) = request("2025-11-25", "tools/list", json!({}));
    let answer = shop.post(0, ANNA, (&headers, &body)).send().await.unwrap();
    let text = answer.text().await.unwrap();
    assert!(!text.contains("_confirm"), "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    for tool in answer["result"]["tools"].as_array().unwrap() {
        let asks = tool["name"] != "look";
        assert_eq!(tool["annotations"]["destructiveHint"], asks, "{tool}");
    }
}

#[tokio::test]
async fn found_tools_ask_as_well() {
    let shop = Shop::with(searched()).await;
    let call = |arguments: Value| {
        let wanted = json!({ "name": "cancel", "arguments": arguments });
        shop.call(0, ANNA, ("call_tool", wanted))
    };
    let order = json!({ "order": 7 });
    let good = token(&said(&call(order.clone()).await, true));
    assert_eq!(shop.sent(), 0);
    assert_eq!(said(&call(with_token(&order, &good)).await, false), "done");
    let asked = json!({ "name": "cancel", "arguments": order });
    let asked = shop
        .modern(0, ANNA, ("call_tool", asked.clone(), json!({})))
        .await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn a_form_in_the_answer_confirms_the_call_it_showed() {
    let mut shop = Shop::open().await;
    let order = json!({ "order": 7, "pin": "4711" });
    let asked = shop
        .modern(0, ANNA, ("cancel", order.clone(), json!({})))
        .await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let question = &asked["inputRequests"]["confirm"];
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["mode"], "form");
    let message = question["params"]["message"].as_str().unwrap();
    assert!(
        message.contains("cancel") && message.contains("Shop (shop)"),
        "{message}"
    );
    assert!(message.contains("\"pin\": \"[masked]\""), "{message}");
    let state = asked["requestState"].as_str().unwrap();
    let answered = |action: &str, state: &str| json!({ "inputResponses": { "confirm": { "action": action } }, "requestState": state });
    assert_eq!(shop.status().await, LedgerStatus::Refused);
    for (key, tool, arguments, action, state, reason) in [
        (
            ANNA,
            "cancel",
            json!({ "order": 8, "pin": "4711" }),
            "accept",
            state,
            "other arguments",
        ),
        (
            ANNA,
            "other",
            order.clone(),
            "accept",
            state,
            "another tool",
        ),
        (
            BEN,
            "cancel",
            order.clone(),
            "accept",
            state,
            "another caller",
        ),
        (ANNA, "cancel", order.clone(), "accept", "", "not a token"),
        (
            ANNA,
            "cancel",
            order.clone(),
            "decline",
            state,
            "did not agree",
        ),
        (
            ANNA,
            "cancel",
            order.clone(),
            "cancel",
            state,
            "did not agree",
        ),
    ] {
        let result = shop
            .modern(0, key, (tool, arguments, answered(action, state)))
            .await;
        let said = said(&result, true);
        assert!(said.contains(reason), "{reason} is not in {said}");
    }
    // The state is no token, for it was never shown to a user as one.
    let stolen = shop
        .call(0, ANNA, ("cancel", with_token(&order, state)))
        .await;
    assert!(said(&stolen, true).contains("not a token"));
    assert_eq!(shop.sent(), 0);
    let accepted = answered("accept", state);
    let done = shop
        .modern(1, ANNA, ("cancel", order.clone(), accepted.clone()))
        .await;
    assert_eq!(said(&done, false), "done");
    let again = shop.modern(0, ANNA, ("cancel", order, accepted)).await;
    assert!(said(&again, true).contains("used before"));
    assert_eq!(shop.sent(), 1);
}

#[tokio::test]
async fn a_session_is_asked_over_its_stream() {
    let shop = Shop::with(with_sessions()).await;
    for (version, action, sent) in [
        ("2025-06-18", "accept", 1),
        ("2025-11-25", "accept", 2),
        ("2025-11-25", "decline", 2),
    ] {
        let params = json!({
            "protocolVersion": version, "capabilities": { "elicitation": {} },
            "clientInfo": { "name": "test", "version": "1" },
        });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        let answer = shop.post(0, ANNA, (&[], &body)).send().await.unwrap();
        let session = answer.headers()["mcp-session-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let headers = [("mcp-session-id", session)];
        let params = json!({ "name": "cancel", "arguments": { "order": 7 } });
        let body = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params });
        let call = shop.post(0, ANNA, (&headers, &body)).send().await.unwrap();
        let mut events = Events::of(call);
        let question = events.message().await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        let message = question["params"]["message"].as_str().unwrap();
        assert!(message.contains("\"order\": 7"), "{message}");
        let reply =
            json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": action } });
        let taken = shop.post(0, ANNA, (&headers, &reply)).send().await.unwrap();
        assert_eq!(taken.status(), 202);
        let result = events.message().await["result"].clone();
        assert_eq!(result["isError"], action != "accept", "{result}");
        assert_eq!(shop.sent(), sent);
    }
}
