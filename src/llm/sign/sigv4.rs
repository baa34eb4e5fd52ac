//! AWS Signature Version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>), in the header
//! `Authorization`. For every service but S3, whose paths are written differently.
//!
//! What goes in is a request as it will be sent; whoever changes its URL, its body or a signed header afterwards
//! makes the signature wrong.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, Tag, sign as authenticate};
use chrono::{DateTime, Utc};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::types::UpstreamRequest;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Unreserved characters stay, everything else is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Headers that the way to AWS may change.
const UNSIGNED: [&str; 10] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "expect",
    "te",
    "transfer-encoding",
    "user-agent",
    "x-amzn-trace-id",
    "traceparent",
];

/// Who asks.
#[derive(Clone, Debug)]
pub struct AwsCredentials {
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    /// Of temporary credentials.
    pub session_token: Option<SecretString>,
}

/// The request with the time, the token and the signature in its headers. A key or token that no header can hold is
/// left out, and AWS refuses the request.
pub fn sign(
    mut request: UpstreamRequest,
    credentials: &AwsCredentials,
    region: &str,
    service: &str,
    now: DateTime<Utc>,
) -> UpstreamRequest {
    let moment = Moment::of(now);
    put(&mut request.headers, DATE, &moment.second);
    request.headers.remove(TOKEN);
    if let Some(token) = &credentials.session_token {
        put(&mut request.headers, TOKEN, token.expose_secret());
    }
    let host = host(&request.url);
    let asked = Asked {
        method: request.method.as_str(),
        path: request.url.path(),
        query: request.url.query().unwrap_or_default(),
        host: &host,
        headers: &request.headers,
        body: &request.body,
    };
    let scope = Scope {
        moment: &moment,
        region,
        service,
    };
    let value = authorization(&asked, &scope, credentials);
    put(&mut request.headers, AUTHORIZATION, &value);
    request
}

/// A secret value never shows where headers are printed.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(mut value) => {
            value.set_sensitive(name != DATE);
            headers.insert(name, value);
        }
        Err(_) => {
            headers.remove(name);
        }
    }
}

/// As the header `Host` will say it.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The parts of a request that are signed.
struct Asked<'a> {
    method: &'a str,
    /// As it is sent.
    path: &'a str,
    query: &'a str,
    host: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// When it is signed: `20150830T123600Z`, and the day of it.
struct Moment {
    second: String,
    day: String,
}

/// For what a signature holds.
struct Scope<'a> {
    moment: &'a Moment,
    region: &'a str,
    service: &'a str,
}

impl Moment {
    fn of(now: DateTime<Utc>) -> Self {
        Self {
            second: now.format("%Y%m%dT%H%M%SZ").to_string(),
            day: now.format("%Y%m%d").to_string(),
        }
    }
}

impl Scope<'_> {
    fn text(&self) -> String {
        let Self {
            moment,
            region,
            service,
        } = self;
        format!("{}/{region}/{service}/aws4_request", moment.day)
    }

    /// A key that is good for this day, region and service only.
    fn key(&self, secret: &SecretString) -> Tag {
        let secret = format!("AWS4{}", secret.expose_secret());
        let steps = [self.region, self.service, "aws4_request"];
        let first = mac(secret.as_bytes(), &self.moment.day);
        steps
            .into_iter()
            .fold(first, |key, step| mac(key.as_ref(), step))
    }
}

fn mac(key: &[u8], text: &str) -> Tag {
    authenticate(&Key::new(HMAC_SHA256, key), text.as_bytes())
}

fn authorization(asked: &Asked, scope: &Scope, credentials: &AwsCredentials) -> String {
    let (canonical, names) = canonical(asked);
    let key = scope.key(&credentials.secret_access_key);
    let signature = hex::encode(mac(key.as_ref(), &string_to_sign(&canonical, scope)));
    let (id, scope) = (&credentials.access_key_id, scope.text());
    format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
}

fn string_to_sign(canonical: &str, scope: &Scope) -> String {
    let (second, scope) = (&scope.moment.second, scope.text());
    format!(
        "{ALGORITHM}\n{second}\n{scope}\n{}",
        hash(canonical.as_bytes())
    )
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

/// The request in the one form that both sides compute, and the names of the headers in it.
fn canonical(asked: &Asked) -> (String, String) {
    let mut headers: Vec<(&str, String)> = asked
        .headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| !UNSIGNED.contains(name) && *name != HOST.as_str())
        .map(|name| (name, values(asked.headers, name)))
        .collect();
    headers.push((HOST.as_str(), asked.host.to_owned()));
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let headers: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}"))
        .collect();
    let headers = headers.join("\n");
    let (path, query) = (path(asked.path), query(asked.query));
    let (method, body) = (asked.method, hash(asked.body));
    let text = format!("{method}\n{path}\n{query}\n{headers}\n\n{names}\n{body}");
    (text, names)
}

/// All values of a header in their order, runs of spaces made one.
fn values(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter();
    let values = values.map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    });
    values.collect::<Vec<_>>().join(",")
}

/// Without empty segments and dots, each segment encoded once more than it is sent: `%3A` becomes `%253A`.
fn path(sent: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in sent.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let segments: Vec<String> = segments
        .into_iter()
        .map(|segment| percent_encode(segment.as_bytes(), ENCODED).to_string())
        .collect();
    let ends = if sent.ends_with('/') && !segments.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{ends}", segments.join("/"))
}

