//! The options of one curl command that say what is sent.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::openapi::finding::quoted;
use crate::openapi::foreign::address;
use crate::types::essence;

/// Words of one command.
const WORDS_MAX: usize = 2_000;

/// Options with a value that do not change what is sent, by their long names.
const WITH_VALUE_IGNORED: [&str; 29] = [
    "--output",
    "--max-time",
    "--connect-timeout",
    "--retry",
    "--retry-delay",
    "--retry-max-time",
    "--user-agent",
    "--referer",
    "--write-out",
    "--cacert",
    "--capath",
    "--ciphers",
    "--resolve",
    "--proxy",
    "--noproxy",
    "--interface",
    "--limit-rate",
    "--dump-header",
    "--cookie-jar",
    "--max-redirs",
    "--range",
    "--stderr",
    "--trace",
    "--trace-ascii",
    "--tls-max",
    "--dns-servers",
    "--keepalive-time",
    "--connect-to",
    "--unix-socket",
];

/// Short options with a value, and their long names.
const SHORT_WITH_VALUE: [(char, &str); 17] = [
    ('X', "--request"),
    ('H', "--header"),
    ('d', "--data"),
    ('F', "--form"),
    ('u', "--user"),
    ('b', "--cookie"),
    ('o', "--output"),
    ('m', "--max-time"),
    ('A', "--user-agent"),
    ('e', "--referer"),
    ('w', "--write-out"),
    ('x', "--proxy"),
    ('D', "--dump-header"),
    ('c', "--cookie-jar"),
    ('r', "--range"),
    ('T', "--upload-file"),
    ('E', "--cert"),
];

/// What is sent as a field or a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    Text(String),
    File,
}

/// The body as a whole.
#[derive(Debug, PartialEq)]
pub enum Body {
    Json(Value),
    Form(Vec<(String, Data)>),
    Multipart(Vec<(String, Data)>),
    Text,
}

/// Query parameters, and the body.
type QueryAndBody = (Vec<(String, Option<String>)>, Option<Body>);

/// One command, as far as it matters.
#[derive(Debug, Default)]
pub struct Command {
    pub url: String,
    method: Option<String>,
    pub headers: Vec<(String, String)>,
    /// A user name and password were given, or a token of that kind.
    pub user: bool,
    pub bearer: bool,
    pub cookies: Vec<(String, String)>,
    /// Pieces of `-d` and its relatives, joined by `&`.
    data: Vec<String>,
    json: Option<String>,
    fields: Vec<(String, Data)>,
    get: bool,
    head: bool,
    /// Options that were not understood or have no place here.
    pub ignored: Vec<String>,
}

