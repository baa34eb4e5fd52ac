//! A first question for a model, ready to paste: with curl, and with OpenAI's libraries. A key is its
//! placeholder.

use serde_json::{Value, json};

use crate::market::pages::connect::{KEY, shell_word};

/// What is asked.
const QUESTION: &str = "Hello";

/// A text for one way to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    /// The same in every language: a product.
    pub title: &'static str,
    /// A class of the page.
    pub language: &'static str,
    /// The command that gets what the text needs.
    pub install: &'static str,
    pub text: String,
}

/// The snippets for a model of the server at `url`, which has no slash at its end.
pub fn snippets(url: &str, model: &str) -> Vec<Snippet> {
    let base = format!("{url}/v1");
    vec![
        Snippet {
            title: "curl",
            language: "sh",
            install: "",
            text: curl(&base, model, KEY),
        },
        Snippet {
            title: "Python",
            language: "python",
            install: "pip install openai",
            text: python(&base, model),
        },
        Snippet {
            title: "TypeScript",
            language: "ts",
            install: "npm install openai",
            text: typescript(&base, model),
        },
    ]
}

/// The first question for a model of the server at `url`, with a key that is known.
pub fn first_question(url: &str, model: &str, key: &str) -> String {
    curl(&format!("{url}/v1"), model, key)
}

fn curl(base: &str, model: &str, key: &str) -> String {
    let body = json!({
        "model": model,
        "messages": [{ "role": "user", "content": QUESTION }],
    });
    [
        format!("curl {}", shell_word(&format!("{base}/chat/completions"))),
        format!("-H {}", shell_word(&format!("Authorization: Bearer {key}"))),
        "-H 'Content-Type: application/json'".to_owned(),
        format!("-d {}", shell_word(&body.to_string())),
    ]
    .join(" \\\n  ")
}

/// A text as both languages write it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn python(base: &str, model: &str) -> String {
    let (base, model) = (quoted(base), quoted(model));
    format!(
        "from openai import OpenAI\n\n\
         client = OpenAI(base_url={base}, api_key=\"{KEY}\")\n\
         answer = client.chat.completions.create(\n    \
             model={model},\n    \
             messages=[{{\"role\": \"user\", \"content\": \"{QUESTION}\"}}],\n\
         )\n\
         print(answer.choices[0].message.content)"
    )
}

fn typescript(base: &str, model: &str) -> String {
    let (base, model) = (quoted(base), quoted(model));
    format!(
        "import OpenAI from \"openai\";\n\n\
         const client = new OpenAI({{ baseURL: {base}, apiKey: \"{KEY}\" }});\n\
         const answer = await client.chat.completions.create({{\n  \
             model: {model},\n  \
             messages: [{{ role: \"user\", content: \"{QUESTION}\" }}],\n\
         }});\n\
         console.log(answer.choices[0].message.content);"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_name_in_every_language() {
        let hostile = "it's-$(reboot)-\"x\"\\";
        let all = snippets("https://llm.example.com", hostile);
        let data = all[0].text.rsplit_once("-d ").unwrap().1;
        let body = data[1..data.len() - 1].replace(r"'\''", "'");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["model"], hostile);
        for snippet in &all[1..] {
            let line = snippet.text.lines().find(|line| line.contains("model"));
            let value = line.unwrap().split(['=', ' ']).next_back().unwrap();
            let value: String = serde_json::from_str(value.trim_end_matches(',')).unwrap();
            assert_eq!(value, hostile, "{}", snippet.title);
        }
    }

    #[test]
    fn they_go_to_this_server() {
        let texts: Vec<String> = snippets("https://a.example/gate", "fast")
            .into_iter()
            .map(|snippet| snippet.text)
            .collect();
        insta::assert_snapshot!(texts.join("\n\n"), @r#"
        curl https://a.example/gate/v1/chat/completions \
          -H 'Authorization: Bearer YOUR_KEY' \
          -H 'Content-Type: application/json' \
          -d '{"model":"fast","messages":[{"role":"user","content":"Hello"}]}'

        from openai import OpenAI

        client = OpenAI(base_url="https://a.example/gate/v1", api_key="YOUR_KEY")
        answer = client.chat.completions.create(
            model="fast",
            messages=[{"role": "user", "content": "Hello"}],
        )
        print(answer.choices[0].message.content)

        import OpenAI from "openai";

        const client = new OpenAI({ baseURL: "https://a.example/gate/v1", apiKey: "YOUR_KEY" });
        const answer = await client.chat.completions.create({
          model: "fast",
          messages: [{ role: "user", content: "Hello" }],
        });
        console.log(answer.choices[0].message.content);
        "#);
    }
}
