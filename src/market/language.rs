//! The texts of pages, in the languages people read them in.
//!
//! `locales/*.ftl` hold every message (Project Fluent, which knows each language's plurals). A message
//! is trusted HTML: it may hold a `<code>` or a link. Its arguments are not, and are escaped.

use std::fmt;
use std::sync::LazyLock;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use http::header::{ACCEPT_LANGUAGE, COOKIE, REFERER, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use unic_langid::{LanguageIdentifier, langid};
use url::Url;

use crate::market::api::Market;
use crate::market::pages::login::next_path;
use crate::market::pages::routes::Fields;

/// A language the pages are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

type Bundle = FluentBundle<FluentResource>;

static ENGLISH: LazyLock<Bundle> =
    LazyLock::new(|| bundle(langid!("en"), include_str!("../../locales/en.ftl")));
static CHINESE: LazyLock<Bundle> =
    LazyLock::new(|| bundle(langid!("zh-CN"), include_str!("../../locales/zh-CN.ftl")));

/// What the cookie of somebody's choice is called.
const COOKIE_NAME: &str = "causeway-language";
const COOKIE_SECONDS: u32 = 365 * 24 * 3600;

impl Language {
    /// Every language, as its tag (BCP 47) and what it calls itself.
    pub const ALL: [(Language, &'static str, &'static str); 2] = [
        (Language::English, "en", "English"),
        (Language::Chinese, "zh-CN", "简体中文"),
    ];

    /// The language somebody chose, or else the one their browser prefers.
    pub fn of(headers: &HeaderMap) -> Self {
        chosen(headers).unwrap_or_else(|| preferred(headers))
    }

    /// Its tag, for `lang` attributes.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// What stands between the parts of a list.
    pub fn comma(self) -> &'static str {
        match self {
            Self::English => ", ",
            Self::Chinese => "、",
        }
    }

    /// Texts as code, one after the other as the language sets them apart.
    pub fn codes(self, texts: &[String]) -> Html {
        let codes = texts.iter().map(|text| {
            let text = Html::from(text.as_str());
            format!("<code>{text}</code>")
        });
        let codes: Vec<String> = codes.collect();
        Html(codes.join(self.comma()))
    }

    /// A message without markup, as plain text: nothing in it is escaped.
    pub fn plain(self, key: &str, arguments: &[(&'static str, String)]) -> String {
        let mut values = FluentArgs::new();
        for (name, value) in arguments {
            values.set(*name, value.as_str());
        }
        let bundle = self.bundle();
        let pattern = bundle.get_message(key).and_then(|it| it.value());
        pattern.map_or_else(
            || key.to_owned(),
            |pattern| {
                let text = bundle.format_pattern(pattern, Some(&values), &mut Vec::new());
                text.into_owned()
            },
        )
    }

    /// A message by its key. One that is missing shows as its key; a test finds those.
    pub fn say(self, key: &str) -> Said<'_> {
        Said {
            language: self,
            key,
            arguments: FluentArgs::new(),
        }
    }

    fn of_tag(tag: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, name, _)| *name == tag).map(|(it, ..)| it)
    }

    fn bundle(self) -> &'static Bundle {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }
}

/// A message with its arguments, as HTML when it is shown.
pub struct Said<'a> {
    language: Language,
    key: &'a str,
    arguments: FluentArgs<'a>,
}

impl<'a> Said<'a> {
    /// With an argument: a number, which the message's plural forms see, or a text, which is escaped.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: impl Argument) -> Self {
        self.arguments.set(name, value.value());
        self
    }
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bundle = self.language.bundle();
        let pattern = bundle.get_message(self.key).and_then(|it| it.value());
        let Some(pattern) = pattern else {
            return f.write_str(self.key);
        };
        let mut errors = Vec::new();
        f.write_str(&bundle.format_pattern(pattern, Some(&self.arguments), &mut errors))
    }
}

impl askama::filters::HtmlSafe for Said<'_> {}

impl From<Said<'_>> for Html {
    fn from(said: Said<'_>) -> Self {
        Self(said.to_string())
    }
}

/// A text that is HTML: a message, or what was escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// What is HTML already, by whoever vouches for it.
    pub(crate) fn trusted(html: String) -> Self {
        Self(html)
    }

    /// A text of ours that sets code apart by backticks, as findings and problems do: escaped, with the code as code.
    pub fn with_code(text: &str) -> Self {
        let Self(escaped) = text.into();
        let (mut html, mut rest) = (String::with_capacity(escaped.len() + 64), escaped.as_str());
        let next = |text: &'_ str| -> Option<[usize; 2]> {
            let begin = text.find('`')?;
            let length = text[begin + 1..].find('`')?;
            Some([begin, begin + 1 + length])
        };
        while let Some([begin, end]) = next(rest) {
            html.push_str(&rest[..begin]);
            html.push_str("<code>");
            html.push_str(&rest[begin + 1..end]);
            html.push_str("</code>");
            rest = &rest[end + 1..];
        }
        html.push_str(rest);
        Self(html)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Html {
    /// Escapes the text.
    fn from(text: &str) -> Self {
        let escaped = askama::filters::escape(text, askama::filters::Html);
        Self(escaped.map_or_else(|never| match never {}, |it| it.to_string()))
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

/// What can stand in a message.
pub trait Argument {
    /// The value, its text escaped for HTML.
    fn value(&self) -> FluentValue<'static>;
}

impl Argument for str {
    fn value(&self) -> FluentValue<'static> {
        FluentValue::from(Html::from(self).0)
    }
}

impl Argument for Html {
    fn value(&self) -> FluentValue<'static> {
        FluentValue::from(self.0.clone())
    }
}

