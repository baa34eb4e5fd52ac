//! LiteLLM's providers, and what they are here: `azure/my-deployment` with its `litellm_params` becomes a provider
//! and the name of a model there.

use indexmap::IndexMap;
use serde_json::Value;
use url::Url;

use crate::cli::adopt::draft::{Given, Key, Wanted};
use crate::cli::adopt::litellm::Reading;
use crate::cli::adopt::litellm::known::{Base, COMPATIBLE, FAMILIES, NOBODY, UNLIKE, VENDORS};
use crate::cli::adopt::report::Report;
use crate::cli::adopt::section::{Section, text};
use crate::llm::provider::{self, Auth};

/// How a key of AWS is written.
const ACCESS_KEY: &str =
    "ACCESS_KEY_ID:SECRET_ACCESS_KEY (of temporary ones, :SESSION_TOKEN after it)";
const OPENAI_KEY: &str = "OPENAI_API_KEY";

/// A provider and what it calls the model.
pub(super) struct Placed {
    pub(super) wanted: Wanted,
    pub(super) model: String,
}

/// Where a deployment is.
///
/// # Errors
/// Why it can be nowhere; what to do about it.
pub(super) fn place(
    reading: &mut Reading<'_>,
    params: &mut Section,
    model: &str,
) -> Result<Placed, (String, String)> {
    let base = reading.text(params, "api_base")?;
    let base = match base {
        Some(base) => Some(base),
        None => reading.text(params, "base_url")?,
    };
    let named = params
        .take("custom_llm_provider")
        .and_then(|(_, name)| text(&name));
    let (prefix, model) = split(model, named.as_deref(), base.is_some()).ok_or_else(|| {
        let why = format!("it does not say whose model `{}` is", shown(model));
        let todo = if model.contains('*') {
            "add a pattern for each provider, such as `causeway models put 'gpt-*' --to openai`"
        } else {
            "add its provider (`causeway providers put`), and the model with `causeway models put`"
        };
        (why, todo.to_owned())
    })?;
    let vendor = VENDORS.iter().find(|(name, ..)| *name == prefix);
    let Some(&(_, kind, how)) = vendor else {
        let why = format!("Causeway has no provider like LiteLLM's `{prefix}`");
        let todo = "where it offers OpenAI's API: `causeway providers put NAME --kind openai-compatible \
                    --parameter base_url=URL`";
        return Err((why, todo.to_owned()));
    };
    let mut wanted = Wanted {
        kind,
        name: kind.to_owned(),
        ..Wanted::default()
    };
    // LiteLLM asks it in the protocol of responses then, whatever it is asked in.
    let responds = model.strip_prefix("responses/");
    let mut model = responds.unwrap_or(model).to_owned();
    match prefix {
        "azure" | "azure_text" => azure(reading, params, (&mut wanted, base))?,
        "bedrock" | "bedrock_converse" => bedrock(reading, params, (&mut wanted, &mut model))?,
        "vertex_ai" | "vertex_ai_beta" => vertex(reading, params, (&mut wanted, &model))?,
        "azure_ai" => foundry(reading, params, (&mut wanted, base, &model))?,
        "cloudflare" => {
            let account = reading.environment("CLOUDFLARE_ACCOUNT_ID");
            wanted
                .parameters
                .extend(account.map(|it| ("account".to_owned(), it)));
        }
        _ => {
            if prefix == "fireworks_ai" && !model.contains(['/', '#', '*']) {
                model = format!("accounts/fireworks/models/{model}");
            }
            set_base((&mut wanted, how), (prefix, base))?;
        }
    }
    if responds.is_some() {
        report_responses(&params.at("model"), wanted.kind, &mut reading.draft.report);
    }
    if wanted.keys.is_empty() {
        let key = key(reading, params, (prefix, &wanted));
        wanted.keys.extend(key);
        with_key(&mut wanted);
    }
    Ok(Placed { wanted, model })
}

/// `provider/model`; without a provider, the one whose models have such names. At an address, it may be anybody's.
fn split<'a>(model: &'a str, named: Option<&'a str>, has_base: bool) -> Option<(&'a str, &'a str)> {
    if let Some(named) = named {
        let rest = model
            .strip_prefix(named)
            .and_then(|it| it.strip_prefix('/'));
        return Some((named, rest.unwrap_or(model)));
    }
    if let Some((prefix, rest)) = model.split_once('/') {
        let is_like = VENDORS.iter().any(|(name, ..)| *name == prefix);
        if is_like || UNLIKE.contains(&prefix) || !has_base {
            return Some((prefix, rest));
        }
    }
    let mut families = FAMILIES.iter();
    let family = families.find(|(beginning, _)| model.starts_with(beginning));
    match family {
        Some((_, vendor)) => Some((vendor, model)),
        None if has_base => Some((NOBODY, model)),
        None => None,
    }
}

