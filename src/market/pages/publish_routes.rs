//! The form that makes a server of a document.

use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::{Multipart, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use crate::access::person::Person;
use crate::extract::{Upload, Visitor};
use crate::market::api::Market;
use crate::market::api::servers::{self, Begun, NewServer};
use crate::market::language::Language;
use crate::market::pages::failure::Refusal;
use crate::market::pages::page;
use crate::market::pages::publish::{Publish, PublishValues};
use crate::market::pages::routes::{Fields, failure, frame, reader, to, writer};
use crate::market::pages::settings::sentence;
use crate::problem::{Problem, ProblemKind};
use crate::types::Slug;

/// How much of a document that was refused is shown again in its field.
const DOCUMENT_AGAIN_BYTES_MAX: usize = 256 << 10;

pub(super) async fn show(State(market): State<Market>, headers: Visitor) -> Response {
    match reader(&headers, "/publish") {
        Ok(_) => publish_page(&market, &headers, None, PublishValues::default()),
        Err(response) => *response,
    }
}

fn publish_page(
    market: &Market,
    headers: &Visitor,
    refused: Option<&Refusal>,
    values: PublishValues,
) -> Response {
    let status = refused.map_or(StatusCode::OK, Refusal::status);
    let frame = frame(market, headers, "publish");
    let template = Publish {
        error: refused.map(|it| it.said(frame.language)),
        frame,
        values,
        size_max: size_max(market),
    };
    page(status, &template)
}

pub(super) async fn publish(
    State(market): State<Market>,
    headers: Visitor,
    form: Result<Multipart, MultipartRejection>,
) -> Response {
    let (person, form, files) = match submitted(&market, &headers, form).await {
        Ok(read) => read,
        Err(response) => return *response,
    };
    match begin(&market, (&person, Language::of(&headers)), &form, files).await {
        Ok(Begun::Done(published)) if published.created => {
            to(&format!("/servers/{}/review", published.slug))
        }
        Ok(Begun::Done(published)) => to(&format!("/servers/{}?done=published", published.slug)),
        Ok(Begun::Running(id)) => to(&format!("/imports/{id}")),
        Err(refusal) => publish_page(&market, &headers, Some(&refusal), values(&form)),
    }
}

/// A form with perhaps a file, from somebody who is signed in. Nobody's upload is read before that
/// is known.
pub(super) async fn submitted(
    market: &Market,
    headers: &Visitor,
    form: Result<Multipart, MultipartRejection>,
) -> Result<(Person, Fields, Files), Box<Response>> {
    reader(headers, "/")?;
    let wrong = |status: StatusCode, detail: String| {
        if status != StatusCode::PAYLOAD_TOO_LARGE {
            return Box::new(failure(market, headers, status, sentence(&detail).as_str()));
        }
        let said = Language::of(headers).say("upload-too-large");
        let said = said.with("size", size_max(market));
        Box::new(failure(market, headers, status, said))
    };
    let form = form.map_err(|rejection| wrong(rejection.status(), rejection.body_text()))?;
    let read = fields(form).await;
    let (form, files) = read.map_err(|error| wrong(error.status(), error.body_text()))?;
    let person = writer(market, headers, form.get("csrf").map(String::as_str))?;
    Ok((person, form, files))
}

/// Name and content of each file.
pub(super) type Files = Vec<(String, Bytes)>;

/// Text by name, and the files.
async fn fields(mut form: Multipart) -> Result<(Fields, Files), MultipartError> {
    let (mut fields, mut files) = (Fields::new(), Files::new());
    while let Some(field) = form.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        let path = field.file_name().unwrap_or_default().to_owned();
        let bytes = field.bytes().await?;
        if name == "file" {
            files.extend((!bytes.is_empty()).then_some((path, bytes)));
        } else {
            fields.insert(name, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok((fields, files))
}

/// What was entered in a field, unless that is nothing.
pub(super) fn text<'f>(form: &'f Fields, name: &str) -> Option<&'f str> {
    form.get(name)
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
}

/// What was entered, to be shown again.
pub(super) fn values(form: &Fields) -> PublishValues {
    let again = |name: &str| text(form, name).unwrap_or_default().to_owned();
    let short = text(form, "document").filter(|text| text.len() <= DOCUMENT_AGAIN_BYTES_MAX);
    PublishValues {
        url: again("url"),
        document: short.unwrap_or_default().to_owned(),
        slug: again("slug"),
        upstream: again("upstream"),
        allow: again("allow"),
    }
}

async fn begin(
    market: &Market,
    (person, language): (&Person, Language),
    form: &Fields,
    files: Files,
) -> Result<Begun, Refusal> {
    if let Some(slug) = text(form, "slug") {
        let name = slug
            .parse::<Slug>()
            .map_err(|error| Problem::new(ProblemKind::Invalid, format!("`slug`: {error}")))?;
        if let Some(taken) = taken(market, person, &name).await? {
            let said = language.say(taken).with("slug", slug);
            return Err(Refusal::Page(StatusCode::CONFLICT, said.into()));
        }
    }
    let rules = text(form, "allow")
        .unwrap_or_default()
        .split(['\n', ','])
        .map(str::trim);
    let rules: Vec<&str> = rules.filter(|rule| !rule.is_empty()).collect();
    let body = json!({
        "slug": text(form, "slug"), "document": text(form, "document"), "url": text(form, "url"),
        "upstream": text(form, "upstream"), "allowUpstream": rules,
        "draft": true,
    });
    let fields: NewServer = serde_json::from_value(body)
        .map_err(|error| Problem::new(ProblemKind::Invalid, error.to_string()))?;
    Ok(servers::begin(market, person, Upload { fields, files }).await?)
}

/// What is said of a name that a new server cannot have. Of one that is not theirs to manage that is the same, whether
/// there is a server of that name, was one, or is one they may not see.
async fn taken(
    market: &Market,
    person: &Person,
    name: &Slug,
) -> Result<Option<&'static str>, Problem> {
    // The API takes this for a new version; who fills in this form means a new server.
    if servers::owned(market, person, name.as_str()).is_ok() {
        return Ok(Some("publish-taken"));
    }
    let is_taken = market.0.parts.publisher.store.is_taken(name).await?;
    Ok(is_taken.then_some("publish-taken-name"))
}

/// How large a document may be, for people.
pub(super) fn size_max(market: &Market) -> String {
    format!("{} MB", market.0.parts.document_bytes_max >> 20)
}
