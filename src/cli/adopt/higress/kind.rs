//! Higress's types of providers, and what they are here.

use serde_json::Value;
use url::Url;

use crate::cli::adopt::draft::{Draft, Given, Key, Wanted};
use crate::cli::adopt::section::{Section, text, whole, yes};

const COMPATIBLE: &str = "openai-compatible";

/// Types by name, the kind each is, and its base where that is not the kind's own.
const TYPES: &[(&str, &str, &str)] = &[
    ("ai360", COMPATIBLE, "https://api.360.cn/v1"),
    ("azure", "azure-deployments", ""),
    ("baichuan", COMPATIBLE, "https://api.baichuan-ai.com/v1"),
    ("baidu", "qianfan", ""),
    ("bedrock", "bedrock", ""),
    ("claude", "anthropic", ""),
    ("cloudflare", "cloudflare", ""),
    ("cohere", "cohere", ""),
    ("deepseek", "deepseek", ""),
    ("doubao", "volcengine", ""),
    ("fireworks", "fireworks", ""),
    ("gemini", "gemini", ""),
    ("generic", COMPATIBLE, ""),
    ("github", "github-models", ""),
    ("grok", "xai", ""),
    ("groq", "groq", ""),
    ("hunyuan", "hunyuan", ""),
    ("minimax", "minimax-cn", ""),
    ("mistral", "mistral", ""),
    ("moonshot", "moonshot-cn", ""),
    ("ollama", "ollama", ""),
    ("openai", "openai", ""),
    ("openrouter", "openrouter", ""),
    ("qwen", "dashscope", ""),
    ("spark", COMPATIBLE, "https://spark-api-open.xf-yun.com/v1"),
    ("stepfun", "stepfun", ""),
    ("together-ai", "together", ""),
    ("vertex", "vertex", ""),
    ("vllm", "vllm", ""),
    ("yi", COMPATIBLE, "https://api.lingyiwanwu.com/v1"),
    ("zhipuai", "zhipu", ""),
];

/// A provider of the catalog.
pub(super) struct Placed {
    pub(super) name: String,
    /// What it is asked for, whatever a caller asks for.
    pub(super) deployment: Option<String>,
}

/// Adds a provider; what the catalog calls it.
///
/// # Errors
/// Why it cannot; what to do about it.
pub(super) fn place(
    section: &mut Section,
    id: Option<&str>,
    draft: &mut Draft,
) -> Result<Placed, (String, String)> {
    let typ = section.take("type").and_then(|(_, it)| text(&it));
    let typ = typ.unwrap_or_default();
    let Some((_, kind, base)) = TYPES.iter().find(|(name, ..)| *name == typ) else {
        let why = format!("Causeway has no provider like Higress's `{typ}`");
        let todo = "where it offers OpenAI's API: `causeway providers put NAME --kind openai-compatible \
                    --parameter base_url=URL`";
        return Err((why, todo.to_owned()));
    };
    let mut wanted = Wanted {
        kind,
        name: id.unwrap_or(&typ).to_owned(),
        ..Wanted::default()
    };
    if !base.is_empty() {
        set(&mut wanted, "base_url", *base);
    }
    let deployment = addresses(section, (&typ, &mut wanted), draft)?;
    keys(section, &mut wanted);
    wanted.parameters.sort_keys();
    let path = section.path.clone();
    let name = draft.provider(wanted, &path).map_err(|why| {
        let todo = "add the provider by hand (`causeway providers put`)";
        (why, todo.to_owned())
    })?;
    Ok(Placed { name, deployment })
}

fn set(wanted: &mut Wanted, name: &str, value: impl Into<String>) {
    wanted.parameters.insert(name.to_owned(), value.into());
}

/// What each type says of where it is; the deployment, where that is part of it.
fn addresses(
    section: &mut Section,
    (typ, wanted): (&str, &mut Wanted),
    draft: &mut Draft,
) -> Result<Option<String>, (String, String)> {
    match typ {
        "azure" => return azure(section, wanted),
        "qwen" | "doubao" | "zhipuai" => domain(section, (typ, wanted)),
        "openai" | "vllm" | "generic" | "ollama" => hosted(section, (typ, wanted)),
        "cloudflare" => named(section, wanted, &[("cloudflareAccountId", "account")]),
        "bedrock" => named(section, wanted, &[("awsRegion", "region")]),
        "vertex" => {
            let names = [("vertexProjectId", "project"), ("vertexRegion", "location")];
            named(section, wanted, &names);
        }
        "github" => {
            let why = "Higress asks models.inference.ai.azure.com, which GitHub has replaced";
            let todo = "names of models have their maker before them now, as in `openai/gpt-4o`";
            draft
                .report
                .changed((&section.path, &Value::from(typ)), why, todo);
        }
        _ => {}
    }
    Ok(None)
}

fn given(section: &mut Section, name: &str) -> Option<String> {
    section.take(name).and_then(|(_, it)| text(&it))
}

/// Parameters by what they are called there and here.
fn named(section: &mut Section, wanted: &mut Wanted, names: &[(&str, &str)]) {
    for (name, ours) in names {
        if let Some(value) = given(section, name) {
            set(wanted, ours, value);
        }
    }
}