impl Command {
    /// Reads the words after `curl`.
    ///
    /// # Errors
    /// Why the command cannot be converted.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut command = Self::default();
        let mut words = words.iter().take(WORDS_MAX);
        let mut only_urls = false;
        while let Some(word) = words.next() {
            if only_urls || !word.starts_with('-') || word == "-" {
                command.url(word);
            } else if word == "--" {
                only_urls = true;
            } else if word.starts_with("--") {
                command.long(word, &mut words)?;
            } else {
                command.short(word, &mut words)?;
            }
        }
        if command.url.is_empty() {
            return Err("there is no URL".to_owned());
        }
        Ok(command)
    }

    fn url(&mut self, word: &str) {
        if self.url.is_empty() {
            word.clone_into(&mut self.url);
        } else {
            self.ignored.push("a second URL".to_owned());
        }
    }

    fn long<'w>(
        &mut self,
        word: &str,
        rest: &mut impl Iterator<Item = &'w String>,
    ) -> Result<(), String> {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        if !takes_value(name) {
            self.flag(name);
            return Ok(());
        }
        let value = inline.or_else(|| rest.next().cloned());
        let value = value.ok_or_else(|| format!("{} has no value", quoted(name)))?;
        self.option(name, value)
    }

    /// Short options may stand together, and their value right behind them: `-sXPOST`.
    fn short<'w>(
        &mut self,
        word: &str,
        rest: &mut impl Iterator<Item = &'w String>,
    ) -> Result<(), String> {
        let letters: Vec<(usize, char)> = word.char_indices().skip(1).collect();
        for (at, letter) in letters {
            let long = SHORT_WITH_VALUE.iter().find(|(short, _)| *short == letter);
            if let Some((_, long)) = long {
                let behind = &word[at + letter.len_utf8()..];
                let value = if behind.is_empty() {
                    rest.next().cloned()
                } else {
                    Some(behind.to_owned())
                };
                let value = value.ok_or_else(|| format!("`-{letter}` has no value"))?;
                return self.option(long, value);
            }
            match letter {
                'G' => self.get = true,
                'I' => self.head = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn flag(&mut self, name: &str) {
        match name {
            "--get" => self.get = true,
            "--head" => self.head = true,
            _ => {}
        }
    }

    fn option(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "--request" => self.method = Some(value.trim().to_ascii_uppercase()),
            "--url" => self.url(&value),
            "--header" => self.header(&value)?,
            "--user" => self.user = true,
            "--oauth2-bearer" => self.bearer = true,
            "--cookie" => self.cookie(&value)?,
            "--json" => self.json = Some(no_file(name, value)?),
            "--data-raw" => self.data.push(value),
            "--data" | "--data-ascii" | "--data-binary" => self.data.push(no_file(name, value)?),
            "--data-urlencode" => self.data.push(url_encoded(value)?),
            "--url-query" => {
                let joined = if self.url.contains('?') { '&' } else { '?' };
                self.url = format!("{}{joined}{}", self.url, url_encoded(value)?);
            }
            "--form" | "--form-string" => self.field(name, &value)?,
            "--upload-file" | "--config" | "--variable" => {
                return Err(format!("{} reads a file", quoted(name)));
            }
            "--cert" | "--key" => self.ignored.push(quoted(name)),
            _ => {}
        }
        Ok(())
    }

    fn header(&mut self, value: &str) -> Result<(), String> {
        let value = no_file("--header", value.to_owned())?;
        if let Some((name, value)) = value.split_once(':') {
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("cookie") {
                return self.cookie(value);
            }
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        Ok(())
    }

    fn cookie(&mut self, value: &str) -> Result<(), String> {
        if !value.contains('=') {
            return Err("`--cookie` reads a file".to_owned());
        }
        for (name, value) in value.split(';').filter_map(|pair| pair.split_once('=')) {
            if !name.trim().is_empty() {
                let pair = (name.trim().to_owned(), value.trim().to_owned());
                self.cookies.push(pair);
            }
        }
        Ok(())
    }

    fn field(&mut self, option: &str, value: &str) -> Result<(), String> {
        let (name, value) = value
            .split_once('=')
            .ok_or_else(|| format!("a field of {} has no `=`", quoted(option)))?;
        let data = match value.chars().next() {
            Some('@') if option == "--form" => Data::File,
            Some('<') if option == "--form" => Data::Text(String::new()),
            _ => Data::Text(value.to_owned()),
        };
        self.fields.push((name.to_owned(), data));
        Ok(())
    }

    /// What curl would send: `-X`, or what follows from the other options.
    pub fn method(&self) -> String {
        let has_body = !self.data.is_empty() || self.json.is_some() || !self.fields.is_empty();
        match &self.method {
            Some(method) => method.clone(),
            None if self.head => "HEAD".to_owned(),
            None if has_body && !self.get => "POST".to_owned(),
            None => "GET".to_owned(),
        }
    }

    /// The media type of the header, without parameters.
    pub fn content_type(&self) -> Option<String> {
        let found = self
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))?;
        let essence = essence(&found.1);
        (essence.contains('/') && essence.is_ascii()).then_some(essence)
    }

    /// Where the data goes: into the query with `-G`, else into the body.
    ///
    /// # Errors
    /// The body is said to be JSON and is not.
    pub fn query_and_body(&self) -> Result<QueryAndBody, String> {
        let joined = self.data.join("&");
        if self.get {
            return Ok((address::pairs(&joined), None));
        }
        if !self.fields.is_empty() {
            return Ok((Vec::new(), Some(Body::Multipart(self.fields.clone()))));
        }
        let written = match &self.json {
            Some(json) => json,
            None if self.data.is_empty() => return Ok((Vec::new(), None)),
            None => &joined,
        };
        let media = self.content_type();
        let stated = self.json.is_some() || media.as_ref().is_some_and(|m| m.contains("json"));
        let sample = serde_json::from_str::<Value>(written).ok();
        let sample = sample.filter(|value| stated || value.is_object() || value.is_array());
        let is_form = media
            .as_ref()
            .is_none_or(|m| m.ends_with("x-www-form-urlencoded"));
        let body = match sample {
            Some(sample) => Body::Json(sample),
            None if stated => return Err("the body is said to be JSON and is not".to_owned()),
            None if is_form && written.contains('=') => {
                let fields = address::pairs(written).into_iter();
                let text = |value: Option<String>| Data::Text(value.unwrap_or_default());
                Body::Form(fields.map(|(name, value)| (name, text(value))).collect())
            }
            None => Body::Text,
        };
        Ok((Vec::new(), Some(body)))
    }
}

