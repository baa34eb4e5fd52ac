//! One tool: its request as an operation.

use serde_json::{Map, Value, json};

use crate::openapi::finding::{Code, quoted};
use crate::openapi::foreign::Context;
use crate::openapi::foreign::address::{Piece, Variables, pieces, server};
use crate::openapi::foreign::higress::argument::{
    Action, Argument, action, is_static, resolved, secret_in,
};
use crate::openapi::foreign::higress::config::Config;
use crate::openapi::foreign::higress::url::{self, ToolUrl};
use crate::openapi::foreign::outline::{Draft, Schemes};
use crate::openapi::pointer::text;

const FORM: &str = "application/x-www-form-urlencoded";
const ARGUMENTS_MAX: usize = 200;
const HEADERS_MAX: usize = 100;

/// The field that is at fault, and why.
pub type Fault = (&'static str, String);

/// A tool where it stands.
pub struct ToolReading<'a> {
    pub tool: &'a Value,
    pub name: &'a str,
    pub origin: String,
    pub config: &'a Config,
    pub default_security: Option<&'a str>,
}

/// The operation being made, and what of its arguments has a place.
struct Making<'a> {
    reading: &'a ToolReading<'a>,
    arguments: Vec<Argument>,
    draft: Draft,
    /// Names of arguments that are parameters or properties.
    placed: Vec<String>,
    /// Of the headers.
    media: Option<String>,
}

impl ToolReading<'_> {
    /// # Errors
    /// What of the tool cannot be converted.
    pub fn draft(&self, schemes: &mut Schemes, context: &mut Context<'_>) -> Result<Draft, Fault> {
        let request = self.tool.get("requestTemplate").unwrap_or(&Value::Null);
        let word = |key: &str| request.get(key).and_then(text).unwrap_or_default();
        if word("url").is_empty() {
            let message = "is missing: the tool answers without calling an API".to_owned();
            return Err(("requestTemplate.url", message));
        }
        let arguments = self.tool.get("args").and_then(Value::as_array);
        let arguments = arguments.into_iter().flatten().filter_map(Argument::read);
        let method = word("method").trim().to_ascii_uppercase();
        let mut making = Making {
            reading: self,
            arguments: arguments.take(ARGUMENTS_MAX).collect(),
            draft: Draft {
                method: if method.is_empty() {
                    "GET".to_owned()
                } else {
                    method
                },
                id: Some(self.name.to_owned()),
                description: self.tool.get("description").and_then(text),
                origin: self.origin.clone(),
                ..Draft::default()
            },
            placed: Vec::new(),
            media: None,
        };
        making.url(&word("url"), schemes, context)?;
        making.positions(request);
        making.headers(request, schemes, context)?;
        making.body(request)?;
        making.rest();
        making.security(request, schemes, context);
        Ok(making.draft)
    }
}