fn set_base(
    (wanted, how): (&mut Wanted, Base),
    (prefix, base): (&str, Option<String>),
) -> Result<(), (String, String)> {
    let Some(base) = base else {
        if wanted.kind == COMPATIBLE {
            let why = "`api_base` does not say where it is";
            return Err((
                why.to_owned(),
                "add `api_base`, and read it again".to_owned(),
            ));
        }
        return Ok(());
    };
    let base = base
        .trim_end_matches('/')
        .replace("//0.0.0.0", "//127.0.0.1");
    let base = base.trim_end_matches("/chat/completions").to_owned();
    let host = Url::parse(&base)
        .ok()
        .and_then(|it| it.host_str().map(str::to_owned));
    let host = host.ok_or_else(|| {
        let why = "`api_base` is no URL".to_owned();
        (why, "mend it, and read it again".to_owned())
    })?;
    let own = match prefix {
        "openai" | "text-completion-openai" => host == "api.openai.com",
        "anthropic" => host == "api.anthropic.com",
        _ => false,
    };
    if own || how == Base::Other {
        return Ok(());
    }
    if wanted.kind == "openai" {
        wanted.kind = COMPATIBLE;
    }
    if matches!(wanted.kind, COMPATIBLE) {
        let label = host
            .split('.')
            .find(|label| !matches!(*label, "api" | "www"));
        let is_address = host.parse::<std::net::Ipv4Addr>().is_ok();
        let label = if is_address {
            COMPATIBLE
        } else {
            label.unwrap_or(&host)
        };
        wanted.name = if matches!(prefix, "openai" | NOBODY) {
            label.to_owned()
        } else {
            prefix.to_owned()
        };
    }
    let versioned = how == Base::Version && !base.ends_with("/v1");
    let base = if versioned {
        format!("{base}/v1")
    } else {
        base
    };
    wanted.parameters.insert("base_url".to_owned(), base);
    Ok(())
}

/// `https://RESOURCE.openai.azure.com`, or any other address of such a resource.
fn azure(
    reading: &mut Reading<'_>,
    params: &mut Section,
    (wanted, base): (&mut Wanted, Option<String>),
) -> Result<(), (String, String)> {
    let base = base.or_else(|| reading.environment("AZURE_API_BASE"));
    let base = base.ok_or_else(|| {
        let why = "neither `api_base` nor AZURE_API_BASE says which resource it is".to_owned();
        (
            why,
            "set AZURE_API_BASE where you read it, and read it again".to_owned(),
        )
    })?;
    let base = base.trim_end_matches('/');
    let host = Url::parse(base)
        .ok()
        .and_then(|it| it.host_str().map(str::to_owned));
    let resource = host
        .as_deref()
        .and_then(|it| it.strip_suffix(".openai.azure.com"));
    if let Some(resource) = resource {
        wanted.name = format!("azure-{resource}");
        let resource = resource.to_owned();
        wanted.parameters.insert("resource".to_owned(), resource);
    } else {
        let host = host.ok_or_else(|| {
            let why = "`api_base` is no URL".to_owned();
            (why, "mend it, and read it again".to_owned())
        })?;
        wanted.name = format!("azure-{}", host.split('.').next().unwrap_or_default());
        let base = base.trim_end_matches("/openai");
        wanted
            .parameters
            .insert("base_url".to_owned(), format!("{base}/openai"));
    }
    let version = reading.text(params, "api_version")?;
    match version.or_else(|| reading.environment("AZURE_API_VERSION")) {
        Some(version) if matches!(version.as_str(), "preview" | "latest" | "v1") => {
            wanted.kind = "azure";
            if let Some(base) = wanted.parameters.get_mut("base_url") {
                base.push_str("/v1");
            }
        }
        Some(version) => {
            wanted.parameters.insert("api_version".to_owned(), version);
        }
        None => {}
    }
    Ok(())
}

