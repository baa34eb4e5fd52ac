//! How much a model is to think: `thinking`, and `output_config.effort`
//! (<https://platform.claude.com/docs/en/build-with-claude/extended-thinking>,
//! <https://platform.claude.com/docs/en/build-with-claude/effort>).

use serde_json::{Map, Value, json};

use crate::llm::chat::{ChatRequest, Part, Reasoning, Role, ToolChoice};
use crate::llm::dialect::anthropic::generation::Generation;
use crate::llm::dialect::anthropic::seal;
use crate::llm::dialect::{Dialect, Dropped, TargetModel};
use crate::llm::fault::Fault;
use crate::llm::fields::{Fields, put};

/// The least that thinking may be given.
const BUDGET_MIN: u64 = 1024;
/// What an answer is left beside a budget whose caller named no limit of the whole.
const ANSWER_TOKENS: u64 = 4096;

/// What is written of it.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) max_tokens: u64,
    pub(crate) thinking: Option<Value>,
    pub(crate) effort: Option<&'static str>,
}

impl Plan {
    /// Whether the model is told to think.
    pub(crate) fn thinks(&self) -> bool {
        let kind = self
            .thinking
            .as_ref()
            .and_then(|thinking| thinking.get("type"));
        kind.is_some_and(|kind| kind != "disabled")
    }
}

/// Reads `thinking` and `output_config.effort`; what only this dialect tells apart stays in `rest`.
pub(crate) fn decode(
    thinking: Option<Value>,
    effort: Option<String>,
    rest: &mut Map<String, Value>,
) -> Result<Option<Reasoning>, Fault> {
    let Some(whole) = thinking else {
        let Some(effort) = effort else {
            return Ok(None);
        };
        // Effort without thinking: also how much is said.
        rest.insert("output_config".to_owned(), json!({ "effort": effort }));
        return Ok(Some(Reasoning {
            effort: Some(effort),
            ..Reasoning::default()
        }));
    };
    let mut fields = Fields::of(whole.clone(), "thinking")?;
    let kind = fields.need_text("type")?;
    let display = fields.text("display")?;
    let mut reasoning = Reasoning {
        effort,
        budget_tokens: fields.count("budget_tokens")?,
        shown: display.as_deref().map(|display| display == "summarized"),
    };
    let known = match kind.as_str() {
        "enabled" => {
            if reasoning.budget_tokens.is_none() {
                return Err(fields.missing("budget_tokens"));
            }
            true
        }
        "adaptive" => true,
        "disabled" => {
            if let Some(effort) = reasoning.effort.replace("none".to_owned()) {
                rest.insert("output_config".to_owned(), json!({ "effort": effort }));
            }
            true
        }
        _ => false,
    };
    let display = matches!(display.as_deref(), None | Some("summarized" | "omitted"));
    if !known || !display || !fields.rest().is_empty() {
        rest.insert("thinking".to_owned(), whole);
    }
    Ok(Some(reasoning))
}

/// Whether a caller of this dialect says how much effort is to be made, and nothing of thinking.
pub(crate) fn is_alone(request: &ChatRequest) -> bool {
    let said = request.reasoning.as_ref();
    let said = said.and_then(|reasoning| reasoning.effort.as_deref());
    let config = request.rest.fields.get("output_config");
    let alone = config.and_then(|config| config.get("effort")?.as_str());
    request.rest.dialect == Some(Dialect::Anthropic) && alone.is_some() && alone == said
}

/// What to write for a model: a budget is within `max_tokens`, and what does not go with thinking is left out.
pub(crate) fn plan(request: &ChatRequest, model: &TargetModel, dropped: &mut Vec<Dropped>) -> Plan {
    let own = request.rest.dialect == Some(Dialect::Anthropic);
    let asked = request.sampling.max_output_tokens;
    let most = model.max_output_tokens;
    if let (Some(asked), Some(most), false) = (asked, most, own)
        && asked > most
    {
        let reason = format!("the model writes {most} tokens at most");
        dropped.push(Dropped::new("sampling.max_output_tokens", reason));
    }
    let within = |tokens: u64| {
        most.filter(|_| !own)
            .map_or(tokens, |most| tokens.min(most))
    };
    let generation = Generation::of(&model.name);
    let otherwise = || generation.output_tokens();
    let mut plan = Plan {
        max_tokens: asked.map(within).or(most).unwrap_or_else(otherwise),
        ..Plan::default()
    };
    let rest = &request.rest.fields;
    let Some(reasoning) = request.reasoning.as_ref() else {
        return plan;
    };
    if own && rest.contains_key("thinking") {
        return plan;
    }
    let only_effort = own && rest.contains_key("output_config");
    if reasoning.effort.as_deref() == Some("none") {
        plan.thinking = generation.thinks().then(|| json!({ "type": "disabled" }));
        return plan;
    }
    if only_effort && reasoning.budget_tokens.is_none() {
        return plan;
    }
    if !generation.thinks() {
        dropped.push(Dropped::new("reasoning", "the model does not think"));
        return plan;
    }
    let room = if asked.is_none() {
        most
    } else {
        Some(plan.max_tokens)
    };
    let asks = Asks {
        reasoning,
        generation,
        own,
        room,
    };
    asks.write(&mut plan, dropped);
    if let Some(reason) = hindrance(request, &plan).filter(|_| generation.is_claude()) {
        plan.thinking = None;
        dropped.push(Dropped::new("reasoning", reason));
    }
    plan
}