impl Making<'_> {
    fn argument(&self, name: &str) -> Option<&Argument> {
        self.arguments.iter().find(|argument| argument.name == name)
    }

    fn place(&mut self, name: &str) {
        if !self.placed.iter().any(|known| known == name) {
            self.placed.push(name.to_owned());
        }
    }

    fn url(
        &mut self,
        written: &str,
        schemes: &mut Schemes,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        const FIELD: &str = "requestTemplate.url";
        let written = resolved(written.trim(), self.reading.config);
        let in_path = |argument: &&Argument| argument.position == "path";
        let names = self
            .arguments
            .iter()
            .filter(in_path)
            .map(|a| a.name.clone());
        let names: Vec<String> = names.collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let url = url::read(&written, &names).map_err(|fault| (FIELD, fault))?;
        match server(&url.base, &Variables::default()) {
            Ok(server) => self.draft.server = Some(server),
            Err(_) => {
                let message = "the host is not known here; set `upstream` to the API's base URL";
                context.findings.add(Code::ForeignAddress, "", message);
            }
        }
        self.path(&url)?;
        for (name, value) in &url.query {
            self.query(name, value, schemes)?;
        }
        Ok(())
    }

    fn path(&mut self, url: &ToolUrl) -> Result<(), Fault> {
        const FIELD: &str = "requestTemplate.url";
        self.draft.path.clone_from(&url.path);
        for name in &url.arguments {
            let undeclared = Argument::read(&json!({"name": name, "required": true}));
            let parameter = self.argument(name).or(undeclared.as_ref());
            let parameter = parameter.map(|argument| argument.parameter("path"));
            self.draft.parameters.extend(parameter);
            self.place(name);
        }
        for (name, template) in &url.templates {
            if let Some(secret) = secret_in(template, self.reading.config) {
                return Err((
                    FIELD,
                    format!("writes the secret {} into the path", quoted(secret)),
                ));
            }
            self.template("path", name, template);
        }
        Ok(())
    }

    fn query(&mut self, name: &str, value: &str, schemes: &mut Schemes) -> Result<(), Fault> {
        if self.draft.has("query", name) {
            return Ok(());
        }
        if let Some(secret) = secret_in(value, self.reading.config) {
            let whole = matches!(pieces(value).as_slice(), [Piece::Variable(_)]);
            if !whole {
                let message = format!("writes the secret {} into a longer value", quoted(secret));
                return Err(("requestTemplate.url", message));
            }
            self.draft.need(schemes.api_key("query", name));
            return Ok(());
        }
        if is_static(value) {
            self.fixed("query", name, value);
            return Ok(());
        }
        let same = match pieces(value).as_slice() {
            [Piece::Variable(words)] => action(words) == Action::Argument(name),
            _ => false,
        };
        match self.argument(name).filter(|_| same) {
            Some(argument) => {
                let parameter = argument.parameter("query");
                self.draft.parameters.push(parameter);
                self.place(name);
            }
            None => self.template("query", name, value),
        }
        Ok(())
    }

    fn fixed(&mut self, place: &str, name: &str, value: &str) {
        self.draft.parameters.push(json!({
            "name": name, "in": place, "required": true,
            "schema": {"type": "string", "const": value},
        }));
    }

    /// A parameter whose value a template writes.
    fn template(&mut self, place: &str, name: &str, template: &str) {
        self.draft.parameters.push(json!({
            "name": name, "in": place, "required": place == "path", "schema": {"type": "string"},
        }));
        let entry = json!({"in": place, "name": name, "template": template});
        let listed = self
            .draft
            .template
            .entry("parameters")
            .or_insert_with(|| json!([]));
        if let Some(listed) = listed.as_array_mut() {
            listed.push(entry);
        }
    }

    /// Arguments that say themselves where they go.
    fn positions(&mut self, request: &Value) {
        let to_query = request.get("argsToUrlParam") == Some(&Value::Bool(true));
        let mut found = Vec::new();
        for argument in &self.arguments {
            let place = match argument.position.as_str() {
                "query" => "query",
                "header" => "header",
                "cookie" => "cookie",
                "path" | "body" => continue,
                _ if to_query => "query",
                _ => continue,
            };
            if !self.draft.has(place, &argument.name) {
                found.push((argument.name.clone(), argument.parameter(place)));
            }
        }
        for (name, parameter) in found {
            self.place(&name);
            self.draft.parameters.push(parameter);
        }
    }

    fn headers(
        &mut self,
        request: &Value,
        schemes: &mut Schemes,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let headers = request.get("headers").and_then(Value::as_array);
        for header in headers.into_iter().flatten().take(HEADERS_MAX) {
            let name = header.get("key").and_then(text).unwrap_or_default();
            let value = header.get("value").and_then(text).unwrap_or_default();
            let value = resolved(value.trim(), self.reading.config);
            if name.is_empty() {
                continue;
            }
            self.header(&name, &value, schemes, context)?;
        }
        Ok(())
    }

    fn header(
        &mut self,
        name: &str,
        value: &str,
        schemes: &mut Schemes,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        const FIELD: &str = "requestTemplate.headers";
        let lower = name.to_ascii_lowercase();
        if lower == "content-type" {
            if !is_static(value) {
                return Err((FIELD, "writes the content type by a template".to_owned()));
            }
            self.media = Some(value.to_owned()).filter(|media| media.contains('/'));
            return Ok(());
        }
        if lower == "accept" {
            // What the tool wants is what its success is said to be.
            if is_static(value) && value != "*/*" && value.contains('/') {
                let media = value.split([',', ';']).next().unwrap_or_default().trim();
                let answer = json!({"description": "Success.", "content": {media: {}}});
                self.draft.responses.insert("200".to_owned(), answer);
            }
            return Ok(());
        }
        if secret_in(value, self.reading.config).is_some() {
            self.credential(name, value, schemes, context);
            return Ok(());
        }
        if self.draft.has("header", name) {
            return Ok(());
        }
        if is_static(value) {
            self.fixed("header", name, value);
        } else if lower == "authorization" {
            self.argument_credential(value, schemes, context);
        } else {
            self.template("header", name, value);
        }
        Ok(())
    }

    /// A credential that a model had to pass as an argument is the server's from now on.
    fn argument_credential(
        &mut self,
        value: &str,
        schemes: &mut Schemes,
        context: &mut Context<'_>,
    ) {
        for piece in pieces(value) {
            if let Piece::Variable(words) = piece
                && let Action::Argument(name) = action(words)
            {
                self.arguments.retain(|argument| argument.name != name);
            }
        }
        self.draft.need(schemes.authorization(value));
        let message = "the credential in `Authorization` is no argument any more";
        context
            .findings
            .add(Code::ForeignGuessed, self.reading.origin.clone(), message);
    }

    /// A header that holds a secret of the configuration becomes a scheme.
    fn credential(
        &mut self,
        name: &str,
        value: &str,
        schemes: &mut Schemes,
        context: &mut Context<'_>,
    ) {
        let scheme = if name.eq_ignore_ascii_case("authorization") {
            schemes.authorization(value)
        } else {
            schemes.api_key("header", name)
        };
        let whole = matches!(pieces(value).as_slice(), [Piece::Variable(_)]);
        let prefix = value.split("{{").next().unwrap_or_default().trim();
        let known = ["Bearer", "Basic"]
            .iter()
            .any(|word| prefix.eq_ignore_ascii_case(word));
        if !whole && !known {
            let message = format!(
                "the credential {} is the whole value of {}, as in {}",
                quoted(&scheme),
                quoted(name),
                quoted(value)
            );
            context
                .findings
                .add(Code::ForeignGuessed, self.reading.origin.clone(), message);
        }
        self.draft.need(scheme);
    }

    fn body(&mut self, request: &Value) -> Result<(), Fault> {
        let written = request
            .get("body")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !written.is_empty() {
            return self.written_body(written);
        }
        let flag = |key: &str| request.get(key) == Some(&Value::Bool(true));
        let (json, form) = (flag("argsToJsonBody"), flag("argsToFormBody"));
        let belongs = |argument: &&Argument| {
            let default = !["path", "query", "header", "cookie", "body"]
                .contains(&argument.position.as_str());
            argument.position == "body" || default && (json || form)
        };
        let mut properties = Map::new();
        let mut required = Vec::new();
        for argument in self.arguments.iter().filter(belongs) {
            properties.insert(argument.name.clone(), argument.schema.clone());
            if argument.required {
                required.push(argument.name.clone());
            }
        }
        if properties.is_empty() && !json && !form {
            return Ok(());
        }
        let names: Vec<String> = properties.keys().cloned().collect();
        for name in names {
            self.place(&name);
        }
        let declared = self.media.clone();
        let as_form = form || !json && declared.as_ref().is_some_and(|media| media.contains(FORM));
        let media = match declared {
            Some(media) if as_form == media.contains(FORM) => media,
            _ if as_form => FORM.to_owned(),
            _ => "application/json; charset=utf-8".to_owned(),
        };
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        self.draft.body = Some(json!({"required": true, "content": {media: {"schema": schema}}}));
        Ok(())
    }

    fn written_body(&mut self, written: &str) -> Result<(), Fault> {
        if let Some(secret) = secret_in(written, self.reading.config) {
            let message = format!("holds the secret {}", quoted(secret));
            return Err(("requestTemplate.body", message));
        }
        let media = self.media.clone().unwrap_or_else(|| {
            let looks_like_json = written.trim_start().starts_with(['{', '['])
                && !written.trim_start().starts_with("{{");
            if looks_like_json {
                "application/json; charset=utf-8"
            } else {
                "text/plain"
            }
            .to_owned()
        });
        let body = json!({"mediaType": media, "template": written});
        self.draft.template.insert("body".to_owned(), body);
        Ok(())
    }

    /// Arguments without a place are for templates; every default is sent.
    fn rest(&mut self) {
        let mut shown = Map::new();
        let mut required = Vec::new();
        let mut defaults = Map::new();
        for argument in &self.arguments {
            if let Some(value) = &argument.default {
                defaults.insert(argument.name.clone(), value.clone());
            }
            if !self.placed.contains(&argument.name) {
                shown.insert(argument.name.clone(), argument.schema.clone());
                if argument.required {
                    required.push(argument.name.clone());
                }
            }
        }
        let known = self.reading.config.for_templates();
        let has_templates = !self.draft.template.is_empty();
        if shown.is_empty() && defaults.is_empty() && !has_templates {
            return;
        }
        let extension = &mut self.draft.template;
        if !shown.is_empty() {
            extension.insert("arguments".to_owned(), Value::Object(shown));
        }
        if !required.is_empty() {
            extension.insert("required".to_owned(), json!(required));
        }
        if !defaults.is_empty() {
            extension.insert("defaults".to_owned(), Value::Object(defaults));
        }
        if has_templates && known.as_object().is_some_and(|known| !known.is_empty()) {
            extension.insert("config".to_owned(), known);
        }
    }

    fn security(&mut self, request: &Value, schemes: &mut Schemes, context: &mut Context<'_>) {
        let own = request.pointer("/security/id").and_then(text);
        let own = own.filter(|id| !id.is_empty());
        let passes = request.pointer("/security/passthrough") == Some(&Value::Bool(true))
            || self.reading.tool.pointer("/security/passthrough") == Some(&Value::Bool(true));
        if passes {
            let message = "the caller's credential is not passed on; the server has its own";
            context
                .findings
                .add(Code::ForeignGuessed, self.reading.origin.clone(), message);
        }
        let id = own.or_else(|| self.reading.default_security.map(str::to_owned));
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            // One that is not defined stays, so that calls are refused instead of going out without.
            if self.reading.config.has_scheme(&id) || !schemes.has(&id) {
                self.draft.need(id);
            }
        }
    }
}