/// A model at Azure AI Foundry, or at a host of its own.
fn foundry(
    reading: &mut Reading<'_>,
    params: &mut Section,
    (wanted, base, model): (&mut Wanted, Option<String>, &str),
) -> Result<(), (String, String)> {
    if model.starts_with("claude") {
        let why = "Claude is asked in Anthropic's protocol there".to_owned();
        let todo = "`causeway providers put NAME --kind anthropic --parameter \
                    base_url=https://RESOURCE.services.ai.azure.com/anthropic/v1`";
        return Err((why, todo.to_owned()));
    }
    let base = base.or_else(|| reading.environment("AZURE_AI_API_BASE"));
    let url = base.as_deref().and_then(|base| Url::parse(base).ok());
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let resource = host
        .strip_suffix(".services.ai.azure.com")
        .or_else(|| host.strip_suffix(".openai.azure.com"));
    let Some(resource) = resource else {
        return set_base((wanted, Base::Same), ("azure_ai", base));
    };
    wanted.kind = "azure";
    wanted.name = format!("azure-{resource}");
    let own = format!("https://{host}/openai/v1");
    wanted.parameters.insert("base_url".to_owned(), own);
    params.take("api_version");
    let why =
        "it is asked at /openai/v1, where such a resource offers all of its models in OpenAI's API";
    let todo = "see that it answers there (`causeway providers test`)";
    let place = params.at("api_base");
    let value = Value::from(host);
    reading.draft.report.changed((&place, &value), why, todo);
    Ok(())
}

/// Says of what LiteLLM asks for responses in which protocol it is asked here.
fn report_responses(path: &str, kind: &str, report: &mut Report) {
    let translates = provider::find(kind).is_some_and(|kind| kind.translate_to.is_some());
    let (why, todo) = if translates {
        (
            "LiteLLM asks for responses, whatever it is asked for; here chat completions stay what they are, and the \
             rest is asked so",
            "let callers use /v1/responses, where the model has nothing else",
        )
    } else {
        (
            "LiteLLM asks for responses; here a server of this kind is asked for chat completions",
            "describe a provider whose `capabilities` have `responses` (`causeway providers put NAME --definition FILE`)",
        )
    };
    report.changed((path, &Value::from("")), why, todo);
}

/// `bedrock/converse/us.anthropic…`, `bedrock/us-east-1/anthropic…`.
fn bedrock(
    reading: &mut Reading<'_>,
    params: &mut Section,
    (wanted, model): (&mut Wanted, &mut String),
) -> Result<(), (String, String)> {
    for route in ["converse/", "converse_like/", "invoke/"] {
        if let Some(rest) = model.strip_prefix(route) {
            *model = rest.to_owned();
        }
    }
    let mut region = reading.text(params, "aws_region_name")?;
    if let Some((first, rest)) = model.split_once('/')
        && first.split('-').count() == 3
    {
        region = region.or_else(|| Some(first.to_owned()));
        *model = rest.to_owned();
    }
    if let Some(id) = reading.text(params, "model_id")? {
        *model = id;
    }
    let known = ["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"];
    let region = region.or_else(|| known.iter().find_map(|name| reading.environment(name)));
    let region = region.ok_or_else(|| {
        let why = "neither `aws_region_name` nor AWS_REGION says where it is".to_owned();
        (
            why,
            "set AWS_REGION where you read it, and read it again".to_owned(),
        )
    })?;
    wanted.name = format!("bedrock-{region}");
    wanted.parameters.insert("region".to_owned(), region);
    let names = [
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
    ];
    let parts: Vec<(String, Value)> = names.iter().filter_map(|it| params.take(it)).collect();
    if let Some((path, _)) = parts.first() {
        let text: Vec<String> = parts.iter().filter_map(|(_, it)| text(it)).collect();
        wanted.keys.push(Given {
            key: Key::Elsewhere(text.join(":")),
            path: path.clone(),
            what: Some(ACCESS_KEY),
        });
    }
    Ok(())
}

fn vertex(
    reading: &mut Reading<'_>,
    params: &mut Section,
    (wanted, model): (&mut Wanted, &str),
) -> Result<(), (String, String)> {
    if model.starts_with("claude") {
        wanted.kind = "vertex-anthropic";
    } else if model.contains('/') {
        let why = "of Vertex AI's models, Google's and Anthropic's are known".to_owned();
        return Err((why, "look for another provider of that model".to_owned()));
    }
    for (names, parameter, variable) in [
        (
            ["vertex_project", "vertex_ai_project"],
            "project",
            "VERTEXAI_PROJECT",
        ),
        (
            ["vertex_location", "vertex_ai_location"],
            "location",
            "VERTEXAI_LOCATION",
        ),
    ] {
        let mut value = None;
        for name in names {
            let given = reading.text(params, name)?;
            value = value.or(given);
        }
        let value = value.or_else(|| reading.environment(variable));
        wanted
            .parameters
            .extend(value.map(|value| (parameter.to_owned(), value)));
    }
    wanted.kind.clone_into(&mut wanted.name);
    if let Some(location) = wanted.parameters.get("location") {
        wanted.name = format!("{}-{location}", wanted.kind);
    }
    let name = "vertex_credentials";
    let credentials = params.take(name);
    let credentials = credentials.or_else(|| params.take("vertex_ai_credentials"));
    let path = credentials
        .as_ref()
        .map_or_else(|| params.at(name), |(path, _)| path.clone());
    let key = match credentials.as_ref().map(|(_, value)| value) {
        Some(Value::String(file)) if !file.contains(['{', '\n']) => match variable(file) {
            // It holds the path of a file, or what is in one.
            Some(variable) => Key::Elsewhere(variable.to_owned()),
            None => Key::File(file.clone()),
        },
        Some(value) => Key::Elsewhere(value.to_string()),
        None => Key::Elsewhere("GOOGLE_APPLICATION_CREDENTIALS".to_owned()),
    };
    wanted.keys.push(Given {
        key,
        path,
        what: Some("the content of the service account's key file"),
    });
    Ok(())
}