fn takes_value(name: &str) -> bool {
    const UNDERSTOOD: [&str; 20] = [
        "--request",
        "--url",
        "--header",
        "--user",
        "--oauth2-bearer",
        "--cookie",
        "--json",
        "--data",
        "--data-raw",
        "--data-ascii",
        "--data-binary",
        "--data-urlencode",
        "--url-query",
        "--form",
        "--form-string",
        "--upload-file",
        "--config",
        "--variable",
        "--cert",
        "--key",
    ];
    UNDERSTOOD.contains(&name) || WITH_VALUE_IGNORED.contains(&name)
}

/// # Errors
/// The value names a file.
fn no_file(option: &str, value: String) -> Result<String, String> {
    if value.starts_with('@') {
        return Err(format!(
            "{} reads a file, and no file is read",
            quoted(option)
        ));
    }
    Ok(value)
}

/// `name=content` with the content encoded; `=content` and `content` have no name.
fn url_encoded(value: String) -> Result<String, String> {
    let at = value.find(['=', '@']).unwrap_or(value.len());
    if value[at..].starts_with('@') {
        return Err("`--data-urlencode` reads a file, and no file is read".to_owned());
    }
    let (name, content) = value.split_once('=').unwrap_or(("", &value));
    let plain = percent_decode_str(name).decode_utf8_lossy();
    let content: String = url::form_urlencoded::byte_serialize(content.as_bytes()).collect();
    if plain.is_empty() {
        return Ok(content);
    }
    Ok(format!("{name}={content}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::foreign::curl::line;

    fn of(text: &str) -> Result<Command, String> {
        Command::parse(&line::words(text).unwrap())
    }

    #[test]
    fn methods_follow_from_the_options() {
        for (text, method) in [
            ("https://a.example.com", "GET"),
            ("-d a=1 https://a.example.com", "POST"),
            ("-G -d a=1 https://a.example.com", "GET"),
            ("-sSXDELETE https://a.example.com", "DELETE"),
            ("-I https://a.example.com", "HEAD"),
            ("--json {} --url https://a.example.com", "POST"),
            ("-F a=@b.png https://a.example.com", "POST"),
            ("--request=put https://a.example.com -o x", "PUT"),
        ] {
            let command = of(text).unwrap();
            assert_eq!(command.method(), method, "{text}");
            assert_eq!(command.url, "https://a.example.com", "{text}");
        }
    }

    #[test]
    fn bodies_are_what_curl_would_send() {
        let body = |text: &str| of(text).unwrap().query_and_body().unwrap().1.unwrap();
        assert_eq!(
            body("-d '{\"a\":1}' x"),
            Body::Json(serde_json::json!({"a": 1}))
        );
        let Body::Form(fields) = body("-d a=1 --data-urlencode 'b=c & d' x") else {
            unreachable!("a form");
        };
        assert_eq!(fields[1], ("b".to_owned(), Data::Text("c & d".to_owned())));
        assert_eq!(body("-d hello x"), Body::Text);
        assert_eq!(body("-H 'Content-Type: text/csv' -d a=b x"), Body::Text);
        let fields = of("-F pic=@p.png -F note=hi x").unwrap().fields;
        assert_eq!(fields[0].1, Data::File);
        let (query, none) = of("-G -d q=x -d n=2 x").unwrap().query_and_body().unwrap();
        assert_eq!((query.len(), none), (2, None));
    }

    #[test]
    fn files_are_not_read() {
        for text in [
            "-d @secrets.json x",
            "-T f x",
            "-b jar.txt x",
            "--data-urlencode a@f x",
            "-H @f x",
            "-X",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