/// Each name and value encoded exactly once, in their order.
fn query(sent: &str) -> String {
    let encoded = |text: &str| {
        let bytes: Vec<u8> = percent_decode_str(text).collect();
        percent_encode(&bytes, ENCODED).to_string()
    };
    let pairs = sent.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    pairs.sort_unstable();
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;
    use serde_json::Value;

    use super::*;

    const REGION: &str = "us-east-1";

    fn credentials(token: Option<&str>) -> AwsCredentials {
        AwsCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: token.map(Into::into),
        }
    }

    fn noon() -> DateTime<Utc> {
        "2015-08-30T12:36:00Z".parse().expect("a time")
    }

    /// A request of the test suite: method, path, query, headers, body.
    fn parsed(text: &str) -> (String, String, String, HeaderMap, String) {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let first = lines.next().expect("a first line");
        let (method, target) = first.split_once(' ').expect("a method");
        let target = target.strip_suffix(" HTTP/1.1").expect("a version");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (mut headers, mut name) = (HeaderMap::new(), String::new());
        for line in lines {
            let value = if line.starts_with(' ') {
                line
            } else {
                let (field, value) = line.split_once(':').expect("a header");
                field.clone_into(&mut name);
                value
            };
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, value.trim().parse().expect("a value"));
        }
        let [method, path, query, body] = [method, path, query, body].map(str::to_owned);
        (method, path, query, headers, body)
    }

    #[test]
    fn the_test_suite_of_aws_is_signed_as_it_says() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/llm/signing/sigv4.json"
        );
        let file: Value = serde_json::from_str(&std::fs::read_to_string(file).expect(file))
            .expect("the test suite");
        let vectors = file["vectors"].as_object().expect("vectors");
        assert_eq!(vectors.len(), 30);
        let moment = Moment::of(noon());
        let scope = Scope {
            moment: &moment,
            region: REGION,
            service: "service",
        };
        for (name, vector) in vectors {
            let (method, path, query, headers, body) = parsed(vector["req"].as_str().expect(name));
            let asked = Asked {
                method: &method,
                path: &path,
                query: &query,
                host: "example.amazonaws.com",
                headers: &headers,
                body: body.as_bytes(),
            };
            let (text, _) = canonical(&asked);
            assert_eq!(text, vector["creq"], "{name}");
            assert_eq!(string_to_sign(&text, &scope), vector["sts"], "{name}");
            let signed = authorization(&asked, &scope, &credentials(None));
            assert_eq!(signed, vector["authz"], "{name}");
            through_a_url(name, vector, (method, path, query, headers, body));
        }
    }

    /// The same through a whole request, where a URL sends the path as the test suite writes it.
    fn through_a_url(
        name: &str,
        vector: &Value,
        (method, path, query, mut headers, body): (String, String, String, HeaderMap, String),
    ) {
        let url = format!("https://example.amazonaws.com{path}?{query}");
        let url: Url = url.parse().expect(name);
        if url.path() != path && !path.contains("..") && !path.contains("/.") {
            return;
        }
        let token = headers.remove(TOKEN);
        let token = token.as_ref().map(|token| token.to_str().expect(name));
        headers.remove(HOST);
        headers.remove(DATE);
        let request = UpstreamRequest {
            method: Method::from_bytes(method.as_bytes()).expect(name),
            url,
            headers,
            body: Bytes::from(body),
        };
        let signed = sign(request, &credentials(token), REGION, "service", noon());
        assert_eq!(
            signed.headers[AUTHORIZATION],
            vector["authz"].as_str().expect(name)
        );
        assert!(signed.headers[AUTHORIZATION].is_sensitive());
        assert_eq!(signed.headers[DATE], "20150830T123600Z");
    }

    /// What botocore 1.44 computes for the same requests; it writes the colon of a model's id as `%3A`.
    #[test]
    fn models_of_bedrock_have_a_colon_in_their_path() {
        let signed = |model: &str| {
            let url =
                format!("https://bedrock-runtime.us-east-1.amazonaws.com/model/{model}/converse");
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static("application/json"));
            headers.insert("user-agent", HeaderValue::from_static("causeway"));
            headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer of another"));
            let request = UpstreamRequest {
                method: Method::POST,
                url: url.parse().expect("a URL"),
                headers,
                body: Bytes::from_static(b"{}"),
            };
            let signed = sign(
                request,
                &credentials(Some("token")),
                REGION,
                "bedrock",
                noon(),
            );
            let value = signed.headers[AUTHORIZATION]
                .to_str()
                .expect("text")
                .to_owned();
            assert_eq!(signed.headers.get_all(AUTHORIZATION).iter().count(), 1);
            assert!(
                value.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,")
            );
            value.rsplit_once('=').expect("a signature").1.to_owned()
        };
        assert_eq!(
            signed("anthropic.claude-sonnet-4-20250514-v1%3A0"),
            "d0101e4414c5bf8d0aa5b14b077fe44bbe93fa5e77a340baa448dcd67c0fb5ec"
        );
        assert_eq!(
            signed("anthropic.claude-sonnet-4-20250514-v1:0"),
            "5aa3f482dbd7421558fdc5e3e8d200b7832f8c537afd1810bbae29921b0fdb69"
        );
        assert_eq!(path("/model/a%3A0/converse"), "/model/a%253A0/converse");
    }
}
