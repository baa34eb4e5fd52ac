//! A question to a model, as programs ask it: with curl, in Python and in TypeScript. A key is its placeholder.

use serde_json::{Value, json};

use crate::market::pages::connect::{KEY, shell_word};

/// What is asked of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    pub model: String,
    /// Empty: none.
    pub system: String,
    pub message: String,
}

/// The texts of a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatCopies {
    pub curl: String,
    pub python: String,
    pub typescript: String,
}

impl Question {
    /// Role and text, in order.
    fn messages(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let system = Some(("system", self.system.as_str()));
        let system = system.filter(|(_, text)| !text.is_empty());
        system.into_iter().chain([("user", self.message.as_str())])
    }

    /// As a body of OpenAI's chat.
    pub fn body(&self) -> Value {
        let messages = self
            .messages()
            .map(|(role, text)| json!({ "role": role, "content": text }));
        json!({ "model": self.model, "messages": messages.collect::<Vec<_>>() })
    }
}

impl ChatCopies {
    /// The question as it is asked at an address of ours, without a slash at its end.
    pub fn new(base: &str, question: &Question) -> Self {
        Self {
            curl: curl(base, question),
            python: python(base, question),
            typescript: typescript(base, question),
        }
    }
}

fn curl(base: &str, question: &Question) -> String {
    [
        format!(
            "curl {}",
            shell_word(&format!("{base}/v1/chat/completions"))
        ),
        "-H 'Content-Type: application/json'".to_owned(),
        format!("-H 'Authorization: Bearer {KEY}'"),
        format!("-d {}", shell_word(&question.body().to_string())),
    ]
    .join(" \\\n  ")
}

fn python(base: &str, question: &Question) -> String {
    let messages = listed(question, |role, text| {
        format!("        {{\"role\": \"{role}\", \"content\": {text}}},\n")
    });
    format!(
        "from openai import OpenAI\n\n\
         client = OpenAI(base_url={}, api_key=\"{KEY}\")\n\
         answer = client.chat.completions.create(\n    model={},\n    messages=[\n{messages}    ],\n)\n\
         print(answer.choices[0].message.content)",
        literal(&format!("{base}/v1")),
        literal(&question.model),
    )
}

fn typescript(base: &str, question: &Question) -> String {
    let messages = listed(question, |role, text| {
        format!("    {{ role: \"{role}\", content: {text} }},\n")
    });
    format!(
        "import OpenAI from \"openai\";\n\n\
         const client = new OpenAI({{ baseURL: {}, apiKey: \"{KEY}\" }});\n\
         const answer = await client.chat.completions.create({{\n  model: {},\n  messages: [\n{messages}  ],\n}});\n\
         console.log(answer.choices[0].message.content);",
        literal(&format!("{base}/v1")),
        literal(&question.model),
    )
}

/// The lines of the messages, each written from its role and its literal.
fn listed(question: &Question, line: impl Fn(&str, &str) -> String) -> String {
    let lines = question
        .messages()
        .map(|(role, text)| line(role, &literal(text)));
    lines.collect::<Vec<_>>().concat()
}

/// A text as JSON writes it, which is how Python and TypeScript read one too.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_reads_what_was_entered_whatever_that_is() {
        let question = Question {
            model: "team/fast".to_owned(),
            system: "Be \"brief\"\nand it's $(reboot) `id` \\".to_owned(),
            message: "'; rm -rf /; '\u{2028}</code>".to_owned(),
        };
        let copies = ChatCopies::new("https://ai.example.com/x", &question);
        let (_, data) = copies.curl.rsplit_once("-d ").unwrap();
        let unquoted = data[1..data.len() - 1].replace(r"'\''", "'");
        let body: Value = serde_json::from_str(&unquoted).unwrap();
        assert_eq!(body, question.body());
        assert!(
            copies
                .curl
                .starts_with("curl https://ai.example.com/x/v1/chat/completions \\\n")
        );
        for text in [&copies.python, &copies.typescript] {
            assert!(text.contains(&literal(&question.system)), "{text}");
            assert!(text.contains(&literal(&question.message)), "{text}");
            assert!(
                text.contains("\"https://ai.example.com/x/v1\"") && text.contains("\"YOUR_KEY\"")
            );
            assert!(!text.contains("Be \"brief\""), "{text}");
        }
    }

    #[test]
    fn no_system_text_is_no_message() {
        let question = Question {
            model: "demo".to_owned(),
            message: "Hello".to_owned(),
            ..Question::default()
        };
        let copies = ChatCopies::new("http://localhost:8080", &question);
        assert_eq!(
            copies.python,
            "from openai import OpenAI\n\n\
             client = OpenAI(base_url=\"http://localhost:8080/v1\", api_key=\"YOUR_KEY\")\n\
             answer = client.chat.completions.create(\n    model=\"demo\",\n    messages=[\n        \
             {\"role\": \"user\", \"content\": \"Hello\"},\n    ],\n)\n\
             print(answer.choices[0].message.content)"
        );
        assert!(
            !copies.typescript.contains("system"),
            "{}",
            copies.typescript
        );
    }
}
