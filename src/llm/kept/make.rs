//! What is made at a provider, and whose it is from then on.

use std::time::{Duration, Instant};

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method};
use uuid::Uuid;

use crate::egress::Upload;
use crate::llm::account::Account;
use crate::llm::exchange::of_egress;
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::kept::{Asking, Done, Kind, OBJECT_BYTES_MAX, Work, is_id, uncounted};
use crate::llm::splice::Top;
use crate::llm::through::{gathered, upload_of};
use crate::store::StoreError;
use crate::store::provider_objects::OBJECTS_MAX;

/// How long is waited before it is tried again to store whose something is that is made already.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

impl Work {
    pub(super) async fn create(
        &self,
        (mut headers, mut body): (HeaderMap, Upload),
        account: &mut Account,
    ) -> Result<Done, Fault> {
        self.check_room().await?;
        let mut made_with = None;
        if self.kind == Kind::Batch {
            let whole = gathered((body, OBJECT_BYTES_MAX), self.deadline).await?;
            // A batch reads a file, which has to be the caller's.
            let input: Option<String> = Top::read(&whole)?.get("input_file_id");
            let input = input.ok_or_else(|| {
                let text = "`input_file_id` has to be the id of a file of yours";
                Fault::invalid("input_file_id", text)
            })?;
            made_with = self.own(Kind::File, &input).await?;
            headers.remove(CONTENT_LENGTH);
            body = upload_of(whole);
        }
        let key = self.provider.key_for(made_with, &self.url("")?);
        let key = key.map(|key| key.id);
        let asking = Asking {
            method: Method::POST,
            rest: String::new(),
            headers,
            body: Some(body),
            key,
        };
        let passing = self.send(asking, account).await?;
        if !passing.opened.status.is_success() {
            return Ok(Done::passing(passing));
        }
        let made = passing.whole(OBJECT_BYTES_MAX).await;
        let made = made.map_err(|error| of_egress(&error))?;
        let id: Option<String> = Top::read(&made).ok().and_then(|top| top.get("id"));
        let Some(id) = id.filter(|id| is_id(id)) else {
            let text = format!("{} does not say what it made", self.provider.name);
            return Err(Fault::new(FaultClass::Upstream, text));
        };
        self.note_made((&id, key)).await?;
        self.note_results((&made, key)).await?;
        Ok(Done::Object(made))
    }

    /// Whether one more may be made.
    async fn check_room(&self) -> Result<(), Fault> {
        let (store, kind) = (&self.cx.store, self.kind.name());
        let count = store.count_provider_objects(self.organization, (&self.owner, kind));
        if count.await.map_err(uncounted)? < OBJECTS_MAX {
            return Ok(());
        }
        Err(Fault {
            code: Some("too_many".to_owned()),
            ..Fault::new(
                FaultClass::Invalid,
                format!(
                    "a {kind} of yours would be one more than {OBJECTS_MAX}: delete some first"
                ),
            )
        })
    }

    /// It is there, and nobody could find it if this were not stored.
    async fn note_made(&self, made: (&str, Option<Uuid>)) -> Result<(), Fault> {
        let began = Instant::now();
        let mut pauses = PAUSES.into_iter();
        loop {
            let Err(error) = self.note(self.kind, made).await else {
                return Ok(());
            };
            let Some(pause) = pauses.next() else {
                tracing::error!(
                    error = %error, provider = self.provider.name, object = made.0, took = ?began.elapsed(),
                    "something was made at a provider, and whose it is could not be stored"
                );
                return Err(uncounted(error));
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn note(&self, kind: Kind, made: (&str, Option<Uuid>)) -> Result<(), StoreError> {
        let at = self.cx.clock.now().timestamp_micros();
        let place = self.place(kind);
        self.cx.store.keep_provider_object(place, made, at).await
    }

    /// The files a batch wrote are whose the batch is.
    pub(super) async fn note_results(
        &self,
        (batch, key): (&[u8], Option<Uuid>),
    ) -> Result<(), Fault> {
        if self.kind != Kind::Batch {
            return Ok(());
        }
        let Ok(top) = Top::read(batch) else {
            return Ok(());
        };
        for field in ["output_file_id", "error_file_id"] {
            let id: Option<String> = top.get(field);
            if let Some(id) = id.filter(|id| is_id(id)) {
                let noted = self.note(Kind::File, (&id, key)).await;
                noted.map_err(uncounted)?;
            }
        }
        Ok(())
    }
}
