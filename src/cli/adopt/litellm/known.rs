//! LiteLLM's names of providers, the kind that each is here, and how its address is written there.

/// What LiteLLM calls a provider, which kind that is, and how its `api_base` becomes a `base_url`.
pub(super) type Vendor = (&'static str, &'static str, Base);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// It is the same.
    Same,
    /// LiteLLM adds the version itself.
    Version,
    /// It says something else, or nothing.
    Other,
}

/// Where OpenAI's API is offered by somebody who is no kind of their own.
pub(super) const COMPATIBLE: &str = "openai-compatible";

/// What a server is called of which only the address is known.
pub(super) const NOBODY: &str = "";

pub(super) const VENDORS: &[Vendor] = &[
    ("openai", "openai", Base::Same),
    ("text-completion-openai", "openai", Base::Same),
    ("azure", "azure-deployments", Base::Other),
    ("azure_text", "azure-deployments", Base::Other),
    ("anthropic", "anthropic", Base::Version),
    ("gemini", "gemini", Base::Other),
    ("vertex_ai", "vertex", Base::Other),
    ("vertex_ai_beta", "vertex", Base::Other),
    ("bedrock", "bedrock", Base::Other),
    ("bedrock_converse", "bedrock", Base::Other),
    ("cohere", "cohere", Base::Other),
    ("cohere_chat", "cohere", Base::Other),
    ("mistral", "mistral", Base::Same),
    ("deepseek", "deepseek", Base::Same),
    ("xai", "xai", Base::Same),
    ("perplexity", "perplexity", Base::Same),
    ("groq", "groq", Base::Same),
    ("together_ai", "together", Base::Same),
    ("fireworks_ai", "fireworks", Base::Same),
    ("openrouter", "openrouter", Base::Same),
    ("nvidia_nim", "nvidia-nim", Base::Same),
    ("ollama", "ollama", Base::Version),
    ("ollama_chat", "ollama", Base::Version),
    ("hosted_vllm", "vllm", Base::Same),
    ("vllm", "vllm", Base::Same),
    ("lm_studio", "lm-studio", Base::Same),
    ("dashscope", "dashscope-intl", Base::Same),
    ("moonshot", "moonshot", Base::Same),
    ("zai", "zai", Base::Same),
    ("volcengine", "volcengine", Base::Same),
    ("minimax", "minimax", Base::Same),
    ("cloudflare", "cloudflare", Base::Other),
    ("github", "github-models", Base::Same),
    ("openai_like", COMPATIBLE, Base::Same),
    ("custom_openai", COMPATIBLE, Base::Same),
    ("litellm_proxy", COMPATIBLE, Base::Same),
    ("xinference", COMPATIBLE, Base::Same),
    ("infinity", COMPATIBLE, Base::Same),
    ("llamafile", COMPATIBLE, Base::Same),
    ("huggingface", COMPATIBLE, Base::Version),
    ("databricks", COMPATIBLE, Base::Same),
    ("azure_ai", COMPATIBLE, Base::Same),
    ("aiohttp_openai", COMPATIBLE, Base::Same),
    ("anyscale", COMPATIBLE, Base::Same),
    ("baseten", COMPATIBLE, Base::Same),
    ("cerebras", COMPATIBLE, Base::Same),
    ("codestral", COMPATIBLE, Base::Same),
    ("datarobot", COMPATIBLE, Base::Same),
    ("deepinfra", COMPATIBLE, Base::Same),
    ("empower", COMPATIBLE, Base::Same),
    ("featherless_ai", COMPATIBLE, Base::Same),
    ("friendliai", COMPATIBLE, Base::Same),
    ("galadriel", COMPATIBLE, Base::Same),
    ("hyperbolic", COMPATIBLE, Base::Same),
    ("lambda_ai", COMPATIBLE, Base::Same),
    ("meta_llama", COMPATIBLE, Base::Same),
    ("nebius", COMPATIBLE, Base::Same),
    ("novita", COMPATIBLE, Base::Same),
    ("nscale", COMPATIBLE, Base::Same),
    ("sambanova", COMPATIBLE, Base::Same),
    (NOBODY, COMPATIBLE, Base::Same),
];

/// Beginnings of names that LiteLLM knows without a provider before them.
pub(super) const FAMILIES: &[(&str, &str)] = &[
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-", "openai"),
    ("text-moderation-", "openai"),
    ("omni-moderation-", "openai"),
    ("dall-e-", "openai"),
    ("whisper-", "openai"),
    ("tts-", "openai"),
    ("ft:gpt-", "openai"),
    ("claude-", "anthropic"),
    ("command-", "cohere"),
    ("embed-", "cohere"),
    ("rerank-", "cohere"),
    ("gemini-", "vertex_ai"),
];

/// Providers of LiteLLM's that it asks in protocols of their own, wherever they are.
pub(super) const UNLIKE: &[&str] = &[
    "ai21",
    "aleph_alpha",
    "assemblyai",
    "bytez",
    "clarifai",
    "deepgram",
    "elevenlabs",
    "jina_ai",
    "maritalk",
    "nlp_cloud",
    "oci",
    "oobabooga",
    "palm",
    "petals",
    "predibase",
    "replicate",
    "sagemaker",
    "sagemaker_chat",
    "snowflake",
    "topaz",
    "triton",
    "voyage",
    "watsonx",
    "watsonx_text",
];
