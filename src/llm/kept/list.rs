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
use crate::store::provider_objects::ProviderObjectRow;

/// Of a list: how many there are on a page, at most and where nobody says, and how many are asked for at once.
const PAGE_MAX: usize = 100;
const PAGE: usize = 20;
const ASKED_AT_ONCE: usize = 8;
/// How many pages are read for one that has anything on it.
const PAGES_MAX: usize = 5;

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

/// What was read of a list.
#[derive(Default)]
struct Page {
    objects: Vec<Value>,
    /// What the provider does not find, by its ids.
    not_found: Vec<String>,
    /// From where it goes on, if there is more.
    last: Option<ProviderObjectRow>,
    has_more: bool,
}

impl Work {
    /// What is the caller's, the newest first. What the provider does not find is only named. Where that leaves nothing,
    /// more is read, so that nobody takes it for the end.
    pub(super) async fn list(
        &self,
        query: &ListQuery,
        account: &mut Account,
    ) -> Result<Bytes, Fault> {
        if query.order.as_deref().is_some_and(|order| order != "desc") {
            return Err(Fault::invalid("order", "the newest come first: `desc`"));
        }
        let mut page = Page::default();
        if let Some(after) = &query.after {
            let row = self.cx.store.provider_object(self.place(self.kind), after);
            let row = row.await.map_err(uncounted)?;
            page.last = Some(row.ok_or_else(|| missing(self.kind, after))?);
        }
        account.asking(&self.provider, "*");
        for _ in 0..PAGES_MAX {
            self.read_more(&mut page, query, account).await?;
            if !page.objects.is_empty() || !page.has_more {
                break;
            }
        }
        account.came_of_it(None);
        let mut said = json!({
            "object": "list",
            "first_id": page.objects.first().map(|one| one["id"].clone()),
            // From where the next page goes on, also where some of this one are left out.
            "last_id": page.last.map(|row| row.object),
            "has_more": page.has_more,
            "data": page.objects,
        });
        if !page.not_found.is_empty() {
            said["not_found"] = page.not_found.into();
        }
        Ok(said.to_string().into())
    }

    /// Reads what comes after the last that was read.
    async fn read_more(
        &self,
        page: &mut Page,
        query: &ListQuery,
        account: &mut Account,
    ) -> Result<(), Fault> {
        let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
        let last = page.last.as_ref();
        let from = last.map_or((i64::MAX, ""), |row| (row.created_at, &*row.object));
        let read = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let rows = self
            .cx
            .store
            .provider_objects_before(self.place(self.kind), from, read);
        let mut rows = rows.await.map_err(uncounted)?;
        page.has_more = rows.len() > limit;
        rows.truncate(limit);
        let mut asked = Vec::with_capacity(rows.len());
        for row in &rows {
            asked.push(self.read_one(row.object.clone(), row.provider_key_id));
        }
        let read: Vec<Option<Value>> = stream::iter(asked)
            .buffered(ASKED_AT_ONCE)
            .try_collect()
            .await
            .inspect_err(|fault: &Fault| account.came_of_it(Some(fault.class)))?;
        for (row, object) in rows.iter().zip(read) {
            let purpose = query.purpose.as_ref();
            match object {
                None => page.not_found.push(row.object.clone()),
                Some(object) if purpose.is_none_or(|purpose| object["purpose"] == **purpose) => {
                    page.objects.push(object);
                }
                Some(_) => {}
            }
        }
        page.last = rows.pop();
        Ok(())
    }

    /// One of a list; `None`: its provider does not find it.
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
