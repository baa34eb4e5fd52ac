//! One server over standard input and output: a message per line, in both eras.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::access::caller::{Caller, Target};
use crate::mcp::call::Mcp;
use crate::mcp::endpoint::dispatch::Exchange;
use crate::mcp::endpoint::http::{client, notified};
use crate::mcp::endpoint::session::{OUTBOX_MESSAGES_MAX, Session};
use crate::mcp::endpoint::version::Version;
use crate::mcp::endpoint::wire::{
    INVALID_REQUEST, Message, Params, RpcError, initialize_in_batch, messages, on_one_line,
    result_message,
};
use crate::mcp::endpoint::{BATCH_MAX, BODY_BYTES_MAX, headers, progress};
use crate::mcp::provider::Progress;
use crate::mcp::server::{Access, Server};

/// Serves `server` until the input ends. Whoever has the process has the server: the caller is
/// anonymous, and the server has to be open.
pub async fn serve_stdio(
    mcp: Arc<Mcp>,
    server: Arc<Server>,
    input: impl AsyncBufRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let caller = Caller::anonymous();
    let session = Session::new(
        server.id,
        &caller,
        caller.principal(),
        Version::LATEST_WITH_HANDSHAKE,
        json!({}),
    );
    let (outbox, mut messages) = mpsc::channel::<String>(OUTBOX_MESSAGES_MAX);
    let mut lines = Lines {
        input,
        line: Vec::new(),
    };
    let cx = Arc::new(Context {
        mcp,
        server,
        caller,
        session,
    });
    loop {
        tokio::select! {
            Some(message) = messages.recv() => write(&mut output, &message).await?,
            line = lines.next() => {
                let Some(line) = line? else { break };
                if line.trim().is_empty() {
                    continue;
                }
                for reply in cx.take(&line, &outbox).await {
                    write(&mut output, &reply).await?;
                }
            }
        }
    }
    // The input is over: what was asked before is still answered.
    drop(outbox);
    while let Some(message) = messages.recv().await {
        write(&mut output, &message).await?;
    }
    Ok(())
}

async fn write(output: &mut (impl AsyncWrite + Unpin), message: &str) -> std::io::Result<()> {
    output.write_all(on_one_line(message).as_bytes()).await?;
    output.write_all(b"\n").await?;
    output.flush().await
}

/// Lines of bounded length. Dropping `next` loses nothing that was read.
struct Lines<R> {
    input: R,
    line: Vec<u8>,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    async fn next(&mut self) -> std::io::Result<Option<String>> {
        loop {
            let buffer = self.input.fill_buf().await?;
            if buffer.is_empty() {
                let rest = std::mem::take(&mut self.line);
                return Ok((!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned()));
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(buffer.len(), |end| end + 1);
            self.line.extend_from_slice(&buffer[..taken]);
            self.input.consume(taken);
            if self.line.len() > BODY_BYTES_MAX {
                return Err(std::io::Error::other("a message is longer than 4 MiB"));
            }
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
        }
    }
}

struct Context {
    mcp: Arc<Mcp>,
    server: Arc<Server>,
    caller: Caller,
    session: Arc<Session>,
}

impl Context {
    /// Takes one line: a message, or an array of them. Gives the replies that are ready.
    async fn take(self: &Arc<Self>, line: &str, outbox: &mpsc::Sender<String>) -> Vec<String> {
        let texts = match messages(line, self.session.settled_version(), BATCH_MAX) {
            Ok(texts) => texts,
            Err(error) => return vec![error.to_message(None)],
        };
        let alone = !line.trim_start().starts_with('[');
        let mut replies = Vec::new();
        for text in texts {
            replies.extend(match Message::parse(text) {
                Ok(Message::Request { id, method, .. }) if method == "initialize" && !alone => {
                    Some(initialize_in_batch().to_message(Some(id.get())))
                }
                _ => self.take_one(text.to_owned(), outbox).await,
            });
        }
        replies
    }