/// Why the model refuses to think in this request.
fn hindrance(request: &ChatRequest, plan: &Plan) -> Option<&'static str> {
    let thinking = plan.thinking.as_ref()?;
    if matches!(
        request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_))
    ) {
        return Some("a model that has to call a tool does not think first");
    }
    let budget = thinking.get("budget_tokens").is_some();
    let reason = "the calls before were made without a thought that Anthropic signed";
    (budget && called_without_thought(request)).then_some(reason)
}

/// Whether the last turn of the assistant called tools, and what it thought before is not there: with a budget, a
/// model that goes on after results has to see its thought.
fn called_without_thought(request: &ChatRequest) -> bool {
    let turns = request.turns.iter().rev();
    let last = turns
        .skip_while(|turn| turn.role != Role::Assistant)
        .take_while(|turn| turn.role == Role::Assistant);
    let (mut called, mut thought) = (false, false);
    for part in last.flat_map(|turn| &turn.parts) {
        called |= matches!(part, Part::ToolCall(_));
        thought |= matches!(part, Part::Thought(thought) if seal::is_of_anthropic(thought));
    }
    called && !thought
}

/// What is asked of whom.
struct Asks<'a> {
    reasoning: &'a Reasoning,
    generation: Generation,
    own: bool,
    /// What `max_tokens` may be; `None`: as much as the budget needs.
    room: Option<u64>,
}

impl Asks<'_> {
    fn write(&self, plan: &mut Plan, dropped: &mut Vec<Dropped>) {
        let adaptive = match self.generation {
            Generation::Adaptive => true,
            Generation::Either => self.reasoning.budget_tokens.is_none(),
            Generation::Foreign => self.own && self.reasoning.budget_tokens.is_none(),
            Generation::Budget { .. } => false,
        };
        let mut thinking = Map::new();
        if adaptive {
            thinking.insert("type".to_owned(), Value::from("adaptive"));
            plan.effort = self.effort(dropped);
        } else if let Some(budget) = self.budget(plan, dropped) {
            thinking.insert("type".to_owned(), Value::from("enabled"));
            thinking.insert("budget_tokens".to_owned(), Value::from(budget));
            if self.reasoning.budget_tokens.is_some() && self.reasoning.effort.is_some() {
                plan.effort = self.effort(dropped);
            }
        } else {
            return;
        }
        let display = self.reasoning.shown;
        let display = display.map(|shown| if shown { "summarized" } else { "omitted" });
        put(&mut thinking, "display", display);
        plan.thinking = Some(Value::Object(thinking));
    }

    /// The effort in this dialect's words.
    fn effort(&self, dropped: &mut Vec<Dropped>) -> Option<&'static str> {
        let Some(effort) = self.reasoning.effort.as_deref() else {
            let budget = self.reasoning.budget_tokens?;
            let effort = match budget {
                0..4096 => "low",
                4096..16384 => "medium",
                _ => "high",
            };
            let reason = format!("the model takes no budget; its effort is `{effort}` instead");
            dropped.push(Dropped::new("reasoning.budget_tokens", reason));
            return Some(effort);
        };
        let said = match effort {
            "minimal" | "low" => "low",
            "medium" => "medium",
            "high" => "high",
            "xhigh" if self.generation == Generation::Either => "high",
            "xhigh" => "xhigh",
            "max" => "max",
            _ => {
                let reason = format!("`{effort}` is not an effort here; the model decides");
                dropped.push(Dropped::new("reasoning.effort", reason));
                return None;
            }
        };
        if said != effort {
            let reason = format!("the nearest effort of the model is `{said}`");
            dropped.push(Dropped::new("reasoning.effort", reason));
        }
        Some(said)
    }

    /// A budget that fits, and room for it.
    fn budget(&self, plan: &mut Plan, dropped: &mut Vec<Dropped>) -> Option<u64> {
        let effort = self.reasoning.effort.as_deref();
        let wanted = self.reasoning.budget_tokens.unwrap_or_else(|| {
            let room = self.room.unwrap_or(BUDGET_MIN * 16);
            share(effort.unwrap_or("medium"), room)
        });
        let wanted = wanted.max(BUDGET_MIN);
        plan.max_tokens = match self.room {
            Some(room) => room,
            None => plan.max_tokens.max(wanted.saturating_add(ANSWER_TOKENS)),
        };
        let budget = wanted.min(plan.max_tokens.saturating_sub(1));
        if budget < BUDGET_MIN {
            let reason = "thinking takes more than 1024 tokens, and the whole answer has fewer";
            dropped.push(Dropped::new("reasoning", reason));
            return None;
        }
        if self
            .reasoning
            .budget_tokens
            .is_some_and(|asked| asked != budget)
        {
            let reason = format!("within the limits of the request it is {budget}");
            dropped.push(Dropped::new("reasoning.budget_tokens", reason));
        }
        Some(budget)
    }
}

/// How much of an answer thinking gets, where a model knows budgets only.
fn share(effort: &str, room: u64) -> u64 {
    let percent = match effort {
        "minimal" => 10,
        "low" => 20,
        "high" => 80,
        "xhigh" | "max" => 90,
        _ => 50,
    };
    (room / 100).saturating_mul(percent)
}
