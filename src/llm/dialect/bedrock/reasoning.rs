//! How much a model is to think, in its maker's words.

use serde_json::{Map, Value, json};

use crate::llm::chat::{ChatRequest, Part, Reasoning, Role, Signature, ToolChoice};
use crate::llm::dialect::bedrock::family::Family;
use crate::llm::dialect::{Dropped, anthropic};

/// What Claude thinks with at least.
const BUDGET_MIN: u64 = 1024;

/// Where what is said of thinking goes.
#[derive(Default)]
pub(crate) struct Thinking {
    /// Of `additionalModelRequestFields`.
    pub(crate) fields: Map<String, Value>,
    /// Of `outputConfig`.
    pub(crate) effort: Option<String>,
    /// Claude thinks, and takes no other advice on how to choose words.
    pub(crate) on: bool,
    pub(crate) dropped: Vec<Dropped>,
}

/// What the request wants, as a family of models understands it. Thinking is a hint: where a model does not think,
/// or not together with something else that was asked for, it is left out and named.
pub(crate) fn encode(request: &ChatRequest, family: Family) -> Thinking {
    let mut thinking = Thinking::default();
    let Some(wanted) = &request.reasoning else {
        return thinking;
    };
    if wanted.effort.is_none() && wanted.budget_tokens.is_none() {
        if wanted.shown.is_some() {
            thinking.drop("shown", "whether thoughts are shown is up to the model");
        }
        return thinking;
    }
    match family {
        Family::Claude(major, minor) if anthropic::says_only_effort(request) => {
            effort((major, minor), wanted, &mut thinking);
        }
        Family::Claude(major, minor) => claude(request, wanted, (major, minor), &mut thinking),
        Family::Nova(2) => nova(wanted, &mut thinking),
        Family::GptOss => {
            let effort = thinking.three(wanted);
            thinking
                .fields
                .insert("reasoning_effort".to_owned(), effort.into());
        }
        Family::Hidden if is_off(wanted) => {
            thinking.drop(
                "effort",
                "the model's name does not tell how it is kept from thinking",
            );
        }
        Family::Hidden => thinking.effort = Some(thinking.level(wanted)),
        Family::Nova(_) | Family::Other => {
            thinking.drop("effort", "the model takes no advice on thinking");
        }
    }
    if !thinking.on && family.is_claude() && wanted.shown == Some(true) && !is_off(wanted) {
        thinking.drop("shown", "the model does not think");
    }
    thinking
}

fn is_off(wanted: &Reasoning) -> bool {
    wanted.effort.as_deref() == Some("none") || wanted.budget_tokens == Some(0)
}

impl Thinking {
    fn drop(&mut self, field: &str, reason: &str) {
        self.dropped
            .push(Dropped::new(format!("reasoning.{field}"), reason));
    }

    /// `low` to `max`; a budget in these words where there is no effort.
    fn level(&mut self, wanted: &Reasoning) -> String {
        let level = match (wanted.effort.as_deref(), wanted.budget_tokens) {
            (Some("minimal" | "none"), _) => "low",
            (Some(effort), _) => effort,
            (None, Some(budget)) => by_budget(budget),
            (None, None) => "medium",
        };
        if wanted.budget_tokens.is_some() {
            let reason = format!("there is only an effort, which is `{level}`");
            self.drop("budget_tokens", &reason);
        } else if wanted.effort.as_deref() != Some(level) {
            self.drop("effort", &format!("the nearest there is is `{level}`"));
        }
        level.to_owned()
    }

    /// The level in words that a version of Claude has.
    fn claude_level(&mut self, wanted: &Reasoning, version: (u32, u32)) -> String {
        let level = self.level(wanted);
        if level != "xhigh" || version >= (4, 7) {
            return level;
        }
        self.drop("effort", "the nearest there is is `high`");
        "high".to_owned()
    }

    /// `low`, `medium` or `high`.
    fn three(&mut self, wanted: &Reasoning) -> String {
        let level = self.level(wanted);
        if matches!(level.as_str(), "low" | "medium" | "high") {
            return level;
        }
        self.drop("effort", "the most there is is `high`");
        "high".to_owned()
    }
}

fn by_budget(budget: u64) -> &'static str {
    match budget {
        0..=2048 => "low",
        2049..=12_288 => "medium",
        _ => "high",
    }
}