    /// Takes one message. What can be answered at once is; a request runs beside the others, and
    /// its task ends with it.
    async fn take_one(
        self: &Arc<Self>,
        line: String,
        outbox: &mpsc::Sender<String>,
    ) -> Option<String> {
        let cancel = CancellationToken::new();
        let running = match Message::parse(&line) {
            Err(malformed) => return Some(malformed.to_message()),
            Ok(Message::Notification { method, params }) => {
                notified(&self.session, &method, &params);
                return None;
            }
            Ok(Message::Response { id, result }) => {
                self.session.answer(id.get(), result);
                return None;
            }
            // The next line may rely on what this one settles.
            Ok(Message::Request { method, .. }) if method == "initialize" => {
                return self.reply(&line, outbox, cancel).await;
            }
            Ok(Message::Request { id, .. }) => match self.session.run(id.get(), cancel.clone()) {
                Some(running) => running,
                None => {
                    let error = RpcError::new(INVALID_REQUEST, "too many requests at once");
                    return Some(error.to_message(Some(id.get())));
                }
            },
        };
        let (cx, outbox) = (self.clone(), outbox.clone());
        tokio::spawn(async move {
            let _running = running;
            if let Some(reply) = cx.reply(&line, &outbox, cancel).await {
                // The reader of our output is gone when this fails, and so is the process soon.
                let _ = outbox.send(reply).await;
            }
        });
        None
    }

    /// The reply to a request; `None` for a line that is none.
    async fn reply(
        &self,
        line: &str,
        outbox: &mpsc::Sender<String>,
        cancel: CancellationToken,
    ) -> Option<String> {
        let Ok(Message::Request { id, method, params }) = Message::parse(line) else {
            return None;
        };
        let result = self.answer(&method, &params, outbox, cancel).await;
        Some(match result {
            Ok(result) => result_message(id.get(), &result),
            Err(error) => error.to_message(Some(id.get())),
        })
    }

    async fn answer(
        &self,
        method: &str,
        params: &Params<'_>,
        outbox: &mpsc::Sender<String>,
        cancel: CancellationToken,
    ) -> Result<String, RpcError> {
        let version = self.version(method, params)?;
        if method == "initialize" {
            let capabilities: Option<Value> = params
                .capabilities
                .and_then(|raw| serde_json::from_str(raw.get()).ok());
            self.session
                .settle(version, capabilities.unwrap_or_else(|| json!({})));
        }
        let session = (!version.is_stateless()).then_some(&self.session);
        let token = params.meta.as_ref().and_then(|meta| meta.progress_token);
        let exchange = Exchange {
            mcp: self.mcp.clone(),
            server: self.server.clone(),
            caller: self.caller.clone(),
            holder: self.caller.principal(),
            target: Target {
                organization: self.server.organization,
                server: self.server.id,
                access: Access::Open,
                owner: None,
            },
            closed: None,
            version,
            session: session.cloned(),
            hears: false,
            client: client(session, version, params, outbox.clone()),
            progress: token.map_or_else(Progress::default, |token| {
                progress(token.get(), outbox.clone())
            }),
            cancel,
            trace_id: uuid::Uuid::now_v7().simple().to_string(),
            parent: None,
            // There are no headers.
            passed: Arc::default(),
            peer: None,
            over: None,
            // Nor pages.
            base: String::new(),
        };
        exchange.dispatch(method, params).await
    }

    /// The version of a request: what it says, else what `initialize` settled.
    fn version(&self, method: &str, params: &Params<'_>) -> Result<Version, RpcError> {
        let stated = params
            .meta
            .as_ref()
            .and_then(|meta| meta.protocol_version.as_deref());
        if stated.is_none() && !matches!(method, "initialize" | "server/discover") {
            return Ok(self.session.settled_version().unwrap_or(Version::UNSTATED));
        }
        let mut same = ::http::HeaderMap::new();
        if let Some(value) = stated.and_then(|stated| stated.parse().ok()) {
            same.insert("mcp-protocol-version", value);
        }
        headers::version(&same, method, params)
    }
}
