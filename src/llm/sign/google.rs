//! Tokens for a Google service account (<https://developers.google.com/identity/protocols/oauth2/service-account>):
//! its key signs an assertion, which is exchanged for a token that lasts an hour. Says what to send and reads what
//! comes back; sending, and keeping a token until it expires, are somebody else's.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::llm::fault::{Fault, FaultClass};
use crate::types::UpstreamRequest;

/// Vertex AI, and everything else that the account may do.
pub const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where assertions go unless an admin says otherwise.
pub const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// Google accepts no longer ones.
const ASSERTION_SECONDS: i64 = 3600;
/// A clock that is a little ahead of Google's is no reason to be refused.
const CLOCK_SKEW_SECONDS: i64 = 10;
/// What is told of an answer that is no JSON.
const SHOWN_CHARS_MAX: usize = 200;

/// The key file of a service account, read.
#[derive(Debug)]
pub struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    key: RsaKeyPair,
    token_url: Url,
    /// In which the account was made.
    project: Option<String>,
}

/// What proves the account to Google's APIs, as `Authorization: Bearer`.
#[derive(Clone, Debug)]
pub struct AccessToken {
    pub token: SecretString,
    pub expires: DateTime<Utc>,
}

/// The fields of a key file that matter.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: String,
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    project_id: Option<String>,
}

impl ServiceAccount {
    /// Reads a key file as Google hands it out. Its assertions go to `token_url`, which an admin said or which is
    /// [`TOKEN_URL`]: where the file names another address, it is refused.
    ///
    /// # Errors
    /// Says what is wrong with it, without any of it.
    pub fn parse(file: &SecretString, token_url: &str) -> Result<Self, Fault> {
        let file: KeyFile = serde_json::from_str(file.expose_secret()).map_err(|error| {
            // The error would repeat a value of a wrong kind.
            let place = format!("line {}, column {}", error.line(), error.column());
            unfit(format!("it is no key file in JSON ({place})"))
        })?;
        if file.kind != "service_account" {
            return Err(unfit("its `type` is not `service_account`"));
        }
        let private_key = SecretString::from(file.private_key);
        let key = pem(private_key.expose_secret())
            .and_then(|key| RsaKeyPair::from_pkcs8(&key).ok())
            .ok_or_else(|| unfit("its `private_key` is no RSA key in PEM (PKCS #8)"))?;
        let allowed = Url::parse(token_url).ok();
        let allowed = allowed.filter(|url| matches!(url.scheme(), "http" | "https"));
        let allowed = allowed.ok_or_else(|| {
            unfit("the provider's parameter `token_url` is no URL of http or https")
        })?;
        let named = file.token_uri.as_deref().map(Url::parse);
        if named.is_some_and(|named| named.as_ref() != Ok(&allowed)) {
            return Err(unfit(
                "its `token_uri` is not the address the provider's parameter `token_url` names, which is Google's own \
                 where nobody changes it; an admin has to allow another one there",
            ));
        }
        Ok(Self {
            email: file.client_email,
            key_id: file.private_key_id,
            key,
            token_url: allowed,
            project: file.project_id,
        })
    }

    pub fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// What to send for a token of this scope.
    ///
    /// # Errors
    /// Where the key cannot sign.
    pub fn token_request(&self, scope: &str, now: DateTime<Utc>) -> Result<UpstreamRequest, Fault> {
        let assertion = self.assertion(scope, now)?;
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", &assertion)
            .finish();
        let mut headers = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(UpstreamRequest {
            method: Method::POST,
            url: self.token_url.clone(),
            headers,
            body: Bytes::from(body),
        })
    }

