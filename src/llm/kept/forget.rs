//! What is somebody's no more: what they delete, and nothing else. A provider that does not find something may be led
//! elsewhere for now, or have no such path.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use crate::llm::account::Account;
use crate::llm::exchange::of_egress;
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::kept::{Done, Kind, OBJECT_BYTES_MAX, Work, uncounted};
use crate::llm::splice::Top;
use crate::llm::through::Passing;

/// What a batch is that still writes files.
const UNDER_WAY: [&str; 4] = ["validating", "in_progress", "finalizing", "cancelling"];

/// Whether a provider says that something is not there.
pub(super) fn is_gone(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

impl Work {
    async fn forget(&self, id: &str) -> Result<(), Fault> {
        let place = self.place(self.kind);
        let forgotten = self.cx.store.forget_provider_object(place, id);
        forgotten.await.map_err(uncounted).map(|_| ())
    }

    /// Ends that something is the caller's, whatever its provider still knows of it.
    pub(super) async fn delete(&self, id: &str, account: &mut Account) -> Result<Done, Fault> {
        let kept = match self.kind {
            Kind::File => self.delete_file(id, account).await?,
            Kind::Batch => self.end_batch(id, account).await?,
        };
        if let Some(passing) = kept {
            return Ok(Done::passing(passing));
        }
        self.forget(id).await?;
        let said = json!({ "id": id, "object": self.kind.name(), "deleted": true });
        Ok(Done::Object(said.to_string().into()))
    }

    /// Deletes what is nobody else's; otherwise it is only forgotten here. What came instead, where it is still there.
    async fn delete_file(&self, id: &str, account: &mut Account) -> Result<Option<Passing>, Fault> {
        let asking = self.asking(Method::DELETE, (id, "")).await?;
        let shared = self
            .cx
            .store
            .is_provider_object_shared(self.place(self.kind), id);
        if shared.await.map_err(uncounted)? {
            return Ok(None);
        }
        let passing = self.send(asking, account).await?;
        if is_gone(passing.opened.status) {
            return Ok(None);
        }
        if !passing.opened.status.is_success() {
            return Ok(Some(passing));
        }
        read(passing).await.map(|_| None)
    }

    /// A batch has no end at its provider; here it has one, once all that it writes is known.
    async fn end_batch(&self, id: &str, account: &mut Account) -> Result<Option<Passing>, Fault> {
        let asking = self.asking(Method::GET, (id, "")).await?;
        let key = asking.key;
        let passing = self.send(asking, account).await?;
        if is_gone(passing.opened.status) {
            return Ok(None);
        }
        if !passing.opened.status.is_success() {
            return Ok(Some(passing));
        }
        let said = read(passing).await?;
        let status: Option<String> = Top::read(&said).ok().and_then(|top| top.get("status"));
        if let Some(status) = status.filter(|status| UNDER_WAY.contains(&status.as_str())) {
            let text = format!("this batch is still {status}: cancel it first");
            return Err(Fault::new(FaultClass::Invalid, text));
        }
        self.note_results((&said, key)).await?;
        Ok(None)
    }
}

async fn read(passing: Passing) -> Result<Bytes, Fault> {
    let said = passing.whole(OBJECT_BYTES_MAX).await;
    said.map_err(|error| of_egress(&error))
}
