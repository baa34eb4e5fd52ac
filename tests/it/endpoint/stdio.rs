//! The same server over standard input and output.

use std::sync::Arc;

use causeway::mcp::endpoint::serve_stdio;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};
use tokio::task::JoinHandle;

use crate::endpoint::{MODERN, Plan, Site, Talker, heard, is_pretty, pretty, request};

struct Pipe {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    input: WriteHalf<DuplexStream>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Pipe {
    async fn start(plan: Plan) -> Self {
        let native = plan.native.clone();
        let tools = plan.tools.clone();
        let settings = plan.settings.clone();
        let site = Site::with(plan).await;
        let server = Arc::new(site.server(&tools, settings, native, 1));
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (read, write) = tokio::io::split(theirs);
        let mcp = site.mcp();
        let served = tokio::spawn(serve_stdio(mcp, server, BufReader::new(read), write));
        let (read, input) = tokio::io::split(ours);
        Self {
            lines: BufReader::new(read).lines(),
            input,
            served,
        }
    }

    async fn say(&mut self, line: &str) {
        self.input
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn hear(&mut self) -> Value {
        let line = self.lines.next_line().await.unwrap().unwrap();
        assert!(
            !line.contains('\r'),
            "a line break within a message: {line}"
        );
        serde_json::from_str(&line).unwrap()
    }
}

fn message(id: u32, method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

#[tokio::test]
async fn both_eras_are_spoken_over_a_pipe() {
    let mut pipe = Pipe::start(Plan::default()).await;
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {} });
    pipe.say(&message(1, "initialize", params)).await;
    // What follows at once is answered in the version that was just settled.
    pipe.say(&message(2, "tools/list", json!({}))).await;
    let hello = pipe.hear().await;
    assert_eq!(hello["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(hello["result"]["capabilities"]["tools"], json!({}));
    let list = pipe.hear().await;
    assert!(
        list["result"]["tools"][0].get("outputSchema").is_some(),
        "{list}"
    );
    pipe.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
        .await;
    pipe.say("").await;
    let call = json!({ "name": "alpha", "arguments": { "q": "x" } });
    pipe.say(&message(3, "tools/call", call)).await;
    let result = pipe.hear().await;
    assert_eq!(result["id"], 3);
    assert_eq!(result["result"]["structuredContent"]["uri"], "/alpha?q=x");

    for line in [
        "nonsense",
        "[]",
        r#"{"jsonrpc":"2.0","id":4,"method":"no/such"}"#,
    ] {
        pipe.say(line).await;
    }
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(pipe.hear().await["error"]["code"].as_i64().unwrap());
    }
    codes.sort_unstable();
    assert_eq!(codes, [-32_700, -32_601, -32_600]);

    let (_, modern) = request(MODERN, "server/discover", json!({}));
    pipe.say(&modern.to_string()).await;
    assert_eq!(pipe.hear().await["result"]["supportedVersions"][0], MODERN);
    let (_, modern) = request(MODERN, "tools/list", json!({}));
    pipe.say(&modern.to_string()).await;
    assert_eq!(pipe.hear().await["result"]["resultType"], "complete");
    let (_, modern) = request(MODERN, "ping", json!({}));
    pipe.say(&modern.to_string()).await;
    assert_eq!(pipe.hear().await["error"]["code"], -32_601);
}

#[tokio::test]
async fn what_was_asked_before_the_end_of_input_is_answered() {
    let mut pipe = Pipe::start(Plan::default()).await;
    for id in 0..20 {
        let call = json!({ "name": "beta", "arguments": {} });
        pipe.say(&message(id, "tools/call", call)).await;
    }
    pipe.input.shutdown().await.unwrap();
    let mut ids = Vec::new();
    while let Some(line) = pipe.lines.next_line().await.unwrap() {
        let reply: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(reply["result"]["isError"], false);
        ids.push(reply["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
    pipe.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_over_a_pipe_reports_asks_and_is_cancelled() {
    let (plan, mut signs) = Talker::plan();
    let mut pipe = Pipe::start(plan).await;
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} } });
    pipe.say(&message(1, "initialize", params)).await;
    pipe.hear().await;
    let call = json!({ "name": "progress", "arguments": {}, "_meta": { "progressToken": 5 } });
    pipe.say(&message(2, "tools/call", call)).await;
    assert_eq!(pipe.hear().await["params"]["progressToken"], 5);
    assert_eq!(pipe.hear().await["params"]["progress"], 2.0);
    assert_eq!(pipe.hear().await["id"], 2);

    pipe.say(&message(
        3,
        "tools/call",
        json!({ "name": "ask", "arguments": {} }),
    ))
    .await;
    let question = pipe.hear().await;
    let answer =
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" } });
    pipe.say(&answer.to_string()).await;
    assert_eq!(
        pipe.hear().await["result"]["content"][0]["text"],
        r#"{"action":"decline"}"#
    );

    pipe.say(&message(
        4,
        "tools/call",
        json!({ "name": "wait", "arguments": {} }),
    ))
    .await;
    assert_eq!(heard(&mut signs).await, "waiting");
    let cancel = json!({ "requestId": 4 });
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel });
    pipe.say(&cancel.to_string()).await;
    assert_eq!(heard(&mut signs).await, "over");
    assert_eq!(pipe.hear().await["error"]["message"], "cancelled");
}

#[tokio::test]
async fn an_array_on_a_line_is_served_where_the_version_has_batches() {
    let mut pipe = Pipe::start(Plan::default()).await;
    let params = json!({ "protocolVersion": "2025-03-26", "capabilities": {} });
    let initialize = message(1, "initialize", params);
    let ping = |id| message(id, "ping", json!({}));
    pipe.say(&format!("[{},{initialize}]", ping(2))).await;
    let mut codes = Vec::new();
    for _ in 0..2 {
        let reply = pipe.hear().await;
        codes.push((reply["id"].as_u64(), reply["error"]["code"].as_i64()));
    }
    codes.sort_unstable();
    assert_eq!(codes, [(Some(1), Some(-32_600)), (Some(2), None)]);
    pipe.say(&initialize).await;
    assert_eq!(pipe.hear().await["result"]["protocolVersion"], "2025-03-26");
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    pipe.say(&format!("[{note},{},7,{}]", ping(3), ping(4)))
        .await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(pipe.hear().await["id"].as_u64());
    }
    ids.sort_unstable();
    assert_eq!(ids, [None, Some(3), Some(4)]);

    let mut pipe = Pipe::start(Plan::default()).await;
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {} });
    pipe.say(&message(1, "initialize", params)).await;
    pipe.hear().await;
    pipe.say(&format!("[{}]", ping(2))).await;
    assert_eq!(pipe.hear().await["error"]["code"], -32_600);
    pipe.say(&ping(3)).await;
    assert_eq!(pipe.hear().await["id"], 3);
}

#[tokio::test]
async fn what_an_api_writes_over_several_lines_is_one_line() {
    let mut pipe = Pipe::start(pretty().await).await;
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {} });
    pipe.say(&message(1, "initialize", params)).await;
    pipe.hear().await;
    let call = json!({ "name": "alpha", "arguments": {} });
    pipe.say(&message(2, "tools/call", call.clone())).await;
    is_pretty(&pipe.hear().await["result"]);
    let (_, modern) = request(MODERN, "tools/call", call);
    pipe.say(&modern.to_string()).await;
    is_pretty(&pipe.hear().await["result"]);
}
