//! Quirks of the contents of a request in Gemini's dialect.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// As JSON of protocol buffers may be written.
const CALLS: [&str; 2] = ["functionCall", "function_call"];
const RESULTS: [&str; 2] = ["functionResponse", "function_response"];

/// Takes the ids out of calls and results, and puts the results of a content into the order of their calls, which is all
/// that tells those of one function apart then.
pub(super) fn drop_call_ids(body: &mut Map<String, Value>) {
    let contents = body.get_mut("contents").and_then(Value::as_array_mut);
    let mut called: HashMap<String, usize> = HashMap::new();
    for content in contents.into_iter().flatten() {
        let Some(parts) = content.get_mut("parts").and_then(Value::as_array_mut) else {
            continue;
        };
        for call in parts.iter_mut().filter_map(|part| within(part, CALLS)) {
            if let Some(Value::String(id)) = call.shift_remove("id") {
                let place = called.len();
                called.insert(id, place);
            }
        }
        let is_result = |part: &Value| RESULTS.iter().any(|name| part.get(name).is_some());
        let places: Vec<usize> = (0..parts.len())
            .filter(|at| is_result(&parts[*at]))
            .collect();
        let mut results: Vec<(usize, Value)> = places
            .iter()
            .map(|at| {
                let mut part = parts[*at].take();
                let id = within(&mut part, RESULTS).and_then(|result| result.shift_remove("id"));
                let place = id
                    .as_ref()
                    .and_then(Value::as_str)
                    .and_then(|id| called.get(id));
                (place.copied().unwrap_or(usize::MAX), part)
            })
            .collect();
        results.sort_by_key(|(place, _)| *place);
        for (at, (_, part)) in places.into_iter().zip(results) {
            parts[at] = part;
        }
    }
}

fn within<'a>(part: &'a mut Value, names: [&str; 2]) -> Option<&'a mut Map<String, Value>> {
    let part = part.as_object_mut()?;
    let name = names.into_iter().find(|name| part.contains_key(*name))?;
    part.get_mut(name)?.as_object_mut()
}
