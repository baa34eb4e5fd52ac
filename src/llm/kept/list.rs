//! Lists of what callers keep at a provider: by whose it is here, and what it is there.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::llm::account::Account;
use crate::llm::exchange::of_egress;
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::kept::forget::is_gone;
use crate::llm::kept::{Asking, OBJECT_BYTES_MAX, Work, missing, uncounted};

/// Of a list: how many there are on a page, at most and where nobody says, and how many are asked for at once.
const PAGE_MAX: usize = 100;
const PAGE: usize = 20;
const ASKED_AT_ONCE: usize = 8;

/// What a list is asked for with.
#[derive(Debug, Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    pub after: Option<String>,
    #[serde(default)]
    pub limit: Option<usize>,
    #[serde(default)]
    pub purpose: Option<String>,
    #[serde(default)]
    pub order: Option<String>,
}

impl Work {
    /// What is the caller's, the newest first. What the provider does not know any more is left out, and forgotten
    /// where it was asked with the key that made it.
    pub(super) async fn list(
        &self,
        query: &ListQuery,
        account: &mut Account,
    ) -> Result<Bytes, Fault> {
        if query.order.as_deref().is_some_and(|order| order != "desc") {
            return Err(Fault::invalid("order", "the newest come first: `desc`"));
        }
        let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
        let (store, place) = (&self.cx.store, self.place(self.kind));
        let from = match &query.after {
            None => (i64::MAX, String::new()),
            Some(after) => {
                let row = store.provider_object(place, after);
                let row = row.await.map_err(uncounted)?;
                let row = row.ok_or_else(|| missing(self.kind, after))?;
                (row.created_at, row.object)
            }
        };
        let read = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let rows = store.provider_objects_before(place, (from.0, &from.1), read);
        let mut rows = rows.await.map_err(uncounted)?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        account.asking(&self.provider, "*");
        let mut asked = Vec::with_capacity(rows.len());
        for row in &rows {
            asked.push(self.read_one(row.object.clone(), row.provider_key_id));
        }
        let read: Vec<Option<Value>> = stream::iter(asked)
            .buffered(ASKED_AT_ONCE)
            .try_collect()
            .await
            .inspect_err(|fault: &Fault| account.came_of_it(Some(fault.class)))?;
        account.came_of_it(None);
        let fits = |object: &Value| {
            let purpose = query.purpose.as_ref();
            purpose.is_none_or(|purpose| object["purpose"] == **purpose)
        };
        let data: Vec<Value> = read.into_iter().flatten().filter(fits).collect();
        let page = json!({
            "object": "list",
            "first_id": data.first().map(|one| one["id"].clone()),
            // From where the next page goes on, also where some of this one are left out.
            "last_id": rows.last().map(|row| &row.object),
            "has_more": has_more,
            "data": data,
        });
        Ok(page.to_string().into())
    }

    /// One of a list; `None`: it is gone.
    async fn read_one(&self, id: String, key: Option<Uuid>) -> Result<Option<Value>, Fault> {
        let asking = Asking {
            method: Method::GET,
            rest: format!("/{id}"),
            headers: HeaderMap::new(),
            body: None,
            key,
        };
        let request = self.request(&asking)?;
        let call = self.call(key, &request.url);
        let passing = call.ask(request).await?;
        let status = passing.opened.status.as_u16();
        self.forget_gone((&id, key), &passing).await?;
        if is_gone(passing.opened.status) {
            return Ok(None);
        }
        if !passing.opened.status.is_success() {
            let text = format!("{} answered with status {status}", self.provider.name);
            return Err(Fault::new(FaultClass::of_status(status), text));
        }
        let said = passing.whole(OBJECT_BYTES_MAX).await;
        let said = said.map_err(|error| of_egress(&error))?;
        self.note_results((&said, key)).await?;
        Ok(serde_json::from_slice(&said).ok())
    }
}
