//! An `Api` as text, complete and readable in a diff.

use std::fmt::Write;

use causeway::openapi::{
    Api, Finding, MediaType, Operation, ParameterEncoding, SecurityRequirement, ServerTemplate,
};

pub(crate) fn summary(api: &Api) -> String {
    let mut out = String::new();
    let version = serde_json::to_string(&api.version).unwrap();
    writeln!(out, "{} {} (OpenAPI {version})", api.title, api.revision).unwrap();
    if let Some(description) = &api.description {
        writeln!(out, "description: {description:?}").unwrap();
    }
    servers(&mut out, "", &api.servers);
    for (name, scheme) in &api.security_schemes {
        let scheme = serde_json::to_string(scheme).unwrap();
        writeln!(out, "scheme {name}: {scheme}").unwrap();
    }
    for each in &api.operations {
        operation(&mut out, each, api);
    }
    out.push('\n');
    for (name, schema) in &api.definitions {
        writeln!(out, "$defs/{name}: {schema}").unwrap();
    }
    out.push('\n');
    out + &findings(&api.findings)
}

pub(crate) fn findings(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let severity = format!("{:?}", finding.severity).to_lowercase();
        let Finding {
            pointer,
            code,
            message,
            operation,
            ..
        } = finding;
        let operation = operation.as_ref().map_or("", |key| &key.0);
        writeln!(
            out,
            "{severity} {code} at {pointer:?} [{operation}]: {message}"
        )
        .unwrap();
    }
    out
}

fn servers(out: &mut String, indent: &str, servers: &[ServerTemplate]) {
    for server in servers {
        let server = serde_json::to_string(server).unwrap();
        writeln!(out, "{indent}server {server}").unwrap();
    }
}

fn operation(out: &mut String, operation: &Operation, api: &Api) {
    let path = &operation.path.raw;
    writeln!(out, "\n{} {path}  ({})", operation.method, operation.key).unwrap();
    writeln!(out, "  at {}", operation.pointer).unwrap();
    for (word, text) in [
        ("operationId", &operation.operation_id),
        ("summary", &operation.summary),
        ("description", &operation.description),
    ] {
        if let Some(text) = text {
            writeln!(out, "  {word}: {text:?}").unwrap();
        }
    }
    if !operation.tags.is_empty() || operation.deprecated {
        let deprecated = operation.deprecated;
        writeln!(out, "  tags: {:?} deprecated: {deprecated}", operation.tags).unwrap();
    }
    if operation.servers != api.servers {
        servers(out, "  ", &operation.servers);
    }
    writeln!(out, "  security: {}", security(&operation.security)).unwrap();
    for parameter in &operation.parameters {
        let required = if parameter.required { " required" } else { "" };
        let encoding = encoding(&parameter.encoding);
        let place = serde_json::to_value(parameter.location).unwrap();
        let place = place.as_str().unwrap();
        let (name, schema) = (&parameter.name, &parameter.schema);
        write!(out, "  {place} {name:?}{required} {encoding}: {schema}").unwrap();
        if let Some(example) = &parameter.example {
            write!(out, " example {example}").unwrap();
        }
        out.push('\n');
        if let Some(description) = &parameter.description {
            writeln!(out, "    {description:?}").unwrap();
        }
    }
    if let Some(body) = &operation.body {
        let required = if body.required { " required" } else { "" };
        writeln!(out, "  body{required} {:?}", body.description).unwrap();
        media(out, &body.content);
    }
    for response in &operation.responses {
        writeln!(out, "  {} {:?}", response.status, response.description).unwrap();
        media(out, &response.content);
    }
}

fn media(out: &mut String, content: &[MediaType]) {
    for media in content {
        write!(out, "    {}: {}", media.name, media.schema).unwrap();
        if let Some(item) = &media.item_schema {
            write!(out, " items {item}").unwrap();
        }
        if !media.encoding.is_empty() {
            let encoding = serde_json::to_string(&media.encoding).unwrap();
            write!(out, " encoding {encoding}").unwrap();
        }
        if let Some(positions) = &media.positions {
            for (index, encoding) in positions.first.iter().enumerate() {
                let encoding = serde_json::to_string(encoding).unwrap();
                write!(out, " encoding of {index} {encoding}").unwrap();
            }
            let rest = serde_json::to_string(&positions.rest).unwrap();
            write!(out, " encoding of the rest {rest}").unwrap();
        }
        if let Some(example) = &media.example {
            write!(out, " example {example}").unwrap();
        }
        out.push('\n');
    }
}

fn encoding(encoding: &ParameterEncoding) -> String {
    match encoding {
        ParameterEncoding::Content { media_type, .. } => format!("as {media_type}"),
        ParameterEncoding::Style {
            style,
            explode,
            allow_reserved,
            ..
        } => {
            let style = serde_json::to_value(style).unwrap();
            let explode = if *explode { "*" } else { "" };
            let reserved = if *allow_reserved { "+" } else { "" };
            format!("{}{explode}{reserved}", style.as_str().unwrap())
        }
    }
}

fn security(alternatives: &[SecurityRequirement]) -> String {
    serde_json::to_string(alternatives).unwrap()
}