impl Argument for String {
    fn value(&self) -> FluentValue<'static> {
        self.as_str().value()
    }
}

impl Argument for Said<'_> {
    fn value(&self) -> FluentValue<'static> {
        FluentValue::from(self.to_string())
    }
}

macro_rules! numbers {
    ($($kind:ty),+) => {
        $(impl Argument for $kind {
            fn value(&self) -> FluentValue<'static> {
                FluentValue::from(*self)
            }
        })+
    };
}
numbers!(u8, u16, u32, u64, usize, i32, i64);

impl<T: Argument + ?Sized> Argument for &T {
    fn value(&self) -> FluentValue<'static> {
        (*self).value()
    }
}

/// `GET /language?to={tag}`: remembers the language and goes back to the page it was chosen on.
pub(crate) async fn choose(
    State(market): State<Market>,
    headers: HeaderMap,
    Query(query): Query<Fields>,
) -> Response {
    let came_from = headers.get(REFERER).and_then(|value| value.to_str().ok());
    let page = came_from.and_then(|text| Url::parse(text).ok());
    let path = page.map(|url| match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    });
    let mut response = Redirect::to(next_path(
        path.as_deref().map(|it| market.0.parts.address.inner(it)),
    ))
    .into_response();
    let asked = query.get("to").and_then(|tag| Language::of_tag(tag));
    if let Some(language) = asked {
        let secure = if market.0.parts.address.is_https() {
            "; Secure"
        } else {
            ""
        };
        let tag = language.tag();
        let prefix = market.0.parts.address.prefix();
        let cookie = format!(
            "{COOKIE_NAME}={tag}; Path={prefix}/; HttpOnly; SameSite=Lax; Max-Age={COOKIE_SECONDS}{secure}"
        );
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
    }
    response
}

fn chosen(headers: &HeaderMap) -> Option<Language> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE_NAME).then(|| Language::of_tag(value))?)
}

/// By `Accept-Language` (RFC 9110, section 12.5.4): the range with the highest weight that one of ours
/// answers to; among equals the first.
fn preferred(headers: &HeaderMap) -> Language {
    let text = headers
        .get(ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut best = (Language::English, 0.0_f32);
    for range in text.split(',') {
        let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight = parameters.trim().strip_prefix("q=");
        let weight = weight.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0));
        let primary = tag.trim().split('-').next().unwrap_or_default();
        let language = match primary.to_ascii_lowercase().as_str() {
            "en" => Language::English,
            "zh" => Language::Chinese,
            _ => continue,
        };
        if weight > best.1 {
            best = (language, weight);
        }
    }
    best.0
}

fn bundle(language: LanguageIdentifier, source: &str) -> Bundle {
    let mut bundle = Bundle::new_concurrent(vec![language]);
    // Arguments are set apart by the message itself; marks of direction would show in attributes.
    bundle.set_use_isolating(false);
    bundle.set_formatter(Some(grouped));
    // A test holds that every message is well-formed and there once.
    let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(it, _)| it);
    bundle.add_resource_overriding(resource);
    bundle
}

/// Numbers with their thousands apart, as both languages write them.
fn grouped<M>(value: &FluentValue<'_>, _: &M) -> Option<String> {
    let FluentValue::Number(number) = value else {
        return None;
    };
    let text = number.as_string();
    let whole = usize::try_from(text.parse::<u64>().ok()?).ok()?;
    Some(crate::market::pages::grouped(&whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_between_backticks_is_code_and_nothing_else_is() {
        for (text, html) in [
            ("plain", "plain"),
            ("`a` and `b`.", "<code>a</code> and <code>b</code>."),
            ("one ` alone", "one ` alone"),
            ("`a` and ` alone", "<code>a</code> and ` alone"),
            ("`<b>` <b>", "<code>&#60;b&#62;</code> &#60;b&#62;"),
        ] {
            assert_eq!(Html::with_code(text).as_str(), html);
        }
    }

    #[test]
    fn the_language_is_the_chosen_one_or_the_browsers() {
        for (cookie, accepted, language) in [
            (None, None, Language::English),
            (None, Some("zh-CN,zh;q=0.9,en;q=0.8"), Language::Chinese),
            (
                None,
                Some("de-DE,de;q=0.9,zh-TW;q=0.3,en;q=0.5"),
                Language::English,
            ),
            (None, Some("fr, zh;q=0"), Language::English),
            (None, Some(";;;,=,zh;q=x"), Language::English),
            (
                Some("a=b; causeway-language=zh-CN"),
                Some("en"),
                Language::Chinese,
            ),
            (Some("causeway-language=tlh"), Some("zh"), Language::Chinese),
        ] {
            let mut headers = HeaderMap::new();
            let mut set = |name, value: Option<&'static str>| {
                value.map(|value| headers.insert(name, HeaderValue::from_static(value)))
            };
            set(COOKIE, cookie);
            set(ACCEPT_LANGUAGE, accepted);
            assert_eq!(Language::of(&headers), language, "{cookie:?} {accepted:?}");
        }
    }

    #[test]
    fn arguments_are_escaped_and_numbers_choose_the_plural() {
        let say = |count: usize| {
            let said = Language::English.say("count-tools").with("count", count);
            said.to_string()
        };
        assert_eq!(say(1), "1 tool");
        assert_eq!(say(2_048), "2,048 tools");
        let hostile = Language::Chinese
            .say("home-nothing-matches")
            .with("query", "<img src=x onerror=alert(1)>")
            .to_string();
        assert!(!hostile.contains('<'), "{hostile}");
    }
}