/// <https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html>
fn nova(wanted: &Reasoning, thinking: &mut Thinking) {
    let config = if is_off(wanted) {
        json!({"type": "disabled"})
    } else {
        json!({"type": "enabled", "maxReasoningEffort": thinking.three(wanted)})
    };
    thinking.fields.insert("reasoningConfig".to_owned(), config);
}

/// <https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html>: by a budget of
/// tokens from Claude 3.7 on, as the model sees fit from 4.6 on, and only so from 4.7 on.
fn claude(request: &ChatRequest, wanted: &Reasoning, version: (u32, u32), thinking: &mut Thinking) {
    if version < (3, 7) {
        return thinking.drop("effort", "the model does not think");
    }
    if is_off(wanted) {
        let off = json!({"type": "disabled"});
        thinking.fields.insert("thinking".to_owned(), off);
        return;
    }
    let forced = matches!(
        request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_))
    );
    if forced && !request.tools.is_empty() {
        let reason = "Claude does not think where it has to call a tool";
        return thinking.drop("effort", reason);
    }
    let adaptive = version >= (4, 7) || (version >= (4, 6) && wanted.budget_tokens.is_none());
    let config = if adaptive {
        let level = thinking.claude_level(wanted, version);
        thinking.effort = Some(level);
        let mut config = json!({"type": "adaptive"});
        if let (Some(shown), Some(config)) = (wanted.shown, config.as_object_mut()) {
            let display = if shown { "summarized" } else { "omitted" };
            config.insert("display".to_owned(), display.into());
        }
        config
    } else {
        let Some(budget) = budget(request, wanted, thinking) else {
            return;
        };
        if wanted.shown == Some(false) {
            thinking.drop("shown", "what Claude thinks is always shown");
        }
        json!({"type": "enabled", "budget_tokens": budget})
    };
    thinking.fields.insert("thinking".to_owned(), config);
    thinking.on = true;
}

/// <https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html>: from 4.6 on, effort
/// counts whether or not Claude thinks, which nobody asks for here.
fn effort(version: (u32, u32), wanted: &Reasoning, thinking: &mut Thinking) {
    if version < (4, 6) {
        return thinking.drop("effort", "the model takes none beside a budget to think in");
    }
    let level = thinking.claude_level(wanted, version);
    thinking.effort = Some(level);
}

/// The caller's own, or what an effort amounts to within what may be written at all.
fn budget(request: &ChatRequest, wanted: &Reasoning, thinking: &mut Thinking) -> Option<u64> {
    if resumes_unsigned(request) {
        let reason = "Claude goes on thinking after a tool only from thoughts that it signed";
        thinking.drop("effort", reason);
        return None;
    }
    if let Some(budget) = wanted.budget_tokens {
        if budget < BUDGET_MIN {
            thinking.drop("budget_tokens", "Claude thinks with 1024 tokens or more");
        }
        return Some(budget.max(BUDGET_MIN));
    }
    let budget = match wanted.effort.as_deref() {
        Some("minimal") => BUDGET_MIN,
        Some("low") => 2048,
        Some("medium") => 8192,
        Some("high") => 16_384,
        _ => 32_768,
    };
    let room = request.sampling.max_output_tokens.map(|most| most / 5 * 4);
    let budget = budget.min(room.unwrap_or(budget));
    if budget < BUDGET_MIN {
        thinking.drop("effort", "the answer may have too few tokens to think in");
        return None;
    }
    let reason = format!("said as a budget of {budget} tokens");
    thinking.drop("effort", &reason);
    Some(budget)
}

/// The last thing said is what a tool gave, and the call of it came without a thought that may be passed back.
fn resumes_unsigned(request: &ChatRequest) -> bool {
    let calls = |part: &Part| matches!(part, Part::ToolCall(_));
    let answers = |part: &Part| matches!(part, Part::ToolResult(_));
    let mut last = request
        .turns
        .iter()
        .rev()
        .skip_while(|turn| turn.role != Role::Assistant && turn.parts.iter().any(answers));
    let resumed = request
        .turns
        .last()
        .is_some_and(|turn| turn.parts.iter().any(answers));
    let Some(turn) = last.next().filter(|_| resumed) else {
        return false;
    };
    let proven = |part: &Part| match part {
        Part::Thought(thought) => [&thought.signature, &thought.sealed]
            .into_iter()
            .flatten()
            .any(Signature::is_of_claude),
        _ => false,
    };
    turn.parts.iter().any(calls) && !turn.parts.iter().any(proven)
}
