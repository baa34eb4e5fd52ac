//! Calls of an answer.

use serde_json::{Value, json};

use crate::llm::answer::{Delta, arguments_text, is_complete};
use crate::llm::chat::Signature;
use crate::llm::dialect::openai_responses::output::{Output, with};
use crate::llm::dialect::openai_responses::seal::{Of, wrap};
use crate::llm::dialect::own_tools::input_of;

/// A call of a tool.
#[derive(Debug)]
pub(crate) struct Call {
    pub id: String,
    pub name: String,
    pub namespace: Option<String>,
    pub custom: bool,
    /// The text of a custom tool comes within the arguments of a function.
    pub wrapped: bool,
    pub arguments: String,
    /// Of the item, once the caller knows of it: a signature has to come before.
    pub item: Option<String>,
    pub signature: Option<Signature>,
}

impl Output {
    pub(crate) fn more_call(&mut self, mut call: Call, delta: Delta) -> Call {
        match delta {
            Delta::Signature(signature) => call.signature = Some(signature),
            Delta::Arguments(text) if call.wrapped => call.arguments.push_str(&text),
            Delta::Arguments(text) => {
                let id = self.begin_call(&mut call);
                call.arguments.push_str(&text);
                if !text.is_empty() {
                    self.arguments(&call, &id, text);
                }
            }
            _ => {}
        }
        call
    }

    /// Tells of the call, once; before it, of the signature it goes with.
    fn begin_call(&mut self, call: &mut Call) -> String {
        if let Some(id) = &call.item {
            return id.clone();
        }
        if let Some(signature) = call.signature.take() {
            self.sealed_item(wrap(Of::NextCall, false, &signature));
        }
        let id = self.id(if call.custom { "ctc" } else { "fc" });
        self.begin_item(call.written(&id, "in_progress"));
        call.item = Some(id.clone());
        id
    }

    fn arguments(&mut self, call: &Call, id: &str, text: String) {
        let kind = if call.custom {
            "response.custom_tool_call_input.delta"
        } else {
            "response.function_call_arguments.delta"
        };
        let place = self.place();
        let fields = || json!({"item_id": id, "output_index": place, "delta": text});
        self.emit(kind, fields);
    }

    pub(crate) fn end_call(&mut self, mut call: Call) {
        let wrapped = call.wrapped.then(|| std::mem::take(&mut call.arguments));
        let id = self.begin_call(&mut call);
        if let Some(arguments) = wrapped {
            call.arguments = input_of(&arguments);
            self.arguments(&call, &id, call.arguments.clone());
        }
        if !call.custom && call.arguments.trim().is_empty() {
            arguments_text("").clone_into(&mut call.arguments);
            self.arguments(&call, &id, call.arguments.clone());
        }
        let (kind, field) = if call.custom {
            ("response.custom_tool_call_input.done", "input")
        } else {
            ("response.function_call_arguments.done", "arguments")
        };
        let at = json!({"item_id": id, "output_index": self.place()});
        self.emit(kind, || with(at, field, json!(call.arguments)));
        let whole = call.custom || is_complete(&call.arguments);
        let status = if whole { "completed" } else { "incomplete" };
        self.end_item(call.written(&id, status));
        if let Some(signature) = call.signature {
            self.sealed_item(wrap(Of::LastCall, false, &signature));
        }
    }
}

impl Call {
    fn written(&self, id: &str, status: &str) -> Value {
        let mut item = if self.custom {
            json!({
                "id": id,
                "type": "custom_tool_call",
                "call_id": self.id,
                "input": self.arguments,
                "name": self.name,
            })
        } else {
            json!({
                "id": id,
                "type": "function_call",
                "status": status,
                "arguments": self.arguments,
                "call_id": self.id,
                "name": self.name,
            })
        };
        if let Some(namespace) = &self.namespace {
            item["namespace"] = json!(namespace);
        }
        item
    }
}
