//! Answers whose bodies are passed on as they come.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::time::timeout_at;
use tower_http::decompression::DecompressionBody;
use url::Position;

use crate::egress::body::{self, Bounded};
use crate::egress::channel::Answer;
use crate::egress::{Egress, EgressError, Patience, Upstream, exchange_inside, outbound};
use crate::types::{UpstreamRequest, UpstreamResponse};

/// An answer, its headers read, its body still to come. Dropping it closes the connection, unless the body was
/// read to its end.
pub struct Opened {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// From sending to the end of the headers.
    pub first_byte: Duration,
    started: Instant,
    origin: String,
    body: Coming,
}

enum Coming {
    Network(Box<DecompressionBody<Incoming>>),
    /// All of it is here.
    Here(Option<Bytes>),
}

/// A body that is sent as it comes.
pub type Upload = BoxStream<'static, std::io::Result<Bytes>>;

impl Egress {
    /// [`Egress::open`] for a request whose body is passed on while it comes, in place of its own: it is sent once, and
    /// whoever makes it says how long it may take.
    ///
    /// # Errors
    /// When there are no headers in time; the text is fit for whoever asked.
    pub async fn open_upload(
        &self,
        upstream: &Upstream,
        (request, upload): (UpstreamRequest, Upload),
        patience: Patience<'_>,
    ) -> Result<Opened, EgressError> {
        let Upstream::Http(channel) = upstream else {
            // What is in the process takes bodies whole.
            let body = gathered(upload, self.settings().body_bytes_max).await?;
            let request = UpstreamRequest { body, ..request };
            return self.open(upstream, request, patience).await;
        };
        let started = Instant::now();
        let origin = request.url.origin().ascii_serialization();
        let body = StreamBody::new(upload.map_ok(Frame::data));
        let body = Either::Right(UnsyncBoxBody::new(body));
        let answering = self.answer_to(channel, outbound(&request, body)?, &request.url);
        let answer = tokio::select! {
            biased;
            () = patience.cancel.cancelled() => return Err(EgressError::Cancelled),
            answer = timeout_at(patience.deadline.into(), answering) => answer,
        };
        let answer = answer.map_err(|_| EgressError::TimedOut {
            origin: origin.clone(),
            after: started.elapsed(),
        })??;
        Ok(Opened::outside(answer, origin, started))
    }

    /// Sends one request, and gives the answer as soon as its headers are there.
    ///
    /// # Errors
    /// When there are no headers in time; the text is fit for whoever asked.
    pub async fn open(
        &self,
        upstream: &Upstream,
        request: UpstreamRequest,
        patience: Patience<'_>,
    ) -> Result<Opened, EgressError> {
        let opening = async {
            match upstream {
                Upstream::Http(channel) => self.open_outside(channel, &request, patience).await,
                Upstream::Internal(service) => {
                    let limit = self.settings().body_bytes_max;
                    let origin = request.url.origin().ascii_serialization();
                    let answer = exchange_inside(service.clone(), request, patience, limit).await?;
                    Ok(Opened::inside(answer, origin))
                }
            }
        };
        tokio::select! {
            biased;
            () = patience.cancel.cancelled() => Err(EgressError::Cancelled),
            opened = opening => opened,
        }
    }

    async fn open_outside(
        &self,
        channel: &crate::egress::Channel,
        request: &UpstreamRequest,
        patience: Patience<'_>,
    ) -> Result<Opened, EgressError> {
        let started = Instant::now();
        // The same as its origin in ASCII: a URL with more before its path is not sent.
        let origin = request.url[..Position::BeforePath].to_owned();
        let deadline = patience
            .deadline
            .min(started + channel.first_byte_timeout());
        let answer = timeout_at(deadline.into(), self.answer(channel, request)).await;
        let answer = answer.map_err(|_| EgressError::TimedOut {
            origin: origin.clone(),
            after: started.elapsed(),
        })??;
        Ok(Opened::outside(answer, origin, started))
    }
}

/// All of a body that comes piece by piece.
async fn gathered(mut upload: Upload, bytes_max: usize) -> Result<Bytes, EgressError> {
    let mut whole = BytesMut::new();
    while let Some(piece) = upload.next().await {
        let piece = piece.map_err(|source| EgressError::Broken {
            origin: "the caller".to_owned(),
            source: source.into(),
        })?;
        if whole.len() + piece.len() > bytes_max {
            return Err(EgressError::TooLarge { limit: bytes_max });
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

impl Opened {
    fn outside(answer: Answer, origin: String, started: Instant) -> Self {
        let (head, body) = answer.into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            first_byte: started.elapsed(),
            started,
            origin,
            body: Coming::Network(Box::new(body)),
        }
    }

    fn inside(answer: UpstreamResponse, origin: String) -> Self {
        Self {
            status: answer.status,
            headers: answer.headers,
            first_byte: answer.first_byte,
            started: Instant::now(),
            origin,
            body: Coming::Here(Some(answer.body)),
        }
    }

    /// What came next of the body; `None` at its end. It waits as long as it takes: whoever asks says for how
    /// long.
    ///
    /// # Errors
    /// When the other side breaks off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        let body = match &mut self.body {
            Coming::Here(bytes) => return Ok(bytes.take()),
            Coming::Network(body) => body,
        };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|source| EgressError::Broken {
                origin: self.origin.clone(),
                source,
            })?;
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The whole body, of which something has to come again and again within `idle`.
    ///
    /// # Errors
    /// When it is longer than `bytes_max`, does not go on or end in time, or breaks off.
    pub async fn whole_within(
        mut self,
        bytes_max: usize,
        (idle, deadline): (Duration, Instant),
    ) -> Result<Bytes, EgressError> {
        let mut whole = BytesMut::new();
        loop {
            let until = deadline.min(Instant::now() + idle);
            let chunk = timeout_at(until.into(), self.chunk()).await;
            let chunk = chunk.map_err(|_| EgressError::TimedOut {
                origin: self.origin.clone(),
                after: self.started.elapsed(),
            })??;
            let Some(chunk) = chunk else {
                return Ok(whole.freeze());
            };
            if whole.len() + chunk.len() > bytes_max {
                return Err(EgressError::TooLarge { limit: bytes_max });
            }
            whole.extend_from_slice(&chunk);
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// When it is longer than `bytes_max`, does not end before `deadline`, or breaks off.
    pub async fn whole(self, bytes_max: usize, deadline: Instant) -> Result<Bytes, EgressError> {
        let (origin, started) = (self.origin, self.started);
        let body = match self.body {
            Coming::Here(bytes) => return Ok(bytes.unwrap_or_default()),
            Coming::Network(body) => body,
        };
        match timeout_at(deadline.into(), body::read(body, bytes_max)).await {
            Err(_) => Err(EgressError::TimedOut {
                origin,
                after: started.elapsed(),
            }),
            Ok(Err(source)) => Err(EgressError::Broken { origin, source }),
            Ok(Ok(Bounded {
                truncated: true, ..
            })) => Err(EgressError::TooLarge { limit: bytes_max }),
            Ok(Ok(body)) => Ok(body.bytes),
        }
    }
}