/// A type that has a domain of its own, and perhaps another.
fn domain(section: &mut Section, (typ, wanted): (&str, &mut Wanted)) {
    let (name, usual) = match typ {
        "qwen" => ("qwenDomain", "dashscope.aliyuncs.com"),
        "doubao" => ("doubaoDomain", "ark.cn-beijing.volces.com"),
        _ => ("zhipuDomain", "open.bigmodel.cn"),
    };
    let domain = given(section, name).unwrap_or_else(|| usual.to_owned());
    let codes = section.take("zhipuCodePlanMode");
    let codes = codes.and_then(|(_, it)| yes(&it)) == Some(true);
    let path = match (typ, codes) {
        ("qwen", _) => "compatible-mode/v1",
        ("doubao", _) => "api/v3",
        (_, true) => "api/coding/paas/v4",
        (_, false) => "api/paas/v4",
    };
    match (domain.as_str(), codes) {
        ("dashscope-intl.aliyuncs.com", _) => wanted.kind = "dashscope-intl",
        ("api.z.ai", false) => wanted.kind = "zai",
        (domain, false) if domain == usual => {}
        _ => set(wanted, "base_url", format!("https://{domain}/{path}")),
    }
}

/// A type that is wherever somebody runs it.
fn hosted(section: &mut Section, (typ, wanted): (&str, &mut Wanted)) {
    let base = match typ {
        "generic" => given(section, "genericHost").map(|host| {
            let host = with_scheme(&host, "https");
            format!("{}/v1", host.trim_end_matches("/v1"))
        }),
        "ollama" => {
            let host = given(section, "ollamaServerHost");
            let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
            let port = section.take("ollamaServerPort");
            let port = port.and_then(|(_, it)| whole(&it)).unwrap_or(11_434);
            Some(format!("{}:{port}/v1", with_scheme(&host, "http")))
        }
        _ => {
            let url = given(section, &format!("{typ}CustomUrl")).map(|url| custom(&url));
            let host = given(section, "vllmServerHost");
            url.or(host.map(|host| format!("{}/v1", with_scheme(&host, "http"))))
        }
    };
    if let Some(base) = base {
        if typ == "openai" {
            wanted.kind = COMPATIBLE;
        }
        set(wanted, "base_url", base);
    }
}

/// `www.example.com/myai/v1/chat/completions`: what comes before the paths of OpenAI's API.
fn custom(url: &str) -> String {
    let url = with_scheme(url, "https");
    let ends = [
        "/chat/completions",
        "/completions",
        "/embeddings",
        "/responses",
        "/models",
    ];
    let end = ends.iter().find(|end| url.ends_with(*end));
    let base = end.map_or(url.as_str(), |end| url.trim_end_matches(end));
    base.to_owned()
}

/// A host or a URL, with this scheme where it has none.
fn with_scheme(place: &str, usual: &str) -> String {
    let place = place.trim_end_matches('/');
    if place.contains("://") {
        place.to_owned()
    } else {
        format!("{usual}://{place}")
    }
}

/// `https://RESOURCE.openai.azure.com/openai/deployments/NAME/chat/completions?api-version=…`
fn azure(section: &mut Section, wanted: &mut Wanted) -> Result<Option<String>, (String, String)> {
    let path = section.at("azureServiceUrl");
    let url = given(section, "azureServiceUrl");
    let url = url.and_then(|url| Url::parse(url.trim_end_matches(',')).ok());
    let url = url.ok_or_else(|| {
        let why = format!("{path} is no URL");
        (why, "mend it, and read it again".to_owned())
    })?;
    let host = url.host_str().unwrap_or_default();
    match host.strip_suffix(".openai.azure.com") {
        Some(resource) => set(wanted, "resource", resource),
        None => set(
            wanted,
            "base_url",
            format!("{}/openai", url.origin().ascii_serialization()),
        ),
    }
    let mut query = url.query_pairs();
    if let Some((_, version)) = query.find(|(name, _)| name == "api-version") {
        set(wanted, "api_version", version);
    }
    Ok(deployment(url.path()))
}

/// The deployment in a path, which Higress asks whatever a caller asks for.
fn deployment(path: &str) -> Option<String> {
    let (_, rest) = path.split_once("/openai/deployments/")?;
    let name = rest.split('/').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Keys stay where they are.
fn keys(section: &mut Section, wanted: &mut Wanted) {
    for (path, token) in section.list("apiTokens") {
        if let Some(token) = text(&token) {
            wanted.keys.push(Given {
                key: Key::Elsewhere(token),
                path,
                what: None,
            });
        }
    }
    let pair = (section.take("awsAccessKey"), section.take("awsSecretKey"));
    if let (Some((path, id)), Some((_, secret))) = pair
        && wanted.keys.is_empty()
    {
        let text = [text(&id), text(&secret)]
            .map(Option::unwrap_or_default)
            .join(":");
        let what = Some("ACCESS_KEY_ID:SECRET_ACCESS_KEY");
        wanted.keys.push(Given {
            key: Key::Elsewhere(text),
            path,
            what,
        });
    }
    if let Some((path, file)) = section.take("vertexAuthKey") {
        let what = Some("the content of the service account's key file");
        wanted.keys.push(Given {
            key: Key::Elsewhere(file.to_string()),
            path,
            what,
        });
    }
}