/// A server that wants a key although its kind does not is asked as any other of OpenAI's API.
fn with_key(wanted: &mut Wanted) {
    let kind = provider::find(wanted.kind);
    let keyless = kind.filter(|kind| kind.auth == Auth::None && !wanted.keys.is_empty());
    let Some(kind) = keyless else { return };
    let known = kind.parameters.iter().find(|it| it.name == "base_url");
    let usual = known.and_then(|it| it.default.clone()).unwrap_or_default();
    wanted.kind = COMPATIBLE;
    let base = wanted.parameters.entry("base_url".to_owned());
    base.or_insert(usual);
}

/// Its key: what stands there, or what LiteLLM reads from the environment where nothing does.
fn key(
    reading: &mut Reading<'_>,
    params: &mut Section,
    (prefix, wanted): (&str, &Wanted),
) -> Option<Given> {
    let path = params.at("api_key");
    let key = match params.take("api_key").map(|(_, value)| value) {
        Some(Value::String(given)) => match variable(&given) {
            Some(variable) => Key::Environment(variable.to_owned()),
            None if is_nothing(&given) => return None,
            None => Key::Elsewhere(given),
        },
        Some(other) => Key::Elsewhere(other.to_string()),
        None if wanted.kind == "bedrock" => {
            let what = Some(ACCESS_KEY);
            let key = Key::Elsewhere("AWS_ACCESS_KEY_ID".to_owned());
            return Some(Given { key, path, what });
        }
        None => {
            let report = &mut reading.draft.report;
            let place = (path.as_str(), &Value::Null);
            let Some(usual) = usual(prefix, wanted.kind) else {
                if prefix == NOBODY {
                    let why = "no key is named, and nobody says whose server it is: it gets none";
                    let todo = "enter one, if it wants one (`causeway providers key`)";
                    report.changed(place, why, todo);
                }
                return None;
            };
            if usual == OPENAI_KEY && wanted.parameters.contains_key("base_url") {
                let why = "no key is named: LiteLLM sends this address OPENAI_API_KEY, and so does the catalog";
                report.changed(place, why, "see that it is meant; name another key if not");
            }
            reading.assumed(&usual);
            Key::Environment(usual)
        }
    };
    Some(Given {
        key,
        path,
        what: None,
    })
}

/// The variable LiteLLM reads where nothing names one.
fn usual(prefix: &str, kind: &str) -> Option<String> {
    let kind = provider::find(kind).filter(|kind| kind.auth != Auth::None)?;
    let usual: &str = match prefix {
        NOBODY => return None,
        "azure" | "azure_text" => "AZURE_API_KEY",
        "azure_ai" => "AZURE_AI_API_KEY",
        "openai" | "text-completion-openai" | "custom_openai" | "aiohttp_openai" => OPENAI_KEY,
        "lambda_ai" => "LAMBDA_API_KEY",
        "meta_llama" => "LLAMA_API_KEY",
        _ if kind.id == COMPATIBLE => {
            return Some(format!("{}_API_KEY", prefix.to_ascii_uppercase()));
        }
        _ => kind.env.first()?,
    };
    Some(usual.to_owned())
}

/// The variable of `os.environ/NAME`.
pub(super) fn variable(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix("os.environ/")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

/// What people write where a server wants no key.
fn is_nothing(key: &str) -> bool {
    let nothing = ["", "none", "null", "empty", "not-needed", "no-key", "-"];
    nothing.contains(&key.trim().to_ascii_lowercase().as_str())
}

pub(super) fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

/// The parameters of a provider, sorted by name, so that two that say the same are the same.
pub(super) fn sorted(parameters: &mut IndexMap<String, String>) {
    parameters.sort_keys();
}