    /// A JWT, signed with RS256.
    fn assertion(&self, scope: &str, now: DateTime<Utc>) -> Result<String, Fault> {
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let (Some(id), Some(header)) = (&self.key_id, header.as_object_mut()) {
            header.insert("kid".to_owned(), id.as_str().into());
        }
        let issued = now.timestamp().saturating_sub(CLOCK_SKEW_SECONDS);
        let claims = json!({
            "iss": self.email,
            "scope": scope,
            "aud": self.token_url.as_str(),
            "iat": issued,
            "exp": issued.saturating_add(ASSERTION_SECONDS),
        });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| unfit("its `private_key` cannot sign"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Google's answer to a request for a token.
///
/// # Errors
/// Google's words where it refused, or what cannot be understood.
pub fn read_token(status: u16, body: &[u8], now: DateTime<Utc>) -> Result<AccessToken, Fault> {
    #[derive(Deserialize)]
    struct Token {
        access_token: String,
        expires_in: i64,
    }
    if !(200..300).contains(&status) {
        return Err(refused(status, body));
    }
    let token: Token = serde_json::from_slice(body).map_err(|_| {
        let text = "Google's answer to the request for a token holds no token";
        Fault::new(FaultClass::Upstream, text)
    })?;
    let lasts = TimeDelta::try_seconds(token.expires_in.max(0)).unwrap_or_default();
    Ok(AccessToken {
        token: token.access_token.into(),
        expires: now.checked_add_signed(lasts).unwrap_or(now),
    })
}

/// `{"error": "invalid_grant", "error_description": "..."}` (RFC 6749, section 5.2).
fn refused(status: u16, body: &[u8]) -> Fault {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    let shown = text("error_description").or_else(|| text("error"));
    let shown: String = shown
        .unwrap_or_default()
        .chars()
        .take(SHOWN_CHARS_MAX)
        .collect();
    let class = match FaultClass::of_status(status) {
        FaultClass::Invalid | FaultClass::Forbidden => FaultClass::Unauthenticated,
        class => class,
    };
    let message =
        format!("Google gave no token for the service account (status {status}): {shown}");
    Fault {
        code: text("error").map(str::to_owned),
        ..Fault::new(class, message.trim_end_matches(": "))
    }
}

/// The bytes of a PEM of PKCS #8.
fn pem(text: &str) -> Option<Vec<u8>> {
    let (_, text) = text.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (text, _) = text.split_once("-----END PRIVATE KEY-----")?;
    let text: String = text.split_whitespace().collect();
    STANDARD.decode(text).ok()
}

fn unfit(why: impl AsRef<str>) -> Fault {
    let why = why.as_ref();
    let text =
        format!("the provider's service account cannot be used: {why}; enter its key file again");
    Fault::new(FaultClass::Unauthenticated, text)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-26T12:00:00Z".parse().expect("a time")
    }

    /// A key file with a fresh key.
    fn file(change: impl FnOnce(&mut Value)) -> SecretString {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let key: aws_lc_rs::encoding::Pkcs8V1Der = key.as_der().expect("DER");
        let lines = STANDARD.encode(key.as_ref());
        let lines: Vec<&str> = lines
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).expect("base64"))
            .collect();
        let mut file = json!({
            "type": "service_account",
            "project_id": "a-project",
            "private_key_id": "0123abcd",
            "private_key": format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                lines.join("\n")
            ),
            "client_email": "gateway@a-project.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
        });
        change(&mut file);
        file.to_string().into()
    }

    #[test]
    fn an_assertion_is_signed_by_the_accounts_key() {
        let account = ServiceAccount::parse(&file(|_| {}), TOKEN_URL).expect("a key file");
        assert_eq!(account.project(), Some("a-project"));
        let request = account.token_request(SCOPE, now()).expect("a request");
        assert_eq!(request.url.as_str(), TOKEN_URL);
        let body: Vec<(String, String)> = url::form_urlencoded::parse(&request.body)
            .into_owned()
            .collect();
        assert_eq!(body[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let (signed, signature) = body[1].1.rsplit_once('.').expect("three parts");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
        let public = UnparsedPublicKey::new(
            &RSA_PKCS1_2048_8192_SHA256,
            account.key.public_key().as_ref().to_vec(),
        );
        public
            .verify(signed.as_bytes(), &signature)
            .expect("the account's signature");
        let parts: Vec<Value> = signed
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64"))
            .map(|part| serde_json::from_slice(&part).expect("JSON"))
            .collect();
        assert_eq!(
            parts[0],
            json!({"alg": "RS256", "typ": "JWT", "kid": "0123abcd"})
        );
        let issued = now().timestamp() - 10;
        let claims = json!({
            "iss": "gateway@a-project.iam.gserviceaccount.com", "scope": SCOPE, "aud": TOKEN_URL,
            "iat": issued, "exp": issued + 3600,
        });
        assert_eq!(parts[1], claims);
    }

    #[test]
    fn an_unfit_key_file_is_named_and_never_shown() {
        let cases = [
            ("type", json!("authorized_user"), "`type`"),
            ("private_key", json!("hunter2"), "`private_key`"),
            ("private_key", json!(["hunter2"]), "no key file"),
            ("token_uri", json!("http://hunter2"), "`token_uri`"),
            (
                "token_uri",
                json!("https://oauth2.googleapis.com.hunter2/token"),
                "`token_uri`",
            ),
            (
                "token_uri",
                json!("https://oauth2.googleapis.com/token?hunter2"),
                "`token_uri`",
            ),
        ];
        for (field, value, said) in cases {
            let file = file(|file| file[field] = value);
            let fault = ServiceAccount::parse(&file, TOKEN_URL).expect_err(said);
            assert_eq!(fault.class, FaultClass::Unauthenticated);
            assert!(fault.message.contains(said), "{fault}");
            assert!(!fault.message.contains("hunter2"), "{fault}");
        }
    }

    #[test]
    fn an_assertion_goes_only_where_an_admin_lets_it() {
        let elsewhere = "https://sts.example.com/token";
        let named = file(|file| file["token_uri"] = elsewhere.into());
        assert!(ServiceAccount::parse(&named, TOKEN_URL).is_err());
        let account = ServiceAccount::parse(&named, elsewhere).expect("allowed");
        let request = account.token_request(SCOPE, now()).expect("a request");
        assert_eq!(request.url.as_str(), elsewhere);
        // Where the admin names another address than the file, neither is asked.
        assert!(ServiceAccount::parse(&file(|_| {}), elsewhere).is_err());
        let silent = file(|file| file["token_uri"] = Value::Null);
        let account = ServiceAccount::parse(&silent, TOKEN_URL).expect("the usual address");
        let request = account.token_request(SCOPE, now()).expect("a request");
        assert_eq!(request.url.as_str(), TOKEN_URL);
        assert!(ServiceAccount::parse(&silent, "ftp://example.com").is_err());
    }

    #[test]
    fn a_token_is_read_with_its_end() {
        let body =
            br#"{"access_token": "ya29.secret", "expires_in": 3599, "token_type": "Bearer"}"#;
        let token = read_token(200, body, now()).expect("a token");
        assert_eq!(token.token.expose_secret(), "ya29.secret");
        assert_eq!(token.expires, now() + TimeDelta::seconds(3599));
        assert!(!format!("{token:?}").contains("secret\""));
        let body = br#"{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}"#;
        let fault = read_token(400, body, now()).expect_err("refused");
        assert_eq!(fault.class, FaultClass::Unauthenticated);
        assert_eq!(fault.code.as_deref(), Some("invalid_grant"));
        assert!(
            fault
                .message
                .ends_with("(status 400): Invalid JWT Signature.")
        );
        let fault = read_token(503, b"<html>", now()).expect_err("down");
        assert_eq!(fault.class, FaultClass::Overloaded);
        assert!(read_token(200, b"{}", now()).is_err());
    }
}
